/** How the store of record is reached: certificates, names, passwords and settings that are wrong, and right again. */
import { chmod, chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresqlSink } from '../../agent/deliver/sinks/postgresql.ts';
import type { DeliveryRecord, DeliveryResult } from '../../agent/ports.ts';
import type { TlsClientConfig } from '../../schemas/exporter-config.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { createAuthority } from '../support/certificates.ts';
import { DELIVERED } from '../support/delivery.ts';
import { eventually } from '../support/eventually.ts';
import { testWhere } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';
import { hasPostgres15, startPostgres15 } from '../support/postgres-15.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { sealedRecords } from '../support/sinks.ts';

const authority = createAuthority();
let server: TestPostgres;
let admin: pg.Client;
let files: Awaited<ReturnType<typeof makeTempDir>>;
let ca_file = '';

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  expect(await store.migrate()).toMatchObject({ ok: true });
  await store.close();
  admin = new pg.Client(server.url('admin'));
  await admin.connect();
  files = await makeTempDir();
  ca_file = join(files.path, 'ca.pem');
  await writeFile(ca_file, authority.cert);
  await show(authority.issue('postgres'));
  await admin.query('ALTER SYSTEM SET ssl = on');
  await reload();
});
afterAll(async () => {
  await admin.end();
  await server.stop();
  await files[Symbol.asyncDispose]();
});

/** Puts a certificate where the server looks for its own. */
async function show({ cert, key }: ReturnType<typeof authority.issue>): Promise<void> {
  const { rows } = await admin.query<{ data_directory: string }>('SHOW data_directory');
  const dir = rows[0]?.data_directory ?? '';
  const { uid, gid } = await stat(dir);
  for (const [name, text] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
    await writeFile(join(dir, name), text);
    await chown(join(dir, name), uid, gid);
    await chmod(join(dir, name), 0o600);
  }
}

async function reload(): Promise<void> {
  const loaded = async (): Promise<string> => {
    const client = new pg.Client(server.url('admin'));
    await client.connect();
    const { rows } = await client.query<{ at: Date }>('SELECT pg_conf_load_time() AS at');
    await client.end();
    return String(rows[0]?.at.getTime());
  };
  const before = await loaded();
  await admin.query('SELECT pg_reload_conf()');
  await eventually(async () => expect(await loaded()).not.toBe(before));
}

const urlOf = (host = '127.0.0.1'): string => server.url('writer').replace('127.0.0.1', host);
const tlsOf = (over: Partial<TlsClientConfig> = {}): TlsClientConfig => ({
  ca_file,
  insecure_skip_verify: false,
  ...over,
});

/** One batch through a sink of its own. */
async function deliver(
  url: string,
  tls: TlsClientConfig,
  batch: readonly DeliveryRecord[] = sealedRecords(3),
): Promise<DeliveryResult> {
  const sink = createPostgresqlSink('postgresql', createPostgresStore({ url, tls }));
  try {
    return await sink.deliver(batch, new AbortController().signal);
  } finally {
    await sink.close();
  }
}

const refused = (reason: RegExp) => ({ kind: 'failed', reason: expect.stringMatching(reason) });

test('records go encrypted to a server that the configured authority vouches for, by address and by name', async () => {
  for (const host of ['127.0.0.1', 'localhost'])
    expect(await deliver(urlOf(host), tlsOf())).toEqual(DELIVERED);
  const store = createPostgresStore({ url: urlOf(), tls: tlsOf() });
  expect(await store.appendRecords(sealedRecords(1))).toMatchObject({ ok: true });
  // A connection that was given up takes its time to be gone from the server.
  await eventually(async () => {
    const { rows } = await admin.query(
      `SELECT ssl, version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'sealtrail_writer'`,
    );
    expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
  });
  await store.close();
});

test.each([
  ['of another authority', () => createAuthority('another').issue('postgres'), /certificate/],
  ['that has expired', () => authority.issue('postgres', { daysLeft: -1 }), /expired/],
  ['of another host', () => authority.issue('postgres', { host: 'db.example' }), /altname/i],
] as const)('a certificate %s: nothing is sent until it is right', async (_, issue, reason) => {
  await show(issue());
  await reload();
  const batch = sealedRecords(3);
  for (const host of ['127.0.0.1', 'localhost'])
    expect(await deliver(urlOf(host), tlsOf(), batch)).toEqual(refused(reason));
  await show(authority.issue('postgres'));
  await reload();
  expect(await deliver(urlOf(), tlsOf(), batch)).toEqual(DELIVERED);
});

test('server_name is the name that the certificate must carry, whatever the host of the URL', async () => {
  await show(authority.issue('postgres', { host: 'db.example' }));
  await reload();
  for (const host of ['127.0.0.1', 'localhost']) {
    expect(await deliver(urlOf(host), tlsOf({ server_name: 'db.example' }))).toEqual(DELIVERED);
    expect(await deliver(urlOf(host), tlsOf({ server_name: 'other.example' }))).toEqual(
      refused(/altname/i),
    );
  }
  await show(authority.issue('postgres'));
  await reload();
  expect(await deliver(urlOf('localhost'), tlsOf({ server_name: 'db.example' }))).toEqual(
    refused(/altname/i),
  );
});

test('a password that is revoked lets nothing in, and with the right one again everything arrives', async () => {
  const password = new URL(urlOf()).password;
  const batch = sealedRecords(6);
  const sink = createPostgresqlSink('p', createPostgresStore({ url: urlOf(), tls: tlsOf() }));
  const signal = new AbortController().signal;
  expect(await sink.deliver(batch.slice(0, 2), signal)).toEqual(DELIVERED);
  await admin.query(`ALTER ROLE sealtrail_writer PASSWORD 'another'`);
  await admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sealtrail_writer'`,
  );
  await eventually(async () =>
    expect(await sink.deliver(batch, signal)).toEqual(refused(/password authentication failed/)),
  );
  await admin.query(`ALTER ROLE sealtrail_writer PASSWORD '${password}'`);
  expect(await sink.deliver(batch, signal)).toEqual(DELIVERED);
  await sink.close();
});

test('a name that does not resolve is tried again like a server that is away', async () => {
  expect(await deliver(urlOf('nowhere.invalid'), tlsOf())).toEqual(refused(/ENOTFOUND|EAI_AGAIN/));
});

testWhere(hasPostgres15, 'PostgreSQL 15 is not installed')(
  'a server that does not keep what it confirms confirms nothing',
  async () => {
    await using forgetful = await startPostgres15('fsync=off');
    const sink = createPostgresqlSink('p', createPostgresStore({ url: forgetful.url }));
    const delivered = await sink.deliver(sealedRecords(1), new AbortController().signal);
    expect(delivered).toEqual(refused(/fsync = off/));
    await sink.close();
  },
);
