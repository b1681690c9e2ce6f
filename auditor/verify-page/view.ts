/** Shows what came of a check. All of it is put in as text: a bundle comes from anybody. */
import { formatWindow, windowsOf, type KeyWindow, type Trust } from '../../ledger/trust.ts';
import { cellText } from '../bundle/report.ts';
import type { BundleCheck } from '../check/bundle.ts';
import type { CheckLine } from '../check/line.ts';

export interface Shown {
  readonly result: BundleCheck;
  readonly trust: Trust | null;
  /** Whether the keys were put in, and did not come with the bundle. */
  readonly isOwn: boolean;
  readonly isSignatureChecked: boolean;
}

const ROWS_MAX = 500;
const UNVOUCHED =
  'What was checked here, line by line, and no more: nobody whose key is named has signed the certificate, so its own sentences about it are left out.';
const WORDS = { ok: 'ok', failed: 'failed', open: 'not judged' } as const;

/** An element of the page. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no #${id}`);
  return found;
}

/** Says why there is nothing to check. */
export function showFault(text: string): void {
  byId('status', HTMLElement).textContent = '';
  byId('result', HTMLElement).hidden = false;
  byId('rest', HTMLElement).hidden = true;
  banner('cannot_tell', 'Cannot tell', text);
}

/** Shows all of it. */
export function show({ result, trust, isOwn, isSignatureChecked }: Shown): void {
  const { verdict, finding, lines, certificate } = result;
  byId('status', HTMLElement).textContent = '';
  byId('result', HTMLElement).hidden = false;
  byId('rest', HTMLElement).hidden = false;
  const isConfirmed = isOwn || byId('confirm', HTMLInputElement).checked;
  const asksForKeys = verdict === 'intact' && !isConfirmed;
  byId('compare', HTMLElement).hidden =
    isOwn || trust === null || verdict === 'broken' || !isSignatureChecked;
  fill(
    byId('fingerprints', HTMLElement),
    (trust === null ? [] : windowsOf(trust)).map((window) => item('li', describeWindow(window))),
  );
  if (asksForKeys)
    banner(
      'cannot_tell',
      'Everything fits together',
      'One thing is left for you: compare the keys below with those that you have got in another way, and say so.',
    );
  else if (!isSignatureChecked && verdict === 'cannot_tell')
    banner(
      'cannot_tell',
      'Cannot tell',
      'Everything fits together, and this browser cannot check signatures (Ed25519). Use a newer one, or `sealtrail check`.',
    );
  else
    banner(
      verdict,
      { intact: 'Intact', broken: 'BROKEN', cannot_tell: 'Cannot tell' }[verdict],
      finding,
    );
  fill(byId('lines', HTMLElement), lines.map(lineItem));
  // Its sentences are as good as who has signed it.
  const proven = result.isSigned ? (certificate?.proven ?? []) : [UNVOUCHED];
  fill(
    byId('proven', HTMLElement),
    proven.map((text) => item('li', text)),
  );
  fill(
    byId('not-proven', HTMLElement),
    (certificate?.not_proven ?? []).map((text) => item('li', text)),
  );
  showQuestion(result);
  showRows(result);
}

/** A key for all sizes is another trust than the key within its window: whoever stole it may sign beyond. */
function describeWindow(window: KeyWindow): string {
  const { vkey, origin, from, to } = window;
  return origin === '*' && from === 0n && to === null ? vkey : formatWindow(window).trimEnd();
}

function banner(kind: string, word: string, text: string): void {
  const box = byId('verdict', HTMLElement);
  box.className = `verdict ${kind}`;
  fill(box, [item('strong', word), item('span', text)]);
}

function lineItem({ what, state, text, row }: CheckLine): HTMLElement {
  const line = item('li', '');
  line.className = state;
  line.append(
    item('b', `${what}, ${WORDS[state]}`),
    row === undefined ? ` ${text}` : ` row ${row}: ${text}`,
  );
  return line;
}

function showQuestion({ question, certificate, time }: BundleCheck): void {
  const facts: [string, string][] = [];
  if (question !== null && certificate !== null) {
    const { asked, login } = certificate;
    const parameters = Object.entries(asked.parameters).map(
      ([name, value]) => `${name} = ${value}`,
    );
    facts.push(
      ['Question', question.title],
      ['Tenant', asked.tenant],
      ['Time of the events', `from ${asked.since} up to, not including, ${asked.until}`],
      ['Asked for', parameters.join(', ') || 'no further limits'],
      ['Asked by', `database login ${login}`],
      ['Certificate made at', time ?? 'not said'],
      ['Statement', question.statement.sql],
    );
  }
  fill(
    byId('question', HTMLElement),
    facts.flatMap(([name, value]) => [item('dt', name), item('dd', value)]),
  );
}

function showRows({ question, rows, lines, certificate, isSigned }: BundleCheck): void {
  const bad = new Map(
    lines.flatMap(({ row, text, state }) =>
      state === 'failed' && row !== undefined ? [[row, text] as const] : [],
    ),
  );
  for (const { rows: named, message } of isSigned ? (certificate?.findings ?? []) : [])
    for (const row of named) bad.set(row, message);
  const columns = question?.columns ?? [];
  const head = document.createElement('tr');
  head.append(item('th', 'Row'), ...columns.map(({ title }) => item('th', title)));
  // The rows that are wrong are shown, wherever they stand.
  const some = rows.filter(({ row }, at) => at < ROWS_MAX || bad.has(row));
  const zone = certificate?.asked.timeZone ?? 'UTC';
  const body = some.map(({ row, values }) => {
    const line = document.createElement('tr');
    if (bad.has(row)) {
      line.className = 'bad';
      line.title = bad.get(row) ?? '';
    }
    line.append(
      item('td', String(row)),
      ...columns.map((column, at) => item('td', cellText(values[at] ?? null, column, zone))),
    );
    return line;
  });
  fill(byId('head', HTMLElement), [head]);
  fill(byId('body', HTMLElement), body);
  const hidden = rows.length - some.length;
  byId('more', HTMLElement).textContent =
    hidden > 0 ? `${hidden} more rows were checked and are not shown.` : '';
}

function item(name: string, text: string): HTMLElement {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

function fill(parent: HTMLElement, children: readonly HTMLElement[]): void {
  parent.replaceChildren(...children);
}
