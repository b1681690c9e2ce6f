/**
 * Task 18: a forensic investigation over the whole trail. `sealtrail demo` makes the store; what was found is compared
 * with the generator's ground truth, which nothing but this test reads. docs/INVESTIGATION.md is the walkthrough.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect } from 'vitest';
import type { AnswerRow, Asked } from '../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import type { Truth } from '../../demo/story.ts';
import { runCli, type Ran } from '../support/agent-process.ts';
import { makeTempDir } from '../support/ledger.ts';
import { describeTask } from './criterion.ts';
import { readSection } from './documents.ts';

const PAGE = 'docs/INVESTIGATION.md';
const OCTOBER = { since: '2026-10-01T00:00:00Z', until: '2026-11-01T00:00:00Z', timeZone: 'UTC' };
const ALICE = { actor: 'u_admin_alice' };

interface GroundTruth extends Omit<Truth, 'hidden'> {
  readonly tampering: { readonly event_id: string; readonly stream: string; readonly seq: number };
}

interface Place {
  readonly dir: string;
  readonly url: string;
}

let root: Awaited<ReturnType<typeof makeTempDir>>;
let dir: string;
let keys: string;
let url: string;
/** The same story with every record as it was sealed. */
let untouched: Place;
let auditor: Auditor;
let truth: GroundTruth;

async function makeDemo(name: string, ...more: readonly string[]): Promise<Place> {
  const made = join(root.path, name);
  const ran = await runCli(['demo', '--data-dir', made, '--month', '2026-10', ...more]);
  expect([ran.code, ran.stdout]).toEqual([0, expect.stringContaining('AUDITOR_URL')]);
  return { dir: made, url: /AUDITOR_URL='([^']+)'/.exec(ran.stdout)?.[1] ?? '' };
}

const investigate = (id: string): Promise<Ran> =>
  runCli([
    ...['investigate', id, '--store', url, '--logs', join(dir, 'operations/app.ndjson')],
    ...['--traces', join(dir, 'operations/traces.ndjson')],
  ]);
const verify = (...of: readonly string[]): Promise<Ran> =>
  runCli(['verify', ...of, '--trust', keys]);

async function ask(
  question: string,
  parameters: Asked['parameters'],
  by: Auditor = auditor,
  tenant = 'acme',
): Promise<readonly AnswerRow[]> {
  const answer = await by.ask({ question, tenant, ...OCTOBER, parameters }, { limit: 1_000 });
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value.rows;
}
const idsOf = (rows: readonly AnswerRow[]): string[] =>
  rows.flatMap(({ record }) => record?.event_id ?? []);

describeTask(18, (criterion) => {
  beforeAll(async () => {
    root = await makeTempDir();
    [{ dir, url }, untouched] = (await Promise.all([
      makeDemo('demo-data'),
      makeDemo('untouched', '--no-tampering'),
    ])) as [Place, Place];
    keys = join(root.path, 'keys.txt');
    await writeFile(keys, (await runCli(['keys', 'list', '--data-dir', dir])).stdout);
    truth = JSON.parse(readFileSync(join(dir, 'ground-truth.json'), 'utf8')) as GroundTruth;
    auditor = createAuditor({ url });
  });
  afterAll(async () => {
    auditor.close();
    for (const one of [dir, untouched.dir])
      expect(await runCli(['demo', '--data-dir', one, '--stop'])).toMatchObject({ code: 0 });
    await rm(root.path, { recursive: true, force: true });
  });

  criterion('anomalous accesses are found by query', async (say) => {
    const outside = idsOf(await ask('access-outside-tickets', ALICE));
    const { event_id: altered } = truth.tampering;
    // All but the one that no longer speaks of her: that is the verifier's to find.
    expect(outside).toEqual(
      truth.alice.outside.map(({ event_id }) => event_id).filter((id) => id !== altered),
    );
    const night = truth.alice.outside.find(({ on_behalf_of }) => on_behalf_of !== null);
    expect(idsOf(await ask('impersonations', ALICE))).toContain(night?.event_id);
    expect(idsOf(await ask('off-hours', ALICE))).toContain(night?.event_id);
    const [guessed] = await ask('denials-per-hour', { threshold: '20' });
    expect(guessed?.values).toEqual(
      expect.arrayContaining([truth.brute_force.actor, truth.brute_force.denials]),
    );
    expect(idsOf(await ask('exports-over-rows', { rows: '10000' }))).toEqual([truth.large_export]);
    const nightly = ['configuration', 'access_control'].map((category) =>
      ask('off-hours', { category }),
    );
    expect((await Promise.all(nightly)).flatMap(idsOf)).toEqual(
      expect.arrayContaining([...truth.off_hours]),
    );
    say(`${outside.length} accesses by one query, as the generator has them`);
  });

  criterion('ticket-backed accesses are told from the others', async (say) => {
    const all = idsOf(await ask('actor-activity', ALICE));
    const outside = new Set(idsOf(await ask('access-outside-tickets', ALICE)));
    for (const id of truth.alice.covered) {
      expect(all).toContain(id);
      expect(outside.has(id)).toBe(false);
    }
    // Each way of being outside is among them, those with a ticket in the event as well.
    const whys = new Set(truth.alice.outside.map(({ why }) => why));
    expect(whys.size).toBe(5);
    say(`${truth.alice.covered.length} backed by a ticket, ${outside.size} not`);
  });

  criterion('operational evidence is produced for one suspect access', async (say) => {
    const { event_id, request_id, rows } = truth.alice.suspect;
    const { code, stdout } = await investigate(event_id);
    expect(code).toBe(0);
    expect(stdout).toContain(`request_id ${request_id}`);
    expect(stdout).toContain(`rows    ${rows} (customer.export`);
    expect(stdout).toMatch(/upload {2}\d\.\d\d s \(upload\)/);
    expect(stdout).toContain(`stored exports/${request_id}.csv`);
    expect(stdout).toContain('user    u_admin_alice, as the spans say\n');
    say(`${rows} rows, with log lines and spans`);
  });

  criterion('the verifier certifies or refutes the records', async () => {
    const store = await verify('--store', url, '--checkpoints', dir);
    expect(store.code, 'the store is refuted').toBe(1);
    expect(store.stdout.match(/^BROKEN {2}/gm)).toHaveLength(1);
    const ledger = await verify(dir);
    expect([ledger.code, ledger.stdout]).toEqual([0, expect.stringContaining('\nintact: ')]);
    // Without the tampering the same verifier certifies the same story.
    const { dir: clean, url: cleanUrl } = untouched;
    const certified = await runCli(['verify', '--store', cleanUrl, '--checkpoints', clean]);
    expect([certified.code, certified.stdout]).toEqual([0, expect.stringContaining('\nintact: ')]);
    const by = createAuditor({ url: cleanUrl });
    expect(idsOf(await ask('access-outside-tickets', ALICE, by))).toEqual(
      truth.alice.outside.map(({ event_id }) => event_id),
    );
    by.close();
  });

  criterion('a finding is written that a compliance officer can use', async (say) => {
    const finding = readSection(PAGE, 'The finding');
    for (const { event_id, time, customer, on_behalf_of } of truth.alice.outside)
      expect(finding).toMatch(
        new RegExp(
          `\\| ${time.slice(0, 19).replace('T', ' ')} \\| ${customer} \\| ${on_behalf_of ?? ''} ?\\| ${event_id} \\|`,
        ),
      );
    expect(finding.match(/^\| 2026-/gm)).toHaveLength(truth.alice.outside.length);
    expect(finding).toContain(`req-${truth.alice.suspect.request_id.slice(4)}`);
    expect(finding).toContain(`record ${truth.tampering.seq}`);
    expect(finding).toContain('BROKEN in the range, at record sealtrail/demo/…/financial seq');
    expect(finding).toContain('`finding.zip`');
    for (const part of ['Answer', 'By whom', 'Evidence', 'Integrity', 'Not proven'])
      expect(finding).toContain(part);
    // Each command of the page is one that there is, and does what the page says.
    const commands = await runPage();
    expect(commands).toBeGreaterThan(12);
    say(`${truth.alice.outside.length} accesses named; ${commands} commands of the page run`);
  });

  criterion('a planted modification is surfaced', async () => {
    const { event_id, stream, seq } = truth.tampering;
    const { stdout } = await verify('--store', url, '--checkpoints', dir);
    expect(stdout).toMatch(
      new RegExp(
        `^BROKEN {2}modified .* stream ${stream} seq ${seq}\n.*changed after it was sealed`,
        'm',
      ),
    );
    expect(stdout).toContain(`stream  ${stream}  verified to seq ${seq - 1}; nothing is proven`);
    const shown = await investigate(`${stream}:${seq}`);
    expect(shown.stdout).toContain('who    admin u_admin_bob');
    expect(shown.stdout).toContain('ITS HASH IS WRONG');
    expect(shown.stdout).toContain('u_admin_alice, as the spans say: NOT WHO THE RECORD NAMES');
    const proof = join(root.path, 'one.proof');
    await runCli(['prove', event_id, '--data-dir', dir, '--out', proof]);
    const checked = await runCli(['check', proof, '--trust', keys, '--json']);
    expect(JSON.parse(checked.stdout)).toMatchObject({
      verdict: 'proven',
      event: { event_id, actor: { id: 'u_admin_alice' } },
    });
  });

  criterion("tenant A's auditor could not have seen tenant B", async () => {
    const admin = new pg.Client(adminUrl());
    await admin.connect();
    await admin.query(
      "CREATE ROLE globex_auditor LOGIN PASSWORD 'a-password-of-globex' IN ROLE sealtrail_auditor",
    );
    await admin.query("INSERT INTO audit.auditor_tenants VALUES ('globex_auditor', 'globex')");
    await admin.end();
    const own = new URL(url);
    own.username = 'globex_auditor';
    own.password = 'a-password-of-globex';
    const theirs = createAuditor({ url: own.href });
    expect((await ask('all-activity', {}, theirs, 'globex')).length).toBeGreaterThan(100);
    await expect(ask('actor-activity', ALICE, theirs, 'acme')).rejects.toThrow(
      'this login may not see tenant acme',
    );
    theirs.close();
    // A boundary of the database, whatever is asked of it.
    const client = new pg.Client(own.href);
    await client.connect();
    const seen = await client.query('SELECT DISTINCT tenant_id FROM audit.records');
    expect(seen.rows).toEqual([{ tenant_id: 'globex' }]);
    await client.end();
    const other = await runCli([
      ...['investigate', truth.tampering.event_id, '--store', own.href],
      ...['--logs', keys, '--traces', keys],
    ]);
    expect([other.code, other.stdout]).toEqual([1, expect.stringContaining('AUDIT EVENTS  0')]);
  });
});

function adminUrl(): string {
  const passwords = JSON.parse(
    readFileSync(join(dir, 'keys/postgres-passwords.json'), 'utf8'),
  ) as Record<string, string>;
  const admin = new URL(url);
  admin.username = 'sealtrail_admin';
  admin.password = passwords['admin'] ?? '';
  return admin.href;
}

/** Runs the page's commands as they stand there, on this store; how many. */
async function runPage(): Promise<number> {
  const text = readFileSync(join(import.meta.dirname, '../..', PAGE), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].map((match) => match[1] ?? '');
  const lines = blocks
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('sealtrail '));
  const place = { AUDITOR_URL: url, STREAM: truth.tampering.stream };
  for (const line of lines) {
    const [command = '', said = ''] = line.split(/\s+#\s/);
    const words = command
      .replace(/ >>? \S+$/, '')
      .replace(/\$(\w+)/g, (_, name: 'AUDITOR_URL') => place[name])
      .replaceAll('"', '')
      .replaceAll('demo-data', dir)
      .replaceAll('keys.txt', keys)
      .replaceAll(/true\.proof|finding\.zip|auditor\.key/g, (name) => join(root.path, name))
      .split(' ')
      .slice(1);
    if (words[0] === 'demo') continue;
    const ran = await runCli(words);
    expect([line, ran.code]).toEqual([line, Number(/exit code (\d)/.exec(said)?.[1] ?? 0)]);
    if (command.endsWith('>> keys.txt')) appendFileSync(keys, ran.stdout);
    const { stream, seq } = truth.tampering;
    if (words.includes('--no-certify')) expect(ran.stderr).toMatch(/^\d+ rows/m);
    else if (words[0] === 'ask' || words[1]?.endsWith('.zip') === true)
      expect(ran.stdout).toContain(`BROKEN in the range, at record ${stream} seq ${seq}: `);
  }
  return lines.length;
}
