/** How values of an answer are shown. Pure. */
import type { Column } from '../answer.ts';
import { html, shown, type Html } from './html.ts';
import { formatTime } from './times.ts';

const OUTCOMES: Readonly<Record<string, readonly [string, string]>> = {
  success: ['ok', '✓'],
  denied: ['denied', '✕'],
  failure: ['failure', '!'],
};

/** Is not broken into lines. */
const SHORT = 24;

/** A value of a column; times in the zone of the question. */
export function drawValue(value: string | number | null, column: Column, zone: string): Html {
  if (value === null || value === '') return html`<span class="none">–</span>`;
  if (column.kind === 'number') return html`${Number(value).toLocaleString('en-US')}`;
  if (column.kind === 'time')
    return html`<time datetime="${String(value)}">${shown(formatTime(String(value), zone))}</time>`;
  const text = String(value);
  if (column.name === 'outcome') return drawOutcome(text);
  return text.length <= SHORT ? html`<span class="short">${shown(text)}</span>` : shown(text);
}

/** By a sign, a word and a colour. */
export function drawOutcome(outcome: string): Html {
  const [kind, sign] = OUTCOMES[outcome] ?? ['other', '·'];
  return html`<span class="outcome ${kind}"
    ><span aria-hidden="true">${sign}</span> ${shown(outcome, 40)}</span
  >`;
}
