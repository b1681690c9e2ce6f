/** Stops, restarts and neighbours of the real agent: what is promised to whoever operates it. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../bench/processes.ts';
import {
  runCli,
  startAgentProcess,
  type AgentProcess,
  type AgentProcessOptions,
} from '../support/agent-process.ts';
import { startGoodClient } from '../support/good-client.ts';
import { makeTempDir } from '../support/ledger.ts';
import { expectEachOnce, readRecords } from '../support/outcome.ts';
import { connectRaw } from '../support/raw-client.ts';
import { isAlive, processesOn, signal, signalAgent } from '../support/processes.ts';

/** Servers start in every test, and the machine may be busy. */
const SHUTDOWN_MS_MAX = 10_000;

/** How a process ends is what this is about. */
const start = (options: AgentProcessOptions = {}): Promise<AgentProcess> =>
  startAgentProcess({ ...options, isAlone: true });

const FILE_ONLY = { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } };

describe('with an embedded database', () => {
  let agent: AgentProcess;
  beforeAll(async () => {
    agent = await start();
    await agent.delivered();
  });
  afterAll(() => agent?.[Symbol.asyncDispose]());

  test('Ctrl-C under load drains and ends within 10 s with exit code 0, the database included; the next start goes on in the same streams', async () => {
    const client = await startGoodClient(agent, { inFlight: 64 });
    await client.reached(500);
    expect((await processesOn(agent.dir)).length, 'agent and database').toBeGreaterThan(1);

    const { code, ms } = await signalAgent(agent, 'SIGINT');
    expect(code).toBe(0);
    expect(ms).toBeLessThan(SHUTDOWN_MS_MAX);
    // The children of a server that had to be killed see it a moment later.
    const message = 'nothing is left running';
    await expect.poll(() => processesOn(agent.dir), { message }).toEqual([]);
    expect((await readdir(agent.dir)).filter((name) => name.endsWith('.sock'))).toEqual([]);
    const before = await readRecords(join(agent.dir, 'ledger'));
    expect(before.at(-1)?.event.event.action).toBe('agent.stopped');

    const acked = client.audit.stats().acked;
    await agent.start();
    await client.reached(acked + 500);
    const observed = await client.stop();
    expect(observed.failed, 'the client only waited').toEqual([]);
    const records = await expectEachOnce(agent, observed.acked);
    const streams = (of: typeof records) => new Set(of.map(({ event }) => event.chain.stream));
    expect(streams(records), 'no stream began anew').toEqual(streams(before));
  });

  test('a second Ctrl-C ends it at once, and nothing that was acked is lost', async () => {
    const client = await startGoodClient(agent, { inFlight: 64 });
    await client.reached(300);
    const [pid, from] = [agent.pid(), agent.output().length];
    process.kill(pid, 'SIGINT');
    await expect.poll(() => agent.output().slice(from)).toContain('SIGINT');
    // It may have ended by now.
    signal(pid, 'SIGINT');
    await expect.poll(() => isAlive(pid), { interval: 10 }).toBe(false);
    await agent.stop();
    await agent.start();
    const { acked, failed } = await client.stop();
    expect(failed).toEqual([]);
    await expectEachOnce(agent, acked);
  });

  // The last one: the agent is gone then.
  test('SIGTERM while the database hangs ends within 10 s, and the database is gone as well', async () => {
    await agent.delivered();
    const database = (await processesOn(agent.dir)).filter(({ name }) => name.includes('postgres'));
    const hanging = database.filter(({ name }) => / -D |sealtrail_writer/.test(name));
    expect(hanging.length).toBeGreaterThan(1);
    for (const { pid } of hanging) process.kill(pid, 'SIGSTOP');
    const client = await startGoodClient(agent);
    await client.reached(50);
    await client.stop();
    const { code, ms } = await signalAgent(agent, 'SIGTERM');
    expect({ code, isInTime: ms < SHUTDOWN_MS_MAX }).toEqual({ code: 0, isInTime: true });
    // What is stopped notices nothing; once it goes on, it sees that its server is gone, whose child it was.
    for (const { pid } of hanging) signal(pid, 'SIGCONT');
    await expect.poll(() => processesOn(agent.dir)).toEqual([]);
  });
});

describe('with a file for its only sink', () => {
  let agent: AgentProcess;
  beforeAll(async () => {
    agent = await start({ exporters: FILE_ONLY });
  });
  afterAll(() => agent?.[Symbol.asyncDispose]());

  test('a second agent on the same directory refuses, says who holds it, and disturbs nothing', async () => {
    const client = await startGoodClient(agent);
    const second = await runCli(['agent', '--config', agent.configFile]);
    expect(second.code).toBe(2);
    expect(second.stderr).toContain(`another agent (pid ${agent.pid()}) uses ${agent.dir}`);
    expect(second.stderr).toContain('SEALTRAIL_DATA_DIR');
    const { acked } = client.audit.stats();
    await client.reached(acked + 20);
    expect(await client.stop()).toMatchObject({ failed: [], reconnects: 0 });
  });

  test('an agent whose port is taken says which, and leaves nothing running, no database either', async () => {
    await using temp = await makeTempDir();
    const config = JSON.parse(await readFile(agent.configFile, 'utf8')) as Record<string, unknown>;
    const service = config['service'] as { readonly pipelines: { readonly audit: object } };
    const configFile = join(temp.path, 'sealtrail.yaml');
    await writeFile(
      configFile,
      JSON.stringify({
        ...config,
        data_dir: temp.path,
        exporters: { postgresql: { embedded: true, port: 0 } },
        service: {
          ...service,
          pipelines: { audit: { ...service.pipelines.audit, exporters: ['postgresql'] } },
          telemetry: { admin_endpoint: `127.0.0.1:${await freePort()}` },
        },
      }),
    );
    const second = await runCli(['agent', '--config', configFile]);
    expect(second.code).toBe(2);
    expect(second.stderr).toContain(`cannot listen on ${new URL(agent.otlpUrl).host}`);
    await expect.poll(() => processesOn(temp.path)).toEqual([]);
  });

  test('an agent whose output nobody reads any more goes on, and stops in order', async () => {
    agent.stopReading();
    const client = await startGoodClient(agent);
    // A client that is cut off is worth a line in the log.
    using hostile = await connectRaw(agent.socketPath);
    hostile.send(Buffer.alloc(5));
    await hostile.next();
    await client.reached(50);
    expect((await client.stop()).failed).toEqual([]);
    expect((await signalAgent(agent, 'SIGTERM')).code).toBe(0);
    const records = await readRecords(join(agent.dir, 'ledger'));
    expect(records.at(-1)?.event.event.action).toBe('agent.stopped');
  });
});

test('two agents run side by side, each with its own directory, ports and database; what one has acked is with its every sink when it has stopped', async () => {
  // The drain has what time it needs, on a slow machine as well.
  await using one = await start({ shutdownTimeoutMs: 120_000 });
  await using other = await start();
  const clients = await Promise.all([one, other].map((agent) => startGoodClient(agent)));
  for (const client of clients) await client.reached(50);
  const [first, second] = await Promise.all(clients.map((client) => client.stop()));
  const records = await expectEachOnce(one, first!.acked);
  const others = await expectEachOnce(other, second!.acked);
  const streams = new Set(records.map(({ event }) => event.chain.stream));
  expect(others.filter(({ event }) => streams.has(event.chain.stream))).toEqual([]);

  const client = await startGoodClient(one, { inFlight: 256 });
  await client.reached(1000);
  await client.stop();
  await one.stop();
  const { length } = await readRecords(join(one.dir, 'ledger'));
  for (const name of ['postgresql', 'file_ecs', 'file_ocsf']) {
    const cursor = await readFile(join(one.dir, 'cursors', `${name}.json`), 'utf8');
    // All but the last event, which says that the agent stopped.
    expect(cursor).toMatch(new RegExp(`:${length}\\b|:${length - 1}\\b`));
  }
});

test('SIGTERM while every sink is down ends within 10 s, and nothing is lost', async () => {
  const port = await freePort();
  await using temp = await makeTempDir();
  await writeFile(join(temp.path, 'siem'), 'a file where the folder should be');
  await using agent = await start({
    dir: temp.path,
    exporters: {
      postgresql: { embedded: false, url: `postgresql://nobody:none@127.0.0.1:${port}/none` },
      'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' },
    },
  });
  const client = await startGoodClient(agent, { inFlight: 16 });
  await client.reached(200);
  const { acked, failed } = await client.stop();
  expect(failed).toEqual([]);
  const { code, ms } = await signalAgent(agent, 'SIGTERM');
  expect({ code, isInTime: ms < SHUTDOWN_MS_MAX }).toEqual({ code: 0, isInTime: true });
  const ids = (await readRecords(join(agent.dir, 'ledger'))).map(({ event }) => event.event_id);
  expect(ids).toEqual(expect.arrayContaining(acked.map(({ event_id }) => event_id)));
});
