/** `sealtrail ask`, the program itself: answers, forms, refusals and their exit codes. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import { createSealer } from '../store/sealed.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');
const RANGE = ['--since', '2026-10', '--until', '2026-10', '--time-zone', 'Europe/Berlin'];

let server: TestPostgres;
let alice = '';

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  const [acme, zeta] = [createSealer(undefined, 'acme'), createSealer(undefined, 'zeta')];
  const stored = await store.appendRecords([
    ...[1, 2, 3].map((day) =>
      acme.seal({
        time: `2026-10-0${day}T08:00:00.000Z`,
        actor: 'u_admin_alice',
        onBehalfOf: 'u-7',
        resourceId: '=cmd()',
      }),
    ),
    zeta.seal({ time: '2026-10-01T08:00:00.000Z', actor: 'u_admin_alice' }),
  ]);
  if (!stored.ok) throw new Error(stored.error.message);
  await store.close();
  const admin = new pg.Client(server.url('admin'));
  await admin.connect();
  await admin.query(`CREATE ROLE alice LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor;
    INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme')`);
  await admin.end();
  const url = new URL(server.url('auditor'));
  [url.username, url.password] = ['alice', 'pw'];
  alice = url.href;
});
afterAll(() => server.stop());

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function run(...words: readonly string[]): Promise<Ran> {
  return new Promise((done) => {
    execFile(process.execPath, [MAIN, 'ask', ...words], (error, out, err) =>
      done({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });
}

const impersonations = (...words: readonly string[]): Promise<Ran> =>
  run('impersonations', '--actor', 'u_admin_alice', ...RANGE, '--store', alice, ...words);

test('pages follow on one another, and all of them are the stream', async () => {
  const first = await impersonations('--json', '--limit', '2');
  const page = JSON.parse(first.out) as { asked: object; rows: object[]; next: string };
  expect(first).toMatchObject({ code: 0 });
  // The one tenant of the login, and what the range was understood to be.
  expect(page.asked).toMatchObject({ tenant: 'acme', since: '2026-09-30T22:00:00.000Z' });
  const second = await impersonations('--json', '--limit', '2', '--cursor', page.next);
  const rest = JSON.parse(second.out) as { rows: object[]; next: null };
  expect([page.rows.length, rest.rows.length, rest.next]).toEqual([2, 1, null]);
  const all = await impersonations('--all', '--json');
  const lines = all.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(lines).toEqual([...page.rows, ...rest.rows]);
});

test('a table for people, CSV without formulas, and the statement behind it', async () => {
  const [table, csv, statement] = await Promise.all([
    impersonations(),
    impersonations('--csv'),
    impersonations('--sql'),
  ]);
  expect(table.out).toMatch(/^Time +Actor/);
  expect(table.out).toContain('2026-10-01 10:00:00');
  expect(csv.out.split('\r\n')).toHaveLength(5);
  expect(csv.out).toContain(`,"'=cmd()",`);
  expect(statement.out).toMatch(/FROM audit\.records r[^]*\$1 = "acme"/);
});

test('0 answered, 1 of another tenant, 2 it could not be asked; with the remedy', async () => {
  const [list, none, other, missing, typo, several, gone] = await Promise.all([
    run(),
    run('impersonations', '--actor', 'nobody', '--store', alice, ...RANGE),
    impersonations('--tenant', 'zeta'),
    run('impersonations', '--store', alice),
    run('impersonation', '--store', alice),
    run('all-activity', '--store', server.url('auditor')),
    run('all-activity', '--tenant', 'acme', '--store', 'postgresql://x@127.0.0.1:1/x'),
  ]);
  expect(list).toMatchObject({ code: 0, out: expect.stringContaining('silences') as string });
  expect(none).toMatchObject({ code: 0, err: expect.stringContaining('nothing found') as string });
  expect(other).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/may not see tenant zeta; the attempt is on record/) as string,
  });
  expect(missing).toMatchObject({
    code: 2,
    err: expect.stringMatching(/--actor must be given/) as string,
  });
  expect(typo).toMatchObject({
    code: 2,
    err: expect.stringMatching(/did you mean impersonations/) as string,
  });
  expect(several).toMatchObject({
    code: 2,
    err: expect.stringMatching(/--tenant must name one of acme, zeta/) as string,
  });
  expect(gone).toMatchObject({ code: 2, err: expect.stringMatching(/does not answer/) as string });
});

test('whoever reads along may go: it ends without a word, and not as if it had answered', async () => {
  for (const words of [
    ['ask', 'all-activity', ...RANGE, '--store', alice, '--all', '--csv'],
    ['ask', '--help'],
  ]) {
    const child = spawn(process.execPath, [MAIN, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [code] = (await once(child, 'close')) as [number | null];
    expect(said).not.toMatch(/EPIPE|Error|^ +at /m);
    expect(code).toBe(141);
  }
});
