/** verify.html in a real browser, from file://, without a network: it sees what sealtrail check sees. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { CHROMIUM, hasChromium, testWhere } from '../support/host.ts';
import { FILES } from '../../auditor/bundle/names.ts';
import { unzipBundle } from '../../auditor/bundle/unzip.ts';
import { writeBundle } from '../../auditor/bundle/write.ts';
import { sha256Of } from '../../auditor/check/files.ts';
import { makeTempDir } from '../support/ledger.ts';
import {
  ASKED,
  COLUMNS,
  createSigner,
  openEvidenceStore,
  readRows,
  STATEMENT,
  trustOf,
} from './evidence-store.ts';

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'];
let temp: Awaited<ReturnType<typeof makeTempDir>>;
let browser: Browser;
let page: Page;
let agentKey = '';
const faults: string[] = [];
const asked: string[] = [];

const test = testWhere(hasChromium, 'verify.html in a browser (needs Debian’s chromium)');

beforeAll(async () => {
  if (!hasChromium) return;
  temp = await makeTempDir();
  await using bench = await openEvidenceStore();
  agentKey = bench.signer.vkey;
  const client = new pg.Client(bench.alice);
  await client.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const given = {
    ...{ client, asked: ASKED, statement: STATEMENT, columns: COLUMNS, known: null },
    ...{ title: 'What did this actor do?', verifier: 'sealtrail test' },
    trust: trustOf(bench.signer),
    rows: await readRows(client, STATEMENT),
    signer: createSigner('auditor/alice'),
    time: '2026-11-26T12:00:00.000Z',
  };
  await writeBundle({ ...given, path: join(temp.path, 'bundle.zip') });
  await client.end();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  const context = await browser.newContext({
    offline: true,
    viewport: { width: 1200, height: 1400 },
  });
  // Far above what a slow machine takes.
  context.setDefaultTimeout(120_000);
  page = await context.newPage();
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (said) => said.type() === 'error' && faults.push(said.text()));
  page.on('request', (request) => asked.push(request.url()));
  // As it comes with the bundle.
  const files = await filesOf();
  await writeFile(join(temp.path, 'verify.html'), files.get(FILES.verify)!);
});
afterAll(async () => {
  if (!hasChromium) return;
  await browser.close();
  await temp[Symbol.asyncDispose]();
});
beforeEach(async () => {
  if (!hasChromium) return;
  await page.goto(`file://${join(temp.path, 'verify.html')}`);
});

async function filesOf(): Promise<Map<string, Uint8Array>> {
  const files = unzipBundle(await readFile(join(temp.path, 'bundle.zip')));
  if (!files.ok) throw new Error(files.error);
  return new Map(files.value);
}

/** Puts the files of a bundle into a folder, one of them changed, and the manifest made anew. */
async function unpack(
  name: string,
  file: string,
  change: (text: string) => string,
): Promise<string> {
  const dir = join(temp.path, name);
  const files = await filesOf();
  const before = Buffer.from(files.get(file)!).toString();
  const after = change(before);
  expect(after).not.toBe(before);
  files.set(file, Buffer.from(after));
  files.delete(FILES.manifest);
  const lines = [...files].map(([one, bytes]) => `${sha256Of(bytes)}  ${one}\n`);
  files.set(FILES.manifest, Buffer.from(lines.join('')));
  for (const [one, bytes] of files) {
    await mkdir(join(dir, one, '..'), { recursive: true });
    await writeFile(join(dir, one), bytes);
  }
  return dir;
}

const verdict = (): Promise<string> => page.locator('#verdict').innerText();

test('an untouched bundle fits together, and is intact once its keys are known: it asks no network', async () => {
  await page.setInputFiles('#zip', join(temp.path, 'bundle.zip'));
  await page.waitForSelector('#verdict strong');
  expect(await verdict()).toContain('Everything fits together');
  expect(await page.locator('#fingerprints').innerText()).toContain(agentKey);
  await page.check('#confirm');
  await page.waitForSelector('.verdict.intact');
  expect(await verdict()).toMatch(/^Intact\s+Intact: all 10 rows and 50 records/);
  expect(await page.locator('#lines .failed').count()).toBe(0);
  expect(await page.locator('#lines .open').count()).toBe(0);
  expect(await page.locator('#body tr').count()).toBe(10);
  await page.setInputFiles('#zip', []);
  await page.setInputFiles('#zip', join(temp.path, 'bundle.zip'));
  await page.waitForSelector('.verdict.cannot_tell');
  expect(await page.isChecked('#confirm')).toBe(false);
  expect(asked.filter((url) => !url.startsWith('file://') && !url.startsWith('blob:'))).toEqual([]);
  expect(faults).toEqual([]);
});

test('with the key put in by hand there is nothing left to compare; with another key nothing can be told', async () => {
  await page.locator('summary').click();
  await page.fill('#keys', agentKey);
  await page.setInputFiles('#zip', join(temp.path, 'bundle.zip'));
  await page.waitForSelector('.verdict.intact');
  await page.fill('#keys', createSigner().vkey);
  await page.locator('#keys').blur();
  await page.waitForSelector('.verdict.cannot_tell');
  expect(await verdict()).toContain('Cannot tell');
});

test('a key is shown with what it may sign: one that was replaced is not compared as if it were not', async () => {
  const dir = await unpack('window', FILES.keys, (text) => text.replace(' 0 -', ' 0 1000'));
  await page.setInputFiles('#folder', dir);
  await page.waitForSelector('#fingerprints li');
  expect(await page.locator('#fingerprints li').first().innerText()).toBe(`${agentKey} * 0 1000`);
  await page.setInputFiles('#zip', join(temp.path, 'bundle.zip'));
  await page.getByText(agentKey, { exact: true }).waitFor();
});

test('a record that was changed is red, and its row is named', async () => {
  const dir = await unpack('edited', FILES.rows, (text) =>
    text.replace('\\"amount\\":36', '\\"amount\\":37'),
  );
  await page.setInputFiles('#folder', dir);
  await page.waitForSelector('.verdict.broken');
  expect(await verdict()).toMatch(/BROKEN\s+BROKEN at row 3: the event does not have the hash/);
  expect(await page.locator('#body tr.bad td').first().innerText()).toBe('3');
  expect(faults).toEqual([]);
});

test('a signature that was changed is red', async () => {
  const dir = await unpack('signed', FILES.note, (text) =>
    text.replace(/.{20}(={0,2}\n)$/, (end) =>
      end.replace(/[A-Za-z]/, (one) => (one === 'A' ? 'B' : 'A')),
    ),
  );
  await page.setInputFiles('#folder', dir);
  await page.waitForSelector('.verdict.broken');
  expect(await verdict()).toContain('BROKEN in its certificate');
});

test('markup in a bundle stays text, and what is no bundle is said to be none', async () => {
  const dir = await unpack('markup', FILES.question, (text) =>
    text
      .replace('What did this actor do?', 'What nobody did')
      .replace('"title":"Acting as"', '"title":"<img src=x onerror=alert(1)>"'),
  );
  await page.setInputFiles('#folder', dir);
  await page.waitForSelector('.verdict.broken');
  expect(await page.locator('#head').innerText()).toContain('<img src=x onerror=alert(1)>');
  // The name of the question is the catalogue's.
  expect(await page.locator('#question dd').first().innerText()).toBe('What did this actor do?');
  expect(await page.locator('img').count()).toBe(0);
  await writeFile(join(temp.path, 'no.zip'), 'PK nothing');
  await page.setInputFiles('#zip', join(temp.path, 'no.zip'));
  await page.getByText('it is no zip file').waitFor();
  expect(await page.locator('#rest').isVisible()).toBe(false);
});

test('the page says by which digest its script runs, and nothing else may', async () => {
  const html = await readFile(join(temp.path, 'verify.html'), 'utf8');
  expect(html).toContain(`default-src 'none'; script-src 'sha256-`);
  expect(html.match(/<script/g)).toHaveLength(1);
  expect(html).not.toMatch(/https?:\/\/(?!www\.w3\.org)/);
});
