/**
 * A data directory that is put back to an older copy, as a restored backup or a cloned machine does:
 * the agent notices by what has left the directory, and begins a new incarnation instead of giving
 * places of the chain a second time.
 */
import { once } from 'node:events';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/processes.ts';
import {
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
} from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import { startGoodClient } from '../support/good-client.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readLines, readRecords, readStore, type Acked } from '../support/outcome.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

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

async function recordSome(agent: AgentProcess, count = 20): Promise<readonly Acked[]> {
  const client = await startGoodClient(agent);
  await client.reached(count);
  const { acked, failed } = await client.stop();
  expect(failed).toEqual([]);
  return acked;
}

const incarnationsOf = (acked: readonly Acked[]): Set<string> =>
  new Set(acked.map(({ stream }) => stream.split('/')[2] ?? ''));
const idsOf = (acked: readonly Acked[]): string[] => acked.map(({ event_id }) => event_id);

/** Events that the agent recorded about the rollback. */
async function rollbackEvents(dir: string): Promise<readonly unknown[]> {
  return (await readRecords(join(dir, 'ledger')))
    .filter(({ event }) => event.event.action === 'ledger.rolled_back')
    .map(({ event }) => event.metadata['reason']);
}

/** Records, takes a copy, records more, puts the copy back. `parts` of the directory only, where given. */
async function rollBack(
  agent: AgentProcess,
  parts: readonly string[] = ['.'],
): Promise<{ readonly kept: readonly Acked[]; readonly lost: readonly Acked[] }> {
  await using copy = await makeTempDir();
  const kept = await recordSome(agent);
  await agent.delivered();
  await agent.stop();
  for (const part of parts)
    await cp(join(agent.dir, part), join(copy.path, part), { recursive: true });
  await agent.start();
  const lost = await recordSome(agent);
  await agent.delivered();
  await agent.stop();
  for (const part of parts) {
    for (const name of await readdir(join(copy.path, part)))
      await rm(join(agent.dir, part, name), { recursive: true, force: true });
    await rm(join(agent.dir, part, 'dead-letter'), { recursive: true, force: true });
    if (part !== '.') await rm(join(agent.dir, part), { recursive: true });
    await cp(join(copy.path, part), join(agent.dir, part), { recursive: true });
  }
  return { kept, lost };
}

/** What holds after every rollback that was noticed. */
/** `isSigned`: the checkpoints of what is missing are still there, so that the verifier says what it is. */
async function expectNoticed(
  agent: AgentProcess,
  source: string,
  isSigned = false,
): Promise<readonly Acked[]> {
  const { rollback } = await agent.status();
  expect(rollback).toMatch(/^rollback: /);
  expect(rollback).toContain(source);
  expect(agent.output()).toContain('the ledger is older than what has left it');
  const metrics = await (await fetch(`${agent.adminUrl}/metrics`)).text();
  expect(metrics).toMatch(/^audit_ledger_rollbacks 1$/m);
  expect((await runCli(['status', '--data-dir', agent.dir])).stdout).toMatch(/^warning +rollback/m);
  const after = await recordSome(agent);
  await agent.delivered();
  expect((await agent.status()).sinks.map(({ state }) => state)).not.toContain('stopped');
  expect(await rollbackEvents(agent.dir)).toEqual([rollback]);
  const verified = await runCli(['verify', agent.dir]);
  expect(verified.code).toBe(isSigned ? 1 : 0);
  expect(/^BROKEN +truncated/m.test(verified.stdout)).toBe(isSigned);
  expect(verified.stdout).toMatch(/^NOTE .* began after a rollback: /m);
  return after;
}

test('the store of record knows more: a new incarnation begins, and store and SIEM keep both', async () => {
  await using siem = await makeTempDir();
  const path = join(siem.path, 'ecs.ndjson');
  await using agent = await startAgentProcess({
    exporters: { postgresql: POSTGRESQL(), 'file/ecs': { path, format: 'ecs' } },
    config: {
      agent: {
        name: 'store-knows',
        vocabulary_file: VOCABULARY,
      },
    },
  });
  const { kept, lost } = await rollBack(agent);
  await agent.start();
  const after = await expectNoticed(agent, 'postgresql has it up to seq');

  expect(incarnationsOf([...kept, ...lost]).size).toBe(1);
  expect(incarnationsOf(after).size).toBe(1);
  expect(incarnationsOf(after)).not.toEqual(incarnationsOf(lost));
  const stored = (await readStore(postgres.url('auditor'))).map(({ event_id }) => event_id);
  expect(stored).toEqual(
    expect.arrayContaining([...kept, ...lost, ...after].map(({ event_id }) => event_id)),
  );
  const documents = await readLines<{ event: { id: string } }>(path);
  const ids = documents.map(({ event }) => event.id);
  expect(ids).toEqual(expect.arrayContaining(idsOf([...kept, ...lost, ...after])));
  expect((await agent.status()).sinks.map(({ dead_letters }) => dead_letters)).toEqual([0, 0]);
  const store = await runCli(['verify', '--store', postgres.url('auditor')]);
  expect(store.code).toBe(0);

  // Once noticed it is not told again, though the store has more of the old incarnation for good.
  await agent.stop();
  await agent.start();
  expect((await agent.status()).rollback).toBe(null);
  expect(incarnationsOf(await recordSome(agent))).toEqual(incarnationsOf(after));
});

test('only the head file knows more: noticed without any database', async () => {
  await using elsewhere = await makeTempDir();
  const head_file = join(elsewhere.path, 'head.json');
  await using agent = await startAgentProcess({ exporters: {}, config: { ledger: { head_file } } });
  const { lost } = await rollBack(agent);
  await agent.start();
  const after = await expectNoticed(agent, 'ledger.head_file knows of');
  expect(incarnationsOf(after)).not.toEqual(incarnationsOf(lost));
  await agent.stop();
  await agent.start();
  expect((await agent.status()).rollback).toBe(null);
  // It follows the ledger by a second at most.
  const { records } = (await agent.status()).append;
  await eventually(async () =>
    expect(JSON.parse(await readFile(head_file, 'utf8'))).toMatchObject({ records }),
  );
});

test('only the ledger was put back: cursors that are ahead of it follow, and delivery goes on', async () => {
  await using agent = await startAgentProcess({
    exporters: { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } },
  });
  const { kept, lost } = await rollBack(agent, ['ledger']);
  await agent.start();
  const after = await expectNoticed(agent, 'the cursor of file/ecs knows of', true);
  const documents = await readLines<{ event: { id: string } }>(join(agent.dir, 'siem/ecs.ndjson'));
  const ids = documents.map(({ event }) => event.id);
  expect(new Set(ids).size, 'nothing twice').toBe(ids.length);
  expect(ids).toEqual(expect.arrayContaining(idsOf([...kept, ...lost, ...after])));
});

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
  expect((await runCli(['verify', '--store', postgres.url('auditor')])).code).toBe(0);
});

test('of two clones that were level the one that starts later is the older copy, whichever was first', async () => {
  const agentConfig = {
    name: 'twins',
    vocabulary_file: VOCABULARY,
  };
  const exporters = { postgresql: POSTGRESQL() };
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
  await first.start();
  // The first one is now the older copy.
  const other = await expectNoticed(first, 'postgresql has it up to seq');
  expect(incarnationsOf(other)).not.toEqual(incarnationsOf(one));
});

/** Passes connections on to another port of this host. */
async function openDoor(from: number, to: number): Promise<AsyncDisposable> {
  const ends = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(end);
      end.on('error', () => other.destroy()).pipe(other);
    }
  });
  server.listen(from, '127.0.0.1');
  await once(server, 'listening');
  return {
    [Symbol.asyncDispose]: async () => {
      for (const end of ends) end.destroy();
      await new Promise((closed) => server.close(closed));
    },
  };
}

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
  const door = await freePort();
  const exporters = exportersOf('second');
  const url = postgres.url('writer').replace(`:${postgres.port}/`, `:${door}/`);
  exporters['postgresql'] = { embedded: false, url };
  await using second = await startAgentProcess({ dir, exporters, config });
  expect((await second.status()).rollback).toBe(null);

  const one = await recordSome(first);
  await first.delivered();
  // More than the first has, so that its last ones stand where the store has nothing yet.
  const other = await recordSome(second, 60);
  await using _door = await openDoor(door, postgres.port);
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
  expect((await runCli(['verify', '--store', postgres.url('auditor')])).code).toBe(0);

  // The next start of the second goes on in the incarnation that it has begun.
  await second.stop();
  await second.start();
  expect((await second.status()).rollback).toBe(null);
  expect(incarnationsOf(await recordSome(second))).toEqual(incarnationsOf(after));
});

test('a store that does not answer holds up no start', async () => {
  await using agent = await startAgentProcess({
    exporters: {
      postgresql: { embedded: false, url: 'postgresql://nobody:none@127.0.0.1:9/none' },
    },
  });
  expect((await agent.status()).rollback).toBe(null);
  expect((await recordSome(agent)).length).toBeGreaterThan(0);
  expect(agent.output()).toContain('the store of record does not say how far it is');
});

test('no kill is taken for a rollback: the head file never leads what is on disk', async () => {
  await using elsewhere = await makeTempDir();
  const head_file = join(elsewhere.path, 'head.json');
  await using agent = await startAgentProcess({ exporters: {}, config: { ledger: { head_file } } });
  const client = await startGoodClient(agent, { inFlight: 64 });
  for (let kill = 1; kill <= 3; kill++) {
    const written = await readFile(head_file, 'utf8').catch(() => 'none yet');
    // Killed while the file is kept up to date under load, not before.
    await expect.poll(() => readFile(head_file, 'utf8').catch(() => 'none yet')).not.toBe(written);
    await agent.kill();
    await agent.start();
    expect((await agent.status()).rollback).toBe(null);
  }
  const { acked, failed } = await client.stop();
  expect(failed).toEqual([]);
  expect(incarnationsOf(acked).size).toBe(1);
});

test('a head file that is damaged is said, and holds up nothing', async () => {
  await using elsewhere = await makeTempDir();
  const head_file = join(elsewhere.path, 'head.json');
  await writeFile(head_file, '{"version":1,');
  await using agent = await startAgentProcess({ exporters: {}, config: { ledger: { head_file } } });
  expect(agent.output()).toContain('a rollback may go unnoticed');
  await recordSome(agent);
  await agent.stop();
  expect(JSON.parse(await readFile(head_file, 'utf8'))).toMatchObject({ version: 1 });
});
