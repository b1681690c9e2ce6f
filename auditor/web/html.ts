/**
 * HTML as a value that is safe by construction: whatever is put into html`…` is escaped, unless it is such a
 * value itself. Pure.
 */

export interface Html {
  readonly markup: string;
}

type Part = Html | string | number | null | undefined | false | readonly Part[];

/** Puts text and HTML together; attributes MUST stand in double quotes. Null, undefined and false are nothing. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let markup = texts[0] ?? '';
  parts.forEach((part, index) => (markup += markupOf(part) + (texts[index + 1] ?? '')));
  return { markup };
}

function markupOf(part: Part): string {
  if (part === null || part === undefined || part === false) return '';
  if (typeof part === 'string') return escapeHtml(part);
  if (typeof part === 'number') return String(part);
  return 'markup' in part ? part.markup : part.map(markupOf).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For text and for attributes in quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? '');
}

/** What would turn the text around it, hide in it, or end a line where none ends. */
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu;
const SHOWN_MAX = 160;

/**
 * Text that somebody else wrote, as an event's: isolated from the direction of what is around it, characters that
 * nobody sees by their number, cut to `max` with what is left said.
 */
export function shown(text: string, max: number = SHOWN_MAX): Html {
  const seen = text.slice(0, max).replace(UNSEEN, nameOf);
  const left = text.length - max;
  const more = left > 0 && html`<span class="more">… ${left} more characters</span>`;
  return html`<bdi>${seen}</bdi>${more}`;
}

function nameOf(char: string): string {
  const code = (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return `⟨U+${code}⟩`;
}
