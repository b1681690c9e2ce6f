/** The frame of every page: head, skip link, who is signed in, and what is in between. Pure. */
import type { Assets } from './assets.ts';
import { html, shown, type Html } from './html.ts';

export interface PageContext {
  readonly assets: Assets;
  /** For the forms of the page. */
  readonly csrf: string;
  readonly person: { readonly name: string; readonly isOperator: boolean } | null;
}

export interface Page {
  readonly title: string;
  readonly body: Html;
  /** Which link of the head is the page's own. */
  readonly at?: 'questions' | 'health';
  /** Where the browser goes on by itself. */
  readonly forward?: string;
}

/** The hidden field that every form needs. */
export function csrfField({ csrf }: PageContext): Html {
  return html`<input type="hidden" name="csrf" value="${csrf}" />`;
}

/** Draws a whole document. */
export function drawPage(context: PageContext, page: Page): string {
  const { assets, person } = context;
  const refresh =
    page.forward !== undefined &&
    html`<meta http-equiv="refresh" content="0;url=${page.forward}" />`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        ${refresh}
        <title>${page.title} · Sealtrail</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="${assets.style.path}" />
        <script type="module" src="${assets.script.path}"></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <div class="wide">
            <a class="brand" href="/">${LOGO}<span>Sealtrail</span></a>
            ${person !== null && drawNavigation(context, person, page.at)}
          </div>
        </header>
        <main id="main" class="wide" tabindex="-1">${page.body}</main>
        <footer class="wide">
          Answers come from the store of record, within what your login may see. Asking is recorded,
          too.
        </footer>
      </body>
    </html> `.markup;
}

function drawNavigation(
  context: PageContext,
  person: NonNullable<PageContext['person']>,
  at: Page['at'],
): Html {
  const link = (name: Page['at'], href: string, title: string): Html =>
    html`<a href="${href}" ${at === name && CURRENT}>${title}</a>`;
  return html`<nav aria-label="Main">
      ${link('questions', '/', 'Questions')}${person.isOperator && link('health', '/health', 'Health')}
    </nav>
    <form class="who" method="post" action="/sign-out">
      ${csrfField(context)}<span class="person">${shown(person.name, 40)}</span
      ><button class="quiet" type="submit">Sign out</button>
    </form>`;
}

const CURRENT = { markup: ' aria-current="page"' };

const LOGO: Html = {
  markup:
    '<svg viewBox="0 0 24 24" width="26" height="26" aria-hidden="true"><path class="logo-a" d="M12 1.8 20.5 5v6.6c0 5-3.4 8.8-8.5 10.6-5.1-1.800-8.500-5.600-8.500-10.600V5z"/><path class="logo-b" d="m7.800 12 3 3 5.600-6.200"/></svg>',
};
