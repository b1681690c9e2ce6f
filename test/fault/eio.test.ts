/**
 * A disk that answers EIO to fdatasync, under the real agent (strace puts the error in). That every
 * single operation of the ledger may fail is in test/ledger/writer.test.ts.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { segmentName } from '../../ledger/segment.ts';
import { runCli, startAgentProcess } from '../support/agent-process.ts';
import { makeEvent } from '../support/events.ts';
import { startGoodClient } from '../support/good-client.ts';
import { hasStrace, testWhere } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readRecords } from '../support/outcome.ts';
import { isAlive } from '../support/processes.ts';
import { connectRaw } from '../support/raw-client.ts';

const FILE_ONLY = { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } };
/** One thread does all file work, so that `when` counts what it says. */
const ENV = { UV_THREADPOOL_SIZE: '1' };

/** Runs a program with this done to its fdatasync; -D keeps it our child, signals and all. */
const inject = (when: string, path: readonly string[] = []): string[] => [
  ...['strace', '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', ...path],
  ...['-e', 'trace=fdatasync', '-e', `inject=fdatasync:error=EIO:when=${when}`],
];

const testStrace = testWhere(hasStrace, 'EIO on fdatasync: strace is not here, or may not trace');

testStrace(
  'after one failed fdatasync nothing acked is missing: the batch is in a new segment',
  async () => {
    await using temp = await makeTempDir();
    const first = join(temp.path, 'ledger', segmentName(0));
    await using agent = await startAgentProcess({
      dir: temp.path,
      exporters: FILE_ONLY,
      wrapper: inject('12', ['-P', first]),
      env: ENV,
    });
    const client = await startGoodClient(agent, { inFlight: 4 });
    await client.reached(200);
    const { acked, failed } = await client.stop();
    expect(failed, 'the client did not notice').toEqual([]);

    const segments = (await readdir(join(agent.dir, 'ledger'))).filter((name) =>
      /^\d+\.ndjson$/.test(name),
    );
    expect(segments).toHaveLength(2);
    expect((await readFile(first, 'utf8')).endsWith('\n'), 'cut back to what was durable').toBe(
      true,
    );
    expect((await agent.status()).append).toMatchObject({
      state: 'ready',
      last_error: expect.stringContaining('EIO'),
    });
    expect(agent.output()).toContain('the batch was written to a new segment');

    await agent.kill();
    const ids = (await readRecords(join(agent.dir, 'ledger'))).map(({ event }) => event.event_id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(acked.map(({ event_id }) => event_id)));
    expect((await runCli(['verify', agent.dir])).code).toBe(0);
  },
);

testStrace(
  'a disk that goes on failing: events are refused as storage_failed, the agent says why and ends with 1, a restart recovers',
  async () => {
    await using temp = await makeTempDir();
    // Of the ledger alone: checkpoints meet the disk as well, each second, and would be the first to say so.
    const segments = Array.from({ length: 50 }, (_, n) => [
      '-P',
      join(temp.path, 'ledger', segmentName(n)),
    ]);
    const wrapper = inject('5+', segments.flat());
    await using agent = await startAgentProcess({
      dir: temp.path,
      exporters: FILE_ONLY,
      wrapper,
      env: ENV,
    });
    using client = await connectRaw(agent.socketPath);
    await client.greet();
    const acked: string[] = [];
    let refused: unknown;
    for (let seq = 0; refused === undefined && seq < 1000; seq++) {
      const event = makeEvent();
      const { rejected } = await client.batch([JSON.stringify(event)], seq);
      if (rejected.length === 0) acked.push(event.event_id);
      else refused = rejected;
    }
    expect(refused).toEqual([
      {
        index: 0,
        kind: 'storage_failed',
        message: expect.stringMatching(/EIO.*see the agent's log/),
      },
    ]);
    expect(acked.length).toBeGreaterThan(0);
    const pid = agent.pid();
    await expect.poll(() => isAlive(pid)).toBe(false);
    expect(await agent.stop()).toBe(1);
    expect(agent.output()).toMatch(/sealtrail: the ledger cannot be written: .*EIO/);

    wrapper.length = 0;
    await agent.start();
    const after = await startGoodClient(agent);
    await after.reached(20);
    const { failed } = await after.stop();
    expect(failed).toEqual([]);
    await agent.delivered();
    const ids = (await readRecords(join(agent.dir, 'ledger'))).map(({ event }) => event.event_id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(acked));
    expect((await runCli(['verify', agent.dir])).code).toBe(0);
  },
);
