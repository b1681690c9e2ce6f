/** A reload that names another store of record: who read the trail is carried from there, and checkpoints are copied there. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { carryAccessLog } from '../../agent/access-carrying.ts';
import { copyCheckpoints } from '../../agent/checkpoint-copies.ts';
import { createStops } from '../../agent/stops.ts';
import type { Config } from '../../schemas/config.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { ACME, checkpointOf, createSigner, fieldsOf } from '../auditor/evidence-store.ts';
import { createSealer } from '../store/sealed.ts';
import { makeTempDir } from '../support/ledger.ts';
import { connectTo, startPostgres, type TestPostgres } from '../support/postgres.ts';

const WAIT = { timeout: 30_000, interval: 50 };
const warn = vi.fn();
const log = { info: vi.fn(), warn, error: vi.fn(), debug: vi.fn() } as never;
let servers: readonly TestPostgres[];
let temp: Awaited<ReturnType<typeof makeTempDir>>;
const signer = createSigner();
const sealer = createSealer(ACME, 'acme');
const records = Array.from({ length: 20 }, (_, n) => sealer.seal(fieldsOf(n)));

beforeAll(async () => {
  temp = await makeTempDir();
  servers = await Promise.all([startPostgres(), startPostgres()]);
  for (const server of servers) {
    const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
    const migrated = await store.migrate();
    if (!migrated.ok) throw new Error(migrated.error.message);
    await store.appendRecords(records);
    await store.close();
  }
  const { head, note } = await checkpointOf(records, 20, signer);
  await mkdir(join(temp.path, 'checkpoints'));
  const journal = join(temp.path, 'checkpoints', 'journal.ndjson');
  await writeFile(journal, `${JSON.stringify({ head, note })}\n`);
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await temp[Symbol.asyncDispose]();
});

const configOf = (...named: readonly TestPostgres[]): Config =>
  ({
    ...{ data_dir: temp.path, tenants: [{ id: 'acme' }] },
    checkpoints: { enabled: true, anchor_interval_ms: 50 },
    processors: { redaction: { sensitive_keys: [] } },
    exporters: named.map((server) => ({
      ...{ name: 'postgresql', type: 'postgresql', embedded: false, url: server.url('writer') },
    })),
  }) as never;

async function query(server: TestPostgres, sql: string): Promise<readonly unknown[]> {
  await using admin = await connectTo(server.url('admin'));
  return (await admin.client.query({ text: sql, rowMode: 'array' })).rows.flat();
}

test('checkpoints go to the store that a reload names, and to none where there is none any more', async () => {
  const [one, other] = servers as [TestPostgres, TestPostgres];
  const stops = createStops(log);
  const sizes = (server: TestPostgres): Promise<readonly unknown[]> =>
    query(server, 'SELECT size::int FROM audit.checkpoints ORDER BY size');
  const change = copyCheckpoints({ config: configOf(one), log, stops });
  await vi.waitFor(async () => expect(await sizes(one)).toEqual([20]), WAIT);
  expect(await sizes(other)).toEqual([]);
  change(configOf(one));
  change(configOf(other));
  await vi.waitFor(async () => expect(await sizes(other)).toEqual([20]), WAIT);
  change(configOf());
  await stops.run();
});

test('who read the trail is carried from the store that a reload names', async () => {
  const [one, other] = servers as [TestPostgres, TestPostgres];
  const stops = createStops(log);
  const carried: string[] = [];
  const append = {
    status: () => ({ streams: [] }),
    append: ({ events }: { events: readonly { value: { canonical: { bytes: Buffer } } }[] }) => {
      for (const { value } of events)
        carried.push(/"question":"(\w+)"/.exec(value.canonical.bytes.toString())?.[1] ?? '');
      return Promise.resolve(events.map(() => ({ kind: 'recorded' })));
    },
  };
  const note = (server: TestPostgres, question: string): Promise<unknown> =>
    query(server, `SELECT audit.note_access('${question}', 'acme', NULL, NULL, '{}')`);
  await note(one, 'first');
  await note(other, 'second');
  const base = {
    ...{ config: configOf(one), log, stops },
    agent: { name: 'test', version: '0', publicKey: '' },
    keys: { redaction: Buffer.alloc(32, 1) },
  };
  const forget = 'EXECUTE ON FUNCTION audit.forget_accesses()';
  await query(one, `REVOKE ${forget} FROM sealtrail_writer`);
  warn.mockClear();
  const change = carryAccessLog(base as never, { append } as never);
  await vi.waitFor(() => expect(carried).toEqual(['first']), WAIT);
  // What does not keep anything from being carried is told all the same.
  const told = expect.stringContaining('cannot be removed from the access log');
  await vi.waitFor(
    () => expect(warn).toHaveBeenCalledExactlyOnceWith(expect.anything(), told),
    WAIT,
  );
  change(configOf(other));
  await vi.waitFor(() => expect(carried).toEqual(['first', 'second']), WAIT);
  await note(one, 'third');
  await note(other, 'fourth');
  await vi.waitFor(() => expect(carried).toEqual(['first', 'second', 'fourth']), WAIT);
  await stops.run();
});
