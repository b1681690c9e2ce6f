/**
 * A data directory that lives twice, as on a cloned machine: one of the two goes on, and the other gets an incarnation of
 * its own, at its start or where they meet.
 */
import { once } from 'node:events';
import { cp, readFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
} from '../support/agent-process.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readStore, type Acked } from '../support/outcome.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { expectIntact, expectNoticed, incarnationsOf, recordSome } from '../support/rollback.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const POSTGRESQL = (): object => ({
  embedded: false,
  url: postgres.url('writer'),
  owner_url: postgres.url('owner'),
});

interface Door extends AsyncDisposable {
  readonly url: string;
  /** From now on connections are passed on, after so long; before, they are ended. */
  open(afterMs?: number): void;
}

/** Stands before the store. */
async function buildDoor(): Promise<Door> {
  const ends = new Set<Socket>();
  let waitMs: number | null = null;
  const server = createServer((near) => {
    ends.add(near.on('error', () => near.destroy()));
    if (waitMs === null) near.destroy();
    else setTimeout(pass, waitMs, near);
  });
  const pass = (near: Socket): void => {
    const far = connect(postgres.port, '127.0.0.1');
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(end);
      end.on('error', () => other.destroy()).pipe(other);
    }
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: postgres.url('writer').replace(`:${postgres.port}/`, `:${port}/`),
    open: (afterMs = 0) => void (waitMs = afterMs),
    [Symbol.asyncDispose]: async () => {
      for (const end of ends) end.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

test('a clone that is started while the first one lives on gets an incarnation of its own', async () => {
  const agentConfig = {
    name: 'cloned',
    vocabulary_file: VOCABULARY,
  };
  const exporters = { postgresql: POSTGRESQL() };
  await using first = await startAgentProcess({ exporters, config: { agent: agentConfig } });
  await recordSome(first);
  await first.delivered();
  await using copy = await makeTempDir();
  const dir = join(copy.path, 'data');
  await first.stop();
  await cp(first.dir, dir, { recursive: true });
  await first.start();
  const before = await recordSome(first);
  await first.delivered();

  await using clone = await startAgentProcess({ dir, exporters, config: { agent: agentConfig } });
  const cloned = await expectNoticed(clone, 'postgresql has it up to seq');
  const still = await recordSome(first);
  await first.delivered();
  expect(incarnationsOf(still)).toEqual(incarnationsOf(before));
  expect(incarnationsOf(cloned)).not.toEqual(incarnationsOf(still));
  for (const agent of [first, clone])
    expect((await agent.status()).sinks).toMatchObject([{ dead_letters: 0, lag_records: 0 }]);
  await expectIntact(postgres.url('auditor'));
});

test('of two clones that were level the one that starts later is the older copy, whichever was first, by a store that needs three seconds to say so', async () => {
  const agentConfig = {
    name: 'twins',
    vocabulary_file: VOCABULARY,
  };
  await using door = await buildDoor();
  door.open();
  const exporters = { postgresql: { ...POSTGRESQL(), url: door.url } };
  await using first = await startAgentProcess({ exporters, config: { agent: agentConfig } });
  await recordSome(first);
  await first.delivered();
  await first.stop();
  await using copy = await makeTempDir();
  const dir = join(copy.path, 'data');
  await cp(first.dir, dir, { recursive: true });
  await using clone = await startAgentProcess({ dir, exporters, config: { agent: agentConfig } });
  const one = await recordSome(clone);
  await clone.delivered();
  door.open(3_000);
  await first.start();
  // The first one is now the older copy.
  const other = await expectNoticed(first, 'postgresql has it up to seq');
  expect(incarnationsOf(other)).not.toEqual(incarnationsOf(one));
});

/** The new incarnation's heads are in an anchor log of its own, and in none of the older ones. */
async function expectOwnAnchorLog(
  agent: AgentProcess,
  recorded: readonly Acked[],
  older: ReadonlySet<string>,
): Promise<void> {
  const [incarnation = ''] = incarnationsOf(recorded);
  await expect
    .poll(async () => (await agent.status()).checkpoints)
    .toMatchObject({
      state: 'running',
      anchor_origin: expect.stringContaining(`/${incarnation}`) as string,
      anchor_size: expect.toSatisfy((size: number) => size > 0) as number,
    });
  const entriesOf = (one: string): Promise<string> =>
    readFile(join(agent.dir, 'checkpoints/anchor', `${one}.ndjson`), 'utf8');
  for (const one of older) {
    expect(await entriesOf(one)).toContain(`/${one}/`);
    expect(await entriesOf(one)).not.toContain(`/${incarnation}/`);
  }
  expect(await entriesOf(incarnation)).toContain('sealtrail/heartbeat/v1');
}

test('two clones that run at once: the store keeps the branch of the first, and the second leaves it by itself, loudly', async () => {
  await using siem = await makeTempDir();
  const config = { agent: { name: 'live-twins', vocabulary_file: VOCABULARY } };
  const exportersOf = (name: string): Record<string, object> => ({
    postgresql: POSTGRESQL(),
    'file/ecs': { path: join(siem.path, `${name}.ndjson`), format: 'ecs' },
  });
  await using first = await startAgentProcess({ exporters: exportersOf('first'), config });
  const before = await recordSome(first);
  await first.delivered();
  await first.stop();
  await using copy = await makeTempDir();
  const dir = join(copy.path, 'data');
  await cp(first.dir, dir, { recursive: true });
  await first.start();
  // The store is not to be had when the second starts, which so does not notice anything.
  await using door = await buildDoor();
  const exporters = exportersOf('second');
  exporters['postgresql'] = { embedded: false, url: door.url, retry: { max_ms: 250 } };
  await using second = await startAgentProcess({ dir, exporters, config });
  expect((await second.status()).rollback).toBe(null);

  const one = await recordSome(first);
  await first.delivered();
  // More than the first has, so that its last ones stand where the store has nothing yet.
  const other = await recordSome(second, 60);
  door.open();
  await expect.poll(async () => (await second.status()).rollback).toMatch(/^rollback: fork: /);
  await second.delivered();
  const after = await expectNoticed(second, 'fork: stream sealtrail/live-twins/');
  const still = await recordSome(first);
  await first.delivered();
  await expectOwnAnchorLog(second, after, incarnationsOf(before));

  expect((await first.status()).rollback).toBe(null);
  expect(incarnationsOf([...one, ...still])).toEqual(incarnationsOf(before));
  expect(incarnationsOf(after)).not.toEqual(incarnationsOf(before));
  const stored = new Set(
    (await readStore(postgres.url('auditor'))).map(({ event_id }) => event_id),
  );
  const missing = other.filter(({ event_id }) => !stored.has(event_id));
  for (const { event_id } of [...before, ...one, ...still, ...after])
    expect(stored).toContain(event_id);
  // What the second sealed in the first one's streams is nowhere but with it: a dead letter each.
  const incarnation = [...incarnationsOf(before)][0] ?? '';
  expect(missing.map(({ stream }) => stream.split('/')[2])).toEqual(missing.map(() => incarnation));
  expect(missing.length).toBeGreaterThan(0);
  const letters = await runCli(['dlq', 'list', '--json', '--data-dir', dir]);
  for (const { event_id } of missing) expect(letters.stdout).toContain(event_id);
  expect((await first.status()).sinks.map(({ dead_letters }) => dead_letters)).toEqual([0, 0]);
  await expectIntact(postgres.url('auditor'));

  // The next start of the second goes on in the incarnation that it has begun.
  await second.stop();
  await second.start();
  expect((await second.status()).rollback).toBe(null);
  expect(incarnationsOf(await recordSome(second))).toEqual(incarnationsOf(after));
});
