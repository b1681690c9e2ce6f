/**
 * Task 21: a query tool for auditors. A real agent took last month's events of two tenants; the auditor `alice` was granted
 * one of them, has the program and her login, and writes no SQL.
 */
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import pg from 'pg';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import { CATALOGUE } from '../../auditor/catalogue.ts';
import type { Certificate } from '../../auditor/certificate/certificate.ts';
import { runCli, type Ran } from '../support/agent-process.ts';
import { makeTempDir } from '../support/ledger.ts';
import { describeTask } from './criterion.ts';
import {
  ADMIN,
  belongingTo,
  FIVE,
  grantAlice,
  NAMES,
  recordLastMonth,
  type Name,
} from './last-month.ts';
import { openTrail, type Trail } from './trail.ts';

const GUIDE = 'docs/HOW_TO_INVESTIGATE.md';

let trail: Trail;
let temp: Awaited<ReturnType<typeof makeTempDir>>;
let alice = '';
let owner: pg.Client;
let ids: readonly string[];
const answers = new Map<Name, Ran>();

const file = (name: string): string => join(temp.path, name);
const ask = (question: readonly string[], ...more: readonly string[]): Promise<Ran> =>
  runCli([
    ...['ask', ...question, '--since', 'last-month', '--until', 'last-month', '--store', alice],
    ...['--trust', file('keys.txt'), '--checkpoints', trail.agent.dir, ...more],
  ]);

interface Answer {
  readonly rows: readonly { readonly record: { readonly event_id: string } | null }[];
  readonly certificate: Certificate;
}
const answerOf = (name: Name): Answer => JSON.parse(answers.get(name)?.stdout ?? '') as Answer;
const idsIn = ({ rows }: Answer): string[] => rows.flatMap(({ record }) => record?.event_id ?? []);
const belonging = (name: Name): readonly string[] => belongingTo(name, ids);

describeTask(21, (criterion) => {
  beforeAll(async () => {
    [trail, temp] = await Promise.all([openTrail(), makeTempDir()]);
    ids = await recordLastMonth(trail);
    owner = await trail.connect('owner');
    alice = await grantAlice(trail);
    const keys = await runCli(['keys', 'list', '--data-dir', trail.agent.dir]);
    await writeFile(file('keys.txt'), keys.stdout);
    await vi.waitFor(
      async () =>
        expect((await trail.agent.status()).checkpoints).toMatchObject({ lag_records: 0 }),
      { timeout: 60_000, interval: 100 },
    );
    for (const name of NAMES) answers.set(name, await ask(FIVE[name], '--json'));
  });
  afterAll(async () => {
    await trail[Symbol.asyncDispose]();
    await temp[Symbol.asyncDispose]();
  });

  criterion('five canned questions are answered without SQL', (say) => {
    for (const name of NAMES) {
      expect([name, answers.get(name)?.code]).toEqual([name, 0]);
      expect([name, idsIn(answerOf(name))]).toEqual([name, belonging(name)]);
    }
    say(NAMES.map((name) => `${FIVE[name][0]} ${belonging(name).length}`).join(', '));
  });

  criterion('every answer carries an integrity statement', async (say) => {
    for (const name of NAMES)
      expect(answerOf(name).certificate).toMatchObject({
        ...{ verdict: 'intact', login: 'alice', rows: { count: belonging(name).length } },
        finding: expect.stringMatching(/^Intact: .* are as they were sealed\.$/) as string,
        proven: expect.arrayContaining([expect.stringContaining('the agent signed')]) as string[],
      });
    // As a person reads it: in the last line, in plain words.
    const { code, stdout } = await ask(FIVE.impersonations);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\nIntact: [^\n]+\n$/)]);
    say(stdout.trimEnd().split('\n').at(-1) ?? '');
  });

  criterion('a cross-tenant query is refused', async (say) => {
    const refused = await ask(
      FIVE.impersonations,
      '--tenant',
      'globex',
      '--export',
      file('no.zip'),
    );
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain('may not see tenant globex; the attempt is on record');
    await expect(readFile(file('no.zip'))).rejects.toThrow('ENOENT');
    // Impossible, not merely discouraged: with SQL of her own there is nothing either.
    const client = new pg.Client(alice);
    await client.connect();
    const seen = await client.query('SELECT DISTINCT tenant_id FROM audit.events');
    expect(seen.rows).toEqual([{ tenant_id: 'acme' }]);
    await client.end();
    const filed = await owner.query(
      'SELECT login, question, tenant_id FROM audit.access_log WHERE NOT allowed',
    );
    expect(filed.rows).toEqual([
      { login: 'alice', question: 'impersonations', tenant_id: 'globex' },
    ]);
    await vi.waitFor(
      async () => {
        const sealed = await owner.query(
          `SELECT actor_id, outcome, tenant_id FROM audit.events WHERE action = 'trail.read_refused'`,
        );
        expect(sealed.rows).toEqual([
          { actor_id: 'alice', outcome: 'denied', tenant_id: 'globex' },
        ]);
      },
      { timeout: 60_000, interval: 100 },
    );
    say('exit code 1, in the access log, sealed in the trail of globex');
  });

  criterion('evidence exports hold the query that made them', async (say) => {
    const zip = file('finding.zip');
    const exported = await ask(FIVE.impersonations, '--export', zip);
    expect([exported.code, exported.stdout]).toEqual([
      0,
      expect.stringMatching(/Intact: [^\n]+\nwritten: /),
    ]);
    const files = unzipSync(await readFile(zip));
    const text = (name: string): string => Buffer.from(files[name] ?? []).toString();
    const { statement, asked } = JSON.parse(text('question.json')) as {
      statement: { sql: string; values: string[] };
      asked: object;
    };
    expect(asked).toMatchObject({ question: 'impersonations', parameters: { actor: ADMIN.id } });
    expect(JSON.parse(text('certificate.json'))).toMatchObject({ verdict: 'intact', statement });
    expect(text('rows.csv').trimEnd().split('\r\n')).toHaveLength(4);
    // The query is one that gives these rows: run by hand, under the same login.
    const client = new pg.Client(alice);
    await client.connect();
    const again = await client.query<{ event_id: string }>(statement.sql, statement.values);
    await client.end();
    expect(again.rows.map(({ event_id }) => event_id)).toEqual(belonging('impersonations'));
    const judged = await runCli(['check', zip, '--trust', file('keys.txt')]);
    // With the agent's keys alone: the records are as sealed, and nobody has signed the certificate.
    expect([judged.code, judged.stdout]).toEqual([
      0,
      expect.stringMatching(/\nIntact, and UNSIGNED: [^\n]+\n$/),
    ]);
    say(`${Object.keys(files).length} files, judged by sealtrail check alone`);
  });

  criterion('a tampered row turns the certificate to broken, naming it', async (say) => {
    const victim = belonging('impersonations')[1];
    const admin = await trail.connect('admin');
    const row = await admin.query<{ text: string; stream: string; seq: string }>(
      'SELECT event_bytes AS text, stream, seq FROM audit.events WHERE event_id = $1',
      [victim],
    );
    const { text = '', stream = '', seq = '' } = row.rows[0] ?? {};
    const put = async (bytes: string): Promise<void> => {
      await admin.query('ALTER TABLE audit.records DISABLE TRIGGER USER');
      const sql = 'UPDATE audit.records SET event_bytes = $1 WHERE event_id = $2';
      expect((await admin.query(sql, [bytes, victim])).rowCount).toBe(1);
    };
    await put(text.replace('"id":"inv-7"', '"id":"inv-8"'));
    const broken = await ask(FIVE.impersonations, '--export', file('broken.zip'));
    const judged = await runCli(['check', file('broken.zip'), '--trust', file('keys.txt')]);
    await put(text);
    const said = `BROKEN at row 2, record ${stream} seq ${seq}: `;
    expect([broken.code, broken.stdout]).toEqual([1, expect.stringContaining(said)]);
    expect([judged.code, judged.stdout]).toEqual([1, expect.stringContaining('BROKEN at row 2: ')]);
    expect(broken.stdout).not.toContain('Intact');
    const mended = await ask(FIVE.impersonations);
    expect([mended.code, mended.stdout]).toEqual([0, expect.stringContaining('\nIntact: ')]);
    say('BROKEN at row 2, and intact when it was put back');
  });

  criterion('a guide for people who are not engineers', async (say) => {
    const guide = readFileSync(join(import.meta.dirname, '../..', GUIDE), 'utf8');
    expect(guide).toMatch(/^# How to run a standard audit investigation\n/);
    const words = guide.split(/\s+/).length;
    expect(words).toBeLessThan(450);
    expect(guide).not.toMatch(/SELECT|psql|Merkle/);
    for (const id of NAMES.flatMap((name) => FIVE[name][0])) {
      expect(CATALOGUE.map((question) => question.id)).toContain(id);
      if (id !== 'action-occurrences') expect(guide).toContain(`\`${id}\``);
    }
    // Each command in it is one that there is, and does what the guide wants of it.
    const own = ['--data-dir', trail.agent.dir];
    const runs: Readonly<Record<string, readonly string[]>> = {
      'sealtrail ask': ['ask'],
      'sealtrail check finding.zip': ['check', file('finding.zip'), '--trust', file('keys.txt')],
      'sealtrail auditor grant': ['auditor', 'list', ...own],
      'sealtrail hold add': [
        'hold',
        'add',
        'M-1',
        '--reason',
        'SOC 2',
        '--tenant',
        'acme',
        '--actor',
        ADMIN.id,
        ...own,
      ],
      'sealtrail investigate': [
        'investigate',
        ids[1] ?? '',
        '--store',
        alice,
        '--logs',
        GUIDE,
        '--traces',
        GUIDE,
      ],
      'sealtrail web': ['web', '--help'],
    };
    const named = [...guide.matchAll(/`(sealtrail [^`]+)`/g)].map((match) => match[1] ?? '');
    expect(new Set(named)).toEqual(new Set(Object.keys(runs)));
    for (const [command, words] of Object.entries(runs)) {
      const { code, stdout, stderr } = await runCli(words);
      // No trace was kept of that request: the picture is not whole, and it says so.
      const expected = command === 'sealtrail investigate' ? 2 : 0;
      expect([command, code, stderr]).toEqual([command, expected, expect.anything()]);
      expect(stdout).not.toBe('');
    }
    say(`${words} words, ${named.length} commands`);
  });
});
