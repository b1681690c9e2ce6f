/** The page on which people say who they are. Pure. */
import { html } from './html.ts';
import { csrfField, type Page, type PageContext } from './page.ts';

export interface SignInForm {
  /** Whether a name and a password are taken. */
  readonly byPassword: boolean;
  /** Title of the other way; null: there is none. */
  readonly oidc: string | null;
  /** Whose name and password are asked for. */
  readonly isDatabaseLogin: boolean;
  /** What went wrong. */
  readonly fault: string | null;
}

/** Draws it. What was typed is not shown again. */
export function signInPage(context: PageContext, form: SignInForm): Page {
  const { byPassword, oidc, isDatabaseLogin, fault } = form;
  const hint = isDatabaseLogin
    ? 'The database login that was given to you as an auditor.'
    : 'As your administrator gave it to you.';
  const fields =
    byPassword &&
    html`<form method="post" action="/sign-in" class="fields">
      ${csrfField(context)}
      <div class="field">
        <label for="name">Name</label
        ><input
          id="name"
          name="name"
          autocomplete="username"
          autocapitalize="none"
          spellcheck="false"
          required
          maxlength="200"
          aria-describedby="name-hint"
        />
        <p class="hint" id="name-hint">${hint}</p>
      </div>
      <div class="field">
        <label for="password">Password</label
        ><input
          id="password"
          name="password"
          type="password"
          autocomplete="current-password"
          required
          maxlength="1024"
        />
      </div>
      <button type="submit">Sign in</button>
    </form>`;
  return {
    title: 'Sign in',
    body: html`<section class="sign-in">
      <h1>Sign in</h1>
      <p>Ask the audit trail who did what, and take the proof with you.</p>
      ${fault !== null && html`<p class="fault" role="alert">${fault}</p>`}
      ${oidc !== null && html`<p><a class="button wide-button" href="/sign-in/oidc">${oidc}</a></p>`}
      ${oidc !== null && byPassword && html`<p class="or">or</p>`}${fields}
      <noscript
        ><p class="hint">
          This page works without scripts. Only the check in your own browser needs one.
        </p></noscript
      >
    </section>`,
  };
}
