/** The auditor's page in a browser: what an auditor does with it, also without a mouse, on a phone, and when records were changed. */
import { readFile } from 'node:fs/promises';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { err } from '../../../schemas/result.ts';
import { until } from '../../support/agent-peer.ts';
import {
  newContext,
  openAuditorPage,
  startBrowser,
  withRecordsAltered,
  type AuditorPage,
} from '../../support/browser.ts';
import { hasChromium, testWhere } from '../../support/host.ts';
import { createVisitor, fieldsOf } from '../../support/visitor.ts';
import { NOW_MS, PASSWORD, startWebStore, type WebStore } from '../../support/web-store.ts';
import { startWeb, type WebRun } from '../../support/web.ts';

const test = testWhere(hasChromium, 'the page in a browser (needs Debian’s chromium)');
const RECORDS = 120;
let store: WebStore;
let web: WebRun;
let browser: Browser;
let context: BrowserContext;
let alice: AuditorPage;
let page: Page;

beforeAll(async () => {
  if (!hasChromium) return;
  store = await startWebStore(RECORDS, [
    {
      actor: '<script>document.title="owned"</script>',
      action: 'note.add',
      resourceId: '\u202egnp',
    },
    ...Array.from({ length: 12 }, () => ({
      action: 'user.login',
      outcome: 'denied' as const,
      actor: 'u_guess',
    })),
  ]);
  web = await startWeb(store);
  browser = await startBrowser();
  context = await newContext(browser, { timezoneId: 'Europe/Zurich', reducedMotion: 'reduce' });
  alice = await openAuditorPage(context, web.url);
  ({ page } = alice);
});

afterAll(async () => {
  if (!hasChromium) return;
  await browser.close();
  await web.stop();
  await store.stop();
});

/** The answer about all that happened: asked once, looked at by many. */
let everything: string | null = null;
async function openEverything(): Promise<void> {
  if (everything === null) await alice.ask('What happened?');
  else {
    await page.goto(everything);
    await page.waitForSelector('.banner.intact');
  }
  everything = page.url();
}

test('every question is asked by its form and answered, with a certificate in words', async () => {
  // Forms work without a script: a browser would add nothing but its time.
  const visitor = createVisitor(web.url);
  const cards = await (await visitor.signIn('alice')).text();
  const links = [...cards.matchAll(/<h2><a href="\/questions\/([a-z-]+)">([^<]+)<\/a>/g)];
  expect(links.length).toBeGreaterThanOrEqual(14);
  for (const [, id = '', title = ''] of links) {
    const form = await (await visitor.get(`/questions/${id}`)).text();
    const answer = await visitor.get(await visitor.ask(id, fieldsOf(form)));
    const page = await answer.text();
    expect([title, answer.status]).toEqual([title, 200]);
    expect(page).toContain(`<h1>${title}</h1>`);
    expect(page).toMatch(/class="scroll rows"|class="empty"/);
  }
  await openEverything();
  const banner = await page.innerText('[aria-label=Certificate]');
  expect(banner).toMatch(/Intact\./);
  await page.click('text=What this rests on');
  expect(await page.innerText('[aria-label=Certificate]')).toContain('What is not shown');
  expect(alice.complaints).toEqual([]);
});

test('a certificate that takes long says how far it is, and Stop ends it, on the page and behind it', async () => {
  let isEnded = false;
  const slow = await startWeb(store, {
    certify: async (_login, _asked, { signal, onProgress }) => {
      onProgress?.(4_321);
      await new Promise((settle) => signal.addEventListener('abort', settle, { once: true }));
      isEnded = true;
      return err('it was given up before its end');
    },
  });
  const own = await newContext(browser);
  const { page: other, signIn } = await openAuditorPage(own, slow.url);
  await signIn();
  await other.click('main a:text-is("What happened?")');
  await other.click('main button[type=submit]');
  const banner = other.locator('[aria-label=Certificate]');
  await banner.getByRole('button', { name: 'Stop' }).waitFor();
  expect(await banner.innerText()).toContain('4,321 records so far.');
  expect(isEnded).toBe(false);
  await banner.getByRole('button', { name: 'Stop' }).click();
  await banner.getByText('It was stopped.').waitFor();
  await until(() => isEnded, 'the work behind it to end');
  // It can be begun again.
  expect(await banner.getByRole('link', { name: 'Check the records' }).count()).toBe(1);
  await own.close();
  await slow.stop();
});

test('answers turn page by page, each row once, in the time zone of the browser', async () => {
  await openEverything();
  const times: string[] = [];
  for (;;) {
    times.push(...(await page.locator('tbody time').allInnerTexts()));
    const next = page.locator('a[rel=next]');
    if ((await next.count()) === 0) break;
    const before = page.url();
    await next.click();
    await page.waitForURL(({ href }) => href !== before);
    await page.waitForSelector('.rows');
  }
  const all = store.records.map(({ event }) => event.event.time).sort();
  expect(times).toHaveLength(RECORDS + 13);
  const zurich = new Intl.DateTimeFormat('sv-SE', {
    timeZone: 'Europe/Zurich',
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  expect(times.map((time) => time.slice(0, 19))).toEqual(
    all.map((time) => zurich.format(new Date(time))),
  );
});

test('the timeline shows outcomes by pattern and word, and the same as a table', async () => {
  await openEverything();
  await page.waitForSelector('.chart');
  expect(await page.innerText('.legend')).toMatch(/success[^]*denied[^]*failure/);
  const fill = `getComputedStyle(document.querySelector('rect.bar.denied')).fill`;
  expect(await page.evaluate(fill)).toContain('#hatch');
  await page.click('text=The same as a table');
  const counted = await page.locator('.chart td').allInnerTexts();
  expect(counted.reduce((sum, cell) => sum + Number(cell), 0)).toBe(RECORDS + 13);
});

test('the check in the browser is green on what was sealed, and red on a record that was altered on its way', async () => {
  await openEverything();
  expect(await alice.verify()).toMatch(new RegExp(`intact: [^]*${RECORDS + 13} records`));
  expect(await page.locator('.mark.good').count()).toBe(50);
  const alterThird = (lines: readonly string[]): readonly string[] =>
    lines.with(2, lines[2]!.replace('u_', 'v_'));
  await withRecordsAltered(page, alterThird, async () =>
    expect(await alice.verify()).toMatch(
      /broken: [^]*1 of 133 records[^]*Row 3: its bytes do not have the hash/,
    ),
  );
  // A record that is left out is missed on the page that shows its row.
  const leaveOut = (lines: readonly string[]): readonly string[] => lines.toSpliced(1, 1);
  await withRecordsAltered(page, leaveOut, async () =>
    expect(await alice.verify()).toMatch(/broken: [^]*1 rows of this page are not among them/),
  );
});

test('a record that was altered in the store turns certificate, check and detail red, and names the row', async () => {
  const victim = store.records[7]!;
  const { seq } = victim.event.chain;
  const set = (text: string): Promise<void> =>
    store.tamper('UPDATE audit.records SET event_bytes = $1 WHERE event_id = $2', [
      text,
      victim.event.event_id,
    ]);
  await set(victim.eventText.replace('"name":"Ada"', '"name":"Eve"'));
  try {
    await alice.ask('What happened?');
    expect(await page.innerText('[aria-label=Certificate]')).toMatch(/Broken\.[^]*row 8/i);
    expect(await alice.verify()).toMatch(new RegExp(`broken: [^]*Row 8: [^]*number ${seq}\\)`));
    await page.click('[aria-label="Details of row 8"]');
    await page.waitForURL(/\/events\//);
    expect(await page.innerText('main')).toContain('does not have the hash that it states');
    // The proof is of what was sealed, and says so of what is shown.
    const proof = page.locator('[data-part] .says.broken');
    await proof.waitFor();
    expect(await proof.innerText()).toContain('is not what was sealed');
    expect(await page.innerText('[aria-label="The event as the ledger has it"]')).toContain('Ada');
  } finally {
    await set(victim.eventText);
  }
  await alice.ask('What happened?');
  expect(await page.innerText('[aria-label=Certificate]')).toMatch(/Intact/);
});

test('an event shows what it says, its place in the chain, and its way to a signed root, walked once more in the browser', async () => {
  await alice.ask('When did this administrator act as somebody else?', { actor: 'u_admin_alice' });
  await page.click('[aria-label="Details of row 1"]');
  await page.waitForSelector('[data-walk]:visible');
  const text = await page.innerText('main');
  expect(text).toContain('u_admin_alice');
  expect(text).toContain('a root that a trusted key has signed');
  expect(await page.locator('.path li').count()).toBeGreaterThan(8);
  await page.click('[data-walk]');
  expect(await page.innerText('[data-walked]')).toContain('Every step is right');
  await page.evaluate(
    `document.querySelector('li[data-sibling]').dataset.sibling = '00'.repeat(32)`,
  );
  await page.click('[data-walk]');
  expect(await page.innerText('[data-walked]')).toContain('do not lead to the root');
});

test('rows are taken away as CSV and NDJSON, all of them', async () => {
  await openEverything();
  const take = async (title: string): Promise<string> => {
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.click(`a:text-is("${title}")`),
    ]);
    return readFile(await file.path(), 'utf8');
  };
  const csv = await take('CSV');
  expect(csv.trimEnd().split('\r\n')).toHaveLength(RECORDS + 14);
  const lines = (await take('NDJSON')).trimEnd().split('\n');
  expect(lines).toHaveLength(RECORDS + 13);
  expect(JSON.parse(lines[0]!)).toMatchObject({ action: store.records[0]!.event.event.action });
});

test('a hostile event runs nothing', async () => {
  await alice.ask('Where was this done?', { action: 'note.add' });
  expect(await page.innerText('.rows tbody')).toContain('<script>document.title="owned"</script>');
  await page.click('[aria-label="Details of row 1"]');
  await page.waitForURL(/\/events\//);
  expect(await page.title()).toBe('Event · Sealtrail');
});

test('everything can be reached and done by keyboard alone', async () => {
  const own = await newContext(browser, { reducedMotion: 'reduce' });
  const keyed = await own.newPage();
  const focused = (): Promise<string> =>
    keyed.evaluate(`document.activeElement.textContent.trim()`);
  const tabTo = async (text: string): Promise<void> => {
    for (let pressed = 0; pressed < 60 && (await focused()) !== text; pressed += 1)
      await keyed.keyboard.press('Tab');
    expect(await focused()).toBe(text);
  };
  await keyed.goto(`${web.url}/sign-in`);
  await keyed.keyboard.press('Tab');
  expect(await focused()).toBe('Skip to the content');
  await keyed.keyboard.press('Enter');
  await keyed.keyboard.press('Tab');
  await keyed.keyboard.type('alice');
  await keyed.keyboard.press('Tab');
  await keyed.keyboard.type(PASSWORD);
  await keyed.keyboard.press('Enter');
  await keyed.waitForURL(`${web.url}/`);
  await tabTo('What did this actor do?');
  await keyed.keyboard.press('Enter');
  await keyed.waitForSelector('[name="p.actor"]');
  await tabTo('Questions');
  for (let pressed = 0; pressed < 9; pressed += 1) {
    if ((await keyed.evaluate(`document.activeElement.id`)) === 'f-actor') break;
    await keyed.keyboard.press('Tab');
  }
  await keyed.keyboard.type('u_ada');
  await keyed.keyboard.press('Enter');
  await keyed.waitForURL(/\/answers\//);
  await tabTo('Verify in this browser');
  await keyed.keyboard.press('Enter');
  await keyed.waitForSelector('.verification.intact');
  const outline = await keyed.evaluate(`getComputedStyle(document.activeElement).outlineStyle`);
  expect(outline).toBe('solid');
  await own.close();
});

test('no page has a barrier that axe finds, in light or dark; none scrolls sideways on a phone', async () => {
  // A short one: a row more or less is no other page.
  await alice.ask('When did this administrator act as somebody else?', { actor: 'u_admin_alice' });
  const answer = page.url();
  const detail = await page.locator('td.way a').first().getAttribute('href');
  const open = async (path: string): Promise<void> => {
    await page.goto(new URL(path, web.url).href);
    for (const one of await page.locator('summary:visible').all()) await one.click();
  };
  const expectNone = async (): Promise<void> => {
    expect(await alice.violations(), page.url()).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    const width = await page.evaluate(`document.documentElement.scrollWidth`);
    expect(width, page.url()).toBeLessThanOrEqual(360);
    await page.setViewportSize({ width: 1280, height: 720 });
  };
  for (const path of ['/', '/questions/actor-activity', '/health', '/nowhere']) {
    await open(path);
    // So many time zones are one option to axe as well.
    await page.evaluate(
      `document.querySelectorAll('#f-zone option:nth-child(n+4)').forEach((one) => one.remove())`,
    );
    await expectNone();
  }
  await open(detail ?? '');
  await page.waitForSelector('[data-walk]:visible');
  await expectNone();
  await page.goto(answer);
  await page.waitForSelector('.banner.intact');
  await page.waitForSelector('.chart');
  await alice.verify();
  for (const one of await page.locator('summary').all()) await one.click();
  // The other verdicts have colours of their own.
  await page.evaluate(`for (const kind of ['broken', 'cannot_tell']) {
    const banner = document.querySelector('[aria-label=Certificate] .banner').cloneNode(true);
    banner.classList.replace('intact', kind);
    document.querySelector('[aria-label=Certificate]').append(banner);
  }`);
  await expectNone();
});

test('an answer weighs less than 100 KB on the first visit, with style, script, certificate and timeline', async () => {
  await alice.signIn();
  const cold = await newContext(browser, { storageState: await context.storageState() });
  const first = await cold.newPage();
  const sizes: Promise<number>[] = [];
  first.on('requestfinished', (request) => {
    sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize));
  });
  await first.goto(everything ?? '');
  await first.waitForSelector('.banner.intact');
  await first.waitForSelector('.chart');
  // The page has them before it is told that they are here.
  await until(() => sizes.length >= 5, 'the ends of five requests');
  const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  expect(bytes).toBeGreaterThan(5_000);
  expect(bytes).toBeLessThan(100_000);
  await cold.close();
});

test('a session that has ended leads to the sign-in page; signing out ends it, and the sign-in page has no barrier', async () => {
  await alice.signIn();
  web.advance(15 * 60_000);
  await page.goto(web.url);
  expect(page.url()).toBe(`${web.url}/sign-in`);
  expect(await alice.violations()).toEqual([]);
  await alice.signIn();
  await page.click('text=Sign out');
  await page.waitForURL(`${web.url}/sign-in`);
  await page.goBack();
  await page.goto(web.url);
  expect(page.url()).toBe(`${web.url}/sign-in`);
  expect(NOW_MS).toBeLessThan(web.ports.nowMs());
});
