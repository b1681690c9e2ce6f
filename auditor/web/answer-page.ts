/** An answer: the question in words, its certificate, its timeline, its rows, and ways to take it away. Pure. */
import type { AnswerPage, AnswerRow, Asked, Column } from '../answer.ts';
import { certificatePlace } from './certificate-view.ts';
import { html, shown, type Html } from './html.ts';
import type { Page } from './page.ts';
import type { Question } from '../questions/question.ts';
import { formatMinute } from './times.ts';
import { drawValue } from './values.ts';

export interface AnswerView {
  readonly id: string;
  readonly question: Question;
  readonly asked: Asked;
  readonly page: AnswerPage;
  /** From 0. */
  readonly number: number;
  readonly rowsBefore: number;
  /** Null: there are none. `key` is the public half of what signs them; null: nothing does. */
  readonly bundle: { readonly key: string | null } | null;
}

/** Draws a page of it. */
export function answerPage(view: AnswerView): Page {
  const { id, question, asked, page, number } = view;
  const isOfRecords = page.rows.some(({ record }) => record !== null);
  const body =
    page.rows.length === 0
      ? html`<p class="empty">
          ${number === 0 ? 'No event matches. That is an answer, too: the certificate says how far it reaches.' : 'There are no more rows.'}
        </p>`
      : drawRows(view);
  return {
    title: question.title,
    at: 'questions',
    body: html`${drawHead(id, question, asked)}
      <section aria-label="Certificate" aria-live="polite">${certificatePlace(id)}</section>
      <div class="actions bar">
        ${isOfRecords && drawVerify(id)}<a
          class="button quiet"
          href="/answers/${id}/export.csv"
          download
          >CSV</a
        ><a class="button quiet" href="/answers/${id}/export.ndjson" download>NDJSON</a
        >${view.bundle !== null && html`<a class="button quiet" href="/answers/${id}/bundle.zip" download>Evidence bundle</a>`}
      </div>
      ${view.bundle !== null && drawSignature(view.bundle.key)}
      <section
        class="verification"
        aria-label="Check in this browser"
        aria-live="polite"
        data-verification
        hidden
      ></section>
      <section aria-label="Timeline" class="sheet" data-part="/answers/${id}/timeline">
        <p class="hint" data-part-says><a href="/answers/${id}/timeline">Draw the timeline</a></p>
      </section>
      ${body}${drawPager(view)}${drawStatement(page)}`,
  };
}

/** The question in words; also of the pages beside it. */
export function drawHead(id: string, question: Question, asked: Asked): Html {
  const { tenant, since, until, timeZone: zone, parameters } = asked;
  const chips = question.parameters.flatMap(({ name, title, default: usual }) => {
    const value = parameters[name] ?? usual ?? '';
    return value === '' ? [] : [drawChip(title, shown(value, 80))];
  });
  const range = `${formatMinute(since, zone)} – ${formatMinute(until, zone)}`;
  return html`<nav class="crumbs" aria-label="Where you are">
      <a href="/">Questions</a> <a href="/answers/${id}/change">Change the question</a>
    </nav>
    <h1>${question.title}</h1>
    <dl class="chips">
      ${chips}${drawChip('When', html`${range}`)}${drawChip('Times in', html`${zone}`)}${drawChip('Tenant', shown(tenant, 80))}
    </dl>`;
}

function drawChip(title: string, value: Html): Html {
  return html`<div>
    <dt>${title}</dt>
    <dd>${value}</dd>
  </div>`;
}

function drawVerify(id: string): Html {
  return html`<button type="button" data-verify="/answers/${id}/records" hidden>
    Verify in this browser
  </button>`;
}

/** Whose words a bundle's certificate is. */
function drawSignature(key: string | null): Html {
  if (key === null)
    return html`<p class="hint signature">
      <strong>Evidence bundles are not signed here.</strong> They can be checked all the same, but
      that their words are of this page rests on how you hand them on. Ask your administrator for a
      key: <code>sealtrail web --certificate-key</code>.
    </p>`;
  return html`<details class="hint signature">
    <summary>Evidence bundles are signed by this page</summary>
    <p>
      Its public key is below. Whoever checks a bundle needs it beside the agent’s: give it to them
      by another way than the bundle.
    </p>
    <code>${key}</code>
  </details>`;
}

function drawRows({ id, asked, page, number, rowsBefore }: AnswerView): Html {
  // Each row leads to its event.
  const columns = page.columns.flatMap((column, index) =>
    column.name === 'event_id' ? [] : [{ column, index }],
  );
  const isOfRecords = page.rows.some(({ record }) => record !== null);
  const head = columns.map(
    ({ column }) =>
      html`<th scope="col" ${column.kind === 'number' && NUMBER}>${column.title}</th>`,
  );
  const rows = page.rows.map((row, index) =>
    drawRow(row, rowsBefore + index + 1, columns, asked.timeZone, `/answers/${id}/pages/${number}`),
  );
  const from = rowsBefore + 1;
  return html`<div class="scroll rows" tabindex="0" role="region" aria-labelledby="rows">
    <table>
      <caption id="rows">
        Rows ${from} to ${rowsBefore + rows.length}${page.next !== null && ', and more'}
      </caption>
      <thead>
        <tr>
          <th scope="col" class="number">Row</th>
          ${head}${isOfRecords && html`<th scope="col"><span class="hidden">Event</span></th>`}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;
}

function drawRow(
  { values, record }: AnswerRow,
  place: number,
  columns: readonly { readonly column: Column; readonly index: number }[],
  zone: string,
  base: string,
): Html {
  const cells = columns.map(({ column, index }) => {
    const value = drawValue(values[index] ?? null, column, zone);
    return html`<td data-title="${column.title}" ${column.kind === 'number' && NUMBER}>
      ${value}
    </td>`;
  });
  if (record === null)
    return html`<tr>
      <th scope="row" class="number">${place}</th>
      ${cells}
    </tr>`;
  return html`<tr data-hash="${record.this_hash}">
    <th scope="row" class="number">${place}<span class="mark" data-mark></span></th>
    ${cells}
    <td class="way">
      <a
        href="${base}/events/${encodeURIComponent(record.event_id)}"
        aria-label="Details of row ${place}"
        >Details</a
      >
    </td>
  </tr>`;
}

const NUMBER = { markup: ' class="number"' };

function drawPager({ id, number, page }: AnswerView): Html | false {
  if (number === 0 && page.next === null) return false;
  const before =
    number > 0 &&
    html`<a class="button quiet" rel="prev" href="/answers/${id}/pages/${number - 1}"
      >Previous page</a
    >`;
  const after =
    page.next !== null &&
    html`<a class="button quiet" rel="next" href="/answers/${id}/pages/${number + 1}"
      >Next page</a
    >`;
  return html`<nav class="pager" aria-label="Pages">
    ${before}<span>Page ${number + 1}</span>${after}
  </nav>`;
}

function drawStatement({ statement }: AnswerPage): Html {
  const values = statement.values.map(
    (value) => html`<li><code>${shown(JSON.stringify(value) ?? '', 400)}</code></li>`,
  );
  return html`<details class="sheet how">
    <summary>How it was answered</summary>
    <p>One statement, run as your own database login. Anybody with that login can run it again.</p>
    <pre tabindex="0" role="region" aria-label="SQL">${statement.sql}</pre>
    ${
      values.length > 0 &&
      html`<ol class="values">
        ${values}
      </ol>`
    }
  </details>`;
}
