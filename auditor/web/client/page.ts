/**
 * What a page does beyond what it is: fetches its parts, takes the browser's time zone, checks records and proofs.
 * Everything but the checks works without.
 */
import { walkProof } from './proof.ts';
import { checkRecords, type Checked } from './records.ts';

const SIGNED_OUT = 401;

/** Parts come from the server that the page comes from, escaped there. */
const policy = globalThis.trustedTypes?.createPolicy('sealtrail', {
  createHTML: (markup) => markup,
});

function put(place: Element, markup: string): void {
  place.innerHTML = policy === undefined ? markup : policy.createHTML(markup);
}

async function loadPart(place: HTMLElement): Promise<void> {
  const says = place.querySelector('[data-part-says]');
  const path = place.dataset['part'] ?? '';
  const before = says?.querySelector('a')?.textContent ?? '';
  if (says !== null) says.textContent = 'One moment …';
  const ending = new AbortController();
  const watching = says === null ? undefined : watchProgress(place, says, ending);
  try {
    const { signal } = ending;
    const answer = await fetch(path, { headers: { accept: 'text/html' }, signal });
    if (answer.status === SIGNED_OUT) {
      says?.replaceChildren('Your session has ended. ', linkTo('/sign-in', 'Sign in again'));
      return;
    }
    if (!answer.ok) throw new Error(String(answer.status));
    put(place, await answer.text());
    place.classList.remove('pending', 'banner');
    enliven(place);
  } catch (error) {
    const message = ending.signal.aborted
      ? 'It was stopped. '
      : `It could not be loaded (${messageOf(error)}). `;
    says?.replaceChildren(message, linkTo(path, before));
  } finally {
    clearInterval(watching);
  }
}

const PROGRESS_MS = 2_000;

/** Says how far it is, of what takes long, and how to stop it: who leaves the page, stops it as well. */
function watchProgress(
  place: HTMLElement,
  says: Element,
  ending: AbortController,
): ReturnType<typeof setInterval> | undefined {
  const path = place.dataset['progress'];
  if (path === undefined) return undefined;
  // What is read aloud is that it has begun, and its end; not each number.
  const count = document.createElement('span');
  count.ariaLive = 'off';
  const stop = document.createElement('button');
  stop.type = 'button';
  stop.className = 'quiet';
  stop.textContent = 'Stop';
  stop.addEventListener('click', () => ending.abort());
  let isShown = false;
  const show = async (): Promise<void> => {
    const answer = await fetch(path, { signal: ending.signal });
    if (!answer.ok) return;
    count.textContent = `${await answer.text()} records so far. `;
    if (!isShown && place.contains(says))
      says.replaceChildren('The records are being checked … ', count, stop);
    isShown = true;
  };
  const tell = (error: unknown): void => void (count.title = messageOf(error));
  return setInterval(() => void show().catch(tell), PROGRESS_MS);
}

function linkTo(path: string, title: string): HTMLAnchorElement {
  const link = document.createElement('a');
  link.href = path;
  link.textContent = title;
  return link;
}

async function verify(button: HTMLButtonElement, report: HTMLElement): Promise<void> {
  // Not disabled: that would take the focus away.
  if (button.ariaBusy === 'true') return;
  button.ariaBusy = 'true';
  report.hidden = false;
  report.className = 'verification banner pending';
  try {
    const answer = await fetch(button.dataset['verify'] ?? '');
    if (answer.status === SIGNED_OUT) throw new Error('your session has ended');
    if (!answer.ok || answer.body === null) throw new Error(`the server answered ${answer.status}`);
    const began = performance.now();
    const checked = await checkRecords(answer.body, (count) => {
      report.textContent = `Checking … ${count.toLocaleString('en-US')} records`;
    });
    const unmatched = markRows(checked);
    tell(report, checked, unmatched, performance.now() - began);
  } catch (error) {
    report.className = 'verification banner cannot_tell';
    report.textContent = `Cannot tell: the records could not be read (${messageOf(error)}).`;
  } finally {
    button.ariaBusy = 'false';
  }
}

/** Marks the rows of this page; how many of them are not among what was checked. */
function markRows({ good, faults }: Checked): number {
  const bad = new Set(faults.map(({ hash }) => hash));
  let unmatched = 0;
  for (const row of document.querySelectorAll<HTMLElement>('tr[data-hash]')) {
    const hash = row.dataset['hash'] ?? '';
    const isGood = good.has(hash) && !bad.has(hash);
    if (!good.has(hash) && !bad.has(hash)) unmatched += 1;
    const mark = row.querySelector<HTMLElement>('[data-mark]');
    row.classList.toggle('bad', !isGood);
    if (mark === null) continue;
    mark.textContent = isGood ? '✓' : '✕';
    mark.className = isGood ? 'mark good' : 'mark bad';
    mark.setAttribute('role', 'img');
    mark.setAttribute('aria-label', isGood ? 'checked, unchanged' : 'checked, changed');
  }
  return unmatched;
}

function tell(
  report: HTMLElement,
  { count, faults }: Checked,
  unmatched: number,
  ms: number,
): void {
  const isGood = faults.length + unmatched === 0;
  report.className = `verification banner ${isGood ? 'intact' : 'broken'}`;
  const all = `${count.toLocaleString('en-US')} ${count === 1 ? 'record' : 'records'}`;
  const head = document.createElement('p');
  head.className = 'verdict';
  const sign = document.createElement('span');
  sign.className = 'sign';
  sign.setAttribute('aria-hidden', 'true');
  sign.textContent = isGood ? '✓' : '✕';
  const words = document.createElement('span');
  const verdict = isGood
    ? `${all} hashed in this browser, all of this answer: each has the hash that it states.`
    : `${faults.length} of ${all} are not what was sealed${unmatched === 0 ? '' : `, and ${unmatched} rows of this page are not among them`}.`;
  words.textContent = `${verdict} (${Math.max(1, Math.round(ms))} ms)`;
  head.append(sign, words);
  const list = document.createElement('ul');
  for (const { row, reason, place } of faults.slice(0, 20)) {
    const item = document.createElement('li');
    item.textContent = `Row ${row}: ${reason} (${place})`;
    list.append(item);
  }
  report.replaceChildren(head, ...(faults.length === 0 ? [] : [list]));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function takeOwnZone(select: HTMLSelectElement): void {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if ([...select.options].some(({ value }) => value === own)) select.value = own;
}

for (const select of document.querySelectorAll<HTMLSelectElement>('select[data-fresh]'))
  takeOwnZone(select);

/** What works with a script alone is shown by it: on the page, and in each part that comes later. */
function enliven(root: ParentNode): void {
  const report = document.querySelector<HTMLElement>('[data-verification]');
  for (const button of root.querySelectorAll<HTMLButtonElement>('button[data-verify]')) {
    button.hidden = false;
    if (report !== null) button.addEventListener('click', () => void verify(button, report));
  }
  for (const button of root.querySelectorAll<HTMLButtonElement>('button[data-walk]')) {
    button.hidden = false;
    button.addEventListener('click', walkProof);
  }
}

enliven(document);
for (const place of document.querySelectorAll<HTMLElement>('[data-part]')) void loadPart(place);
