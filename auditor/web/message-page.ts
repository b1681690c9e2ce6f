/** Pages that only say something: an error, a refusal, that something is not there. Pure. */
import { html } from './html.ts';
import type { Page } from './page.ts';

/** A heading, a sentence, and a way on. */
export function messagePage(
  title: string,
  sentence: string,
  way: { readonly href: string; readonly title: string } = {
    href: '/',
    title: 'Back to the questions',
  },
): Page {
  return {
    title,
    body: html`<section class="message">
      <h1>${title}</h1>
      <p>${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}</p>
      <p><a class="button" href="${way.href}">${way.title}</a></p>
    </section>`,
  };
}
