/** A PostgreSQL 15 of the operator's own, set up word for word as docs/STORE.md says. */
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { freePort } from '../../bench/processes.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { testWhere } from '../support/host.ts';
import { connectTo } from '../support/postgres.ts';
import { createSealer } from './sealed.ts';

const BIN = '/usr/lib/postgresql/15/bin';
const test = testWhere(existsSync(`${BIN}/postgres`), 'PostgreSQL 15 is not installed');
const ROOT = join(import.meta.dirname, '../..');

let data = '';
let port = 0;

/** Runs a program of PostgreSQL as the user that may run it. */
function run(program: string, ...args: string[]): void {
  const command = [join(BIN, program), ...args];
  const [file = '', ...rest] =
    process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--', ...command] : command;
  execFileSync(file, rest, { stdio: 'pipe', cwd: tmpdir() });
}

function urlOf(user: string): string {
  return `postgresql://${user}:pw@127.0.0.1:${port}/sealtrail`;
}

/** The n-th block of code of a section, in a language. */
function blockOf(section: string, language: string, n: number): string {
  const text =
    readFileSync(join(ROOT, 'docs/STORE.md'), 'utf8').split(`\n## ${section}\n`)[1] ?? '';
  const blocks = [...text.matchAll(new RegExp('```' + language + '\n([^`]*)```', 'g'))];
  return blocks[n]?.[1] ?? '';
}

function psql(script: string): void {
  const args = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', '127.0.0.1', '-p', String(port)];
  execFileSync(join(BIN, 'psql'), [...args, '-U', 'boss', 'postgres'], {
    input: script,
    cwd: ROOT,
  });
}

beforeAll(async () => {
  if (!existsSync(`${BIN}/postgres`)) return;
  data = await mkdtemp(join(tmpdir(), 'sealtrail-pg15-'));
  if (process.getuid?.() === 0) {
    const uid = Number(execFileSync('id', ['-u', 'postgres']).toString());
    chownSync(data, uid, statSync(data).gid);
  }
  port = await freePort();
  run('initdb', '-D', data, '-A', 'trust', '-U', 'boss', '--no-sync');
  const options = `-c listen_addresses=127.0.0.1 -p ${port} -k ${data}`;
  run('pg_ctl', '-D', data, '-w', '-l', join(data, 'log'), '-o', options, 'start');
  const script = blockOf('Your own PostgreSQL', 'sql', 0);
  expect(script).toContain('CREATE DATABASE');
  psql(script.replace(/^\\password (\w+)$/gm, `ALTER ROLE $1 PASSWORD 'pw';`));
});

afterAll(async () => {
  if (data === '') return;
  run('pg_ctl', '-D', data, '-m', 'fast', '-w', 'stop');
  await rm(data, { recursive: true, force: true });
});

describe('a PostgreSQL 15 of your own', () => {
  test('is set up by the document, migrated by the owner, written by the writer, read by an auditor', async () => {
    const store = createPostgresStore({
      url: urlOf('sealtrail_writer'),
      ownerUrl: urlOf('sealtrail_owner'),
    });
    const migrated = await store.migrate();
    expect(JSON.stringify(migrated)).toContain('"ok":true');
    const [acme, zeta] = [createSealer(undefined, 'acme'), createSealer(undefined, 'zeta')];
    const records = [acme.seal(), zeta.seal(), acme.seal({ metadata: { text: 'é "😀" \\' } })];
    const odd = acme.seal({ metadata: { text: '\u0000' } });
    expect(await store.appendRecords([...records, odd])).toMatchObject({ value: { stored: 4 } });
    expect(await store.appendRecords(records)).toMatchObject({ value: { repeated: 3 } });
    await store.close();

    const [asBoss = '', asOwner = ''] = blockOf('Your own PostgreSQL', 'sql', 1).split('\n');
    psql(`\\c sealtrail\n${asBoss}\nSET ROLE sealtrail_owner;\n${asOwner}`);
    const seen = await verifyStore({ url: urlOf('alice') });
    expect(seen).toMatchObject({ verdict: 'intact', records: 3 });
    expect(await verifyStore({ url: urlOf('sealtrail_owner') })).toMatchObject({ records: 4 });

    await using alice = await connectTo(urlOf('alice'));
    const payload = await alice.client.query(
      `SELECT payload, payload->'resource'->>'tenant_id' AS tenant FROM audit.events ORDER BY seq`,
    );
    expect(payload.rows.map((row: { tenant: string }) => row.tenant)).toEqual([
      'acme',
      'acme',
      null,
    ]);
  });

  test('refuses changes, by privilege and by trigger', async () => {
    for (const user of ['sealtrail_owner', 'sealtrail_writer', 'boss']) {
      await using login = await connectTo(urlOf(user));
      for (const sql of [
        `UPDATE audit.records SET outcome = 'denied'`,
        'DELETE FROM audit.records',
        'TRUNCATE audit.records',
      ])
        await expect(login.client.query(sql), `${user}: ${sql}`).rejects.toMatchObject({
          code: '42501',
        });
    }
  });
});
