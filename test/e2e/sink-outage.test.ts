/** Sinks that are down for a while: events are acked as ever, and everything arrives, once. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../bench/processes.ts';
import { startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { quantile, startGoodClient, type Observation } from '../support/good-client.ts';
import { mayMount, mountTmpfs, testWhere } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';
import { expectEachOnce, readLines, readRecords, readStore } from '../support/outcome.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { processesOn } from '../support/processes.ts';

let database: TestPostgres;
beforeAll(async () => {
  database = await startPostgres();
});
afterAll(() => database.stop());

/** Records one by one until so many are acked. */
async function recordMany(agent: AgentProcess, count: number): Promise<Observation> {
  const client = await startGoodClient(agent, { inFlight: 4 });
  await client.reached(count);
  const observed = await client.stop();
  expect(observed.failed).toEqual([]);
  return observed;
}

/**
 * A sink that is down may cost an ack a little of the processor, and no waiting. Usual is what it takes before or after:
 * others may have come to use the machine meanwhile.
 */
function expectNotSlowed(usual: readonly Observation[], during: readonly Observation[]): void {
  const mediansOf = (some: readonly Observation[]): number[] =>
    some.map(({ latenciesMs }) => quantile(latenciesMs, 0.5));
  const limitMs = Math.max(...mediansOf(usual)) * 4 + 40;
  for (const medianMs of mediansOf(during)) expect(medianMs).toBeLessThan(limitMs);
}

test('the embedded PostgreSQL is killed again and again: it comes back, and everything arrives once', async () => {
  await using agent = await startAgentProcess();
  await agent.delivered();
  const before = await recordMany(agent, 300);
  const outages: Observation[] = [];
  for (let round = 0; round < 2; round++) {
    const servers = (await processesOn(agent.dir)).filter(({ name }) => name.includes('postgres'));
    const postmaster = servers.find(({ name }) => name.includes(' -D '));
    expect(postmaster).toBeDefined();
    process.kill(postmaster!.pid, 'SIGKILL');
    outages.push(await recordMany(agent, 300));
    await agent.delivered(60_000);
  }
  const after = await recordMany(agent, 300);
  expectNotSlowed([before, after], outages);
  await expectEachOnce(
    agent,
    [before, ...outages, after].flatMap((one) => one.acked),
  );
});

test('a database that cannot be reached, then hangs, then is there: everything arrives once', async () => {
  await using line = await openLine(database.port);
  const url = (role: 'writer' | 'owner'): string =>
    database.url(role).replace(`:${database.port}/`, `:${line.port}/`);
  await using agent = await startAgentProcess({
    exporters: {
      postgresql: {
        embedded: false,
        url: url('writer'),
        owner_url: url('owner'),
        timeout_ms: 1_000,
        retry: { initial_ms: 50, max_ms: 500 },
      },
      'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' },
    },
  });
  const before = await recordMany(agent, 300);
  await agent.delivered();
  line.set('cut');
  const unreachable = await recordMany(agent, 300);
  await expect.poll(() => stateOf(agent, 'postgresql')).toBe('retrying');
  line.set('silent');
  const hanging = await recordMany(agent, 300);
  const { sinks } = await agent.status();
  const lags = Object.fromEntries(sinks.map((sink) => [sink.name, sink.lag_records]));
  expect(lags['postgresql']).toBeGreaterThanOrEqual(600);
  await expect.poll(() => lagOf(agent, 'file/ecs')).toBe(0);
  line.set('open');
  await agent.delivered();
  const after = await recordMany(agent, 300);
  expectNotSlowed([before, after], [unreachable, hanging]);
  await agent.delivered();
  const sealed = await readRecords(join(agent.dir, 'ledger'));
  const acked = [before, unreachable, hanging, after].flatMap((one) => one.acked);
  const stored = await readStore(database.url('owner'));
  const ids = stored.map(({ event_id }) => event_id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(sealed.map(({ event }) => event.event_id).sort());
  expect(ids).toEqual(expect.arrayContaining(acked.map(({ event_id }) => event_id)));
});

test('the folder of a SIEM file is replaced by something else for a while: everything arrives once', async () => {
  await using agent = await startAgentProcess({
    exporters: {
      'file/ecs': {
        path: 'siem/ecs.ndjson',
        format: 'ecs',
        retry: { initial_ms: 50, max_ms: 500 },
      },
    },
  });
  const siem = join(agent.dir, 'siem');
  const before = await recordMany(agent, 200);
  await agent.delivered();
  await rename(siem, `${siem}.away`);
  await writeFile(siem, 'no folder');
  const during = await recordMany(agent, 200);
  await expect.poll(() => stateOf(agent, 'file/ecs')).toBe('retrying');
  await rm(siem);
  await rename(`${siem}.away`, siem);
  await agent.delivered();
  const after = await recordMany(agent, 200);
  expectNotSlowed([before, after], [during]);
  await agent.delivered();
  await expectFileComplete(agent, join(siem, 'ecs.ndjson'), [before, during, after]);
});

testWhere(mayMount, 'a full disk under a SIEM file: only root may mount one')(
  'the disk of a SIEM file is full for a while: everything arrives once, in whole lines',
  async () => {
    await using disk = await mountTmpfs(1);
    await using elsewhere = await makeTempDir();
    await writeFile(join(disk.path, 'ballast'), Buffer.alloc(640 << 10));
    const path = join(disk.path, 'ecs.ndjson');
    await using agent = await startAgentProcess({
      dir: elsewhere.path,
      exporters: { 'file/ecs': { path, format: 'ecs', retry: { initial_ms: 50, max_ms: 500 } } },
    });
    const before = await recordMany(agent, 60);
    const during = await recordMany(agent, 600);
    await expect.poll(() => stateOf(agent, 'file/ecs')).toBe('retrying');
    await rm(join(disk.path, 'ballast'));
    await agent.delivered();
    await expectFileComplete(agent, path, [before, during]);
  },
);

async function expectFileComplete(
  agent: AgentProcess,
  path: string,
  observed: readonly Observation[],
): Promise<void> {
  const ids = (await readLines<{ event: { id: string } }>(path)).map(({ event }) => event.id);
  expect(new Set(ids).size).toBe(ids.length);
  const sealed = await readRecords(join(agent.dir, 'ledger'));
  expect(ids.toSorted()).toEqual(sealed.map(({ event }) => event.event_id).sort());
  const acked = observed.flatMap((one) => one.acked.map(({ event_id }) => event_id));
  expect(ids).toEqual(expect.arrayContaining(acked));
}

const sinkOf = async (agent: AgentProcess, name: string) =>
  (await agent.status()).sinks.find((sink) => sink.name === name);
const stateOf = async (agent: AgentProcess, name: string) => (await sinkOf(agent, name))?.state;
const lagOf = async (agent: AgentProcess, name: string) => (await sinkOf(agent, name))?.lag_records;

interface Line extends AsyncDisposable {
  readonly port: number;
  /** cut: refuses and drops connections. silent: takes them and says nothing more. */
  set(state: 'open' | 'cut' | 'silent'): void;
}

/** A way to a port of this host that can be cut. */
async function openLine(target: number): Promise<Line> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'silent' = 'open';
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('data', (bytes: Buffer) => state === 'open' && other.write(bytes));
      // Either side may go first, and with an error: both then go.
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    if (state === 'cut') near.destroy();
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port,
    set: (next) => {
      // What a silent line has swallowed is missing from its connections: they cannot go on.
      if (next === 'cut' || state === 'silent') cut();
      state = next;
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
