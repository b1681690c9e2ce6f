/** One event: what it says, the bytes that were hashed, its place in the chain, and its way to a signed checkpoint. Pure. */
import type { Asked, RecordOfRow } from '../answer.ts';
import { memberOf, readJson } from '../../schemas/untrusted-json.ts';
import { html, shown, type Html } from './html.ts';
import type { Page } from './page.ts';
import { drawNoProof } from './proof-view.ts';
import { formatTime } from './times.ts';
import { drawOutcome } from './values.ts';

export interface EventView {
  /** Where one came from. */
  readonly back: string;
  /** Where its way to a signed checkpoint is; null: this server cannot show it. */
  readonly proof: string | null;
  readonly asked: Asked;
  readonly record: RecordOfRow;
  /** Whether the record has the hash that it states. */
  readonly isWhole: boolean;
}

const SECTIONS: readonly (readonly [name: string, title: string])[] = [
  ['actor', 'Who'],
  ['resource', 'What it was done to'],
  ['source', 'Where it came from'],
  ['correlation', 'What it belongs to'],
  ['metadata', 'More'],
];
const FACTS_MAX = 200;
const NO_FILES =
  'This server has no access to the files of the agent that sealed it. With them, `sealtrail prove` shows its way to a signed checkpoint.';

/** Draws it. The event may have any form: it may be forged. */
export function eventPage(view: EventView): Page {
  const { back, proof, asked, record, isWhole } = view;
  const event = readJson(record.event_bytes);
  const head = memberOf(event, 'event');
  const action = textOf(memberOf(head, 'action'));
  const time = textOf(memberOf(head, 'time'));
  const sections = SECTIONS.map(([name, title]) => drawSection(title, memberOf(event, name)));
  return {
    title: 'Event',
    at: 'questions',
    body: html`<nav class="crumbs" aria-label="Where you are">
        <a href="/">Questions</a>
        <a href="${back}">Back to the answer</a>
      </nav>
      <h1 class="event">
        ${shown(action === '' ? 'Event' : action, 120)}
        ${drawOutcome(textOf(memberOf(head, 'outcome')))}
      </h1>
      <p class="lead">
        <time datetime="${time}">${shown(formatTime(time, asked.timeZone), 60)}</time>
        ${asked.timeZone}${asked.timeZone !== 'UTC' && html` <span class="none">(${shown(formatTime(time, 'UTC'), 60)} UTC)</span>`}
      </p>
      <div class="columns">${sections}</div>
      <section class="sheet">
        <h2>Its place in the chain</h2>
        ${drawChain(record, isWhole)}
      </section>
      <section class="sheet">
        <h2>Its way to a signed checkpoint</h2>
        ${
          proof !== null
            ? html`<div data-part="${proof}" aria-live="polite">
                <p data-part-says><a href="${proof}">Show the way</a></p>
              </div>`
            : drawNoProof(NO_FILES)
        }
      </section>
      <details class="sheet">
        <summary>The bytes of the event, as the store has them</summary>
        <pre tabindex="0" role="region" aria-label="The bytes of the event">
${shown(record.event_bytes, 200_000)}</pre>
      </details>`,
  };
}

function drawChain(
  { stream, seq, prev_hash, this_hash, event_id }: RecordOfRow,
  isWhole: boolean,
): Html {
  const says = isWhole
    ? html`<p class="says intact">
        <span aria-hidden="true">✓</span> The record has the hash that it states: nothing in it was
        changed since it was sealed, or all behind it was sealed anew.
      </p>`
    : html`<p class="says broken">
        <span aria-hidden="true">✕</span> The record does not have the hash that it states. It was
        changed after it was sealed.
      </p>`;
  return html`${says}
    <dl class="facts wide-facts">
      <div>
        <dt>Event</dt>
        <dd><code>${shown(event_id)}</code></dd>
      </div>
      <div>
        <dt>Stream</dt>
        <dd><code>${shown(stream)}</code></dd>
      </div>
      <div>
        <dt>Number in it</dt>
        <dd>${seq}</dd>
      </div>
      <div>
        <dt>Hash of the record before</dt>
        <dd><code>${shown(prev_hash)}</code></dd>
      </div>
      <div>
        <dt>Its own hash</dt>
        <dd><code>${shown(this_hash)}</code></dd>
      </div>
    </dl>`;
}

function drawSection(title: string, value: unknown): Html | false {
  const facts: (readonly [string, string])[] = [];
  gather(value, '', facts);
  if (facts.length === 0) return false;
  return html`<section class="sheet">
    <h2>${title}</h2>
    <dl class="facts">
      ${facts.map(
        ([name, text]) =>
          html`<div>
            <dt>${shown(name, 80)}</dt>
            <dd>${shown(text, 1000)}</dd>
          </div>`,
      )}
    </dl>
  </section>`;
}

/** Members as path and text; null and what is empty is left out. */
function gather(value: unknown, path: string, facts: (readonly [string, string])[]): void {
  if (facts.length >= FACTS_MAX || value === null || value === undefined || value === '') return;
  if (typeof value !== 'object') {
    facts.push([path.replaceAll('_', ' '), String(value)]);
    return;
  }
  for (const [name, member] of Object.entries(value))
    gather(member, path === '' ? name : `${path} · ${name}`, facts);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
