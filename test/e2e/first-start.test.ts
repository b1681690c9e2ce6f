/** The first start of an agent, in an empty directory: what it makes, and what becomes of it half made. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CLI, runCli, startAgentProcess } from '../support/agent-process.ts';
import { makeTempDir } from '../support/ledger.ts';
import { expectEachOnce } from '../support/outcome.ts';
import { processesOn, signalAgent } from '../support/processes.ts';

/** Servers start in every test, and the machine may be busy. */
const SHUTDOWN_MS_MAX = 10_000;
const FILE_ONLY = { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } };
const DRAFT = {
  action: 'user.login',
  outcome: 'success',
  actor: { type: 'user', id: 'u-1', name: 'Ada' },
  resource: { type: 'session', id: 's-1' },
};

test('a first start makes keys, readable by nobody else, says so, and alarms nobody: the sink waits for the database that is being made', async () => {
  await using agent = await startAgentProcess({
    exporters: { postgresql: { embedded: true } },
    isFirstStart: true,
    isAlone: true,
  });
  await agent.delivered();
  expect(agent.output()).toContain('the embedded PostgreSQL is being made; records wait');
  expect(agent.output()).not.toMatch(/"level":"(warn|error)"/);
  expect((await agent.status()).sinks).toEqual([
    expect.objectContaining({ retries_total: 0, last_error: null }),
  ]);
  for (const name of ['redaction.key', 'signing.key']) {
    const { mode } = await stat(join(agent.dir, 'keys', name));
    expect(mode & 0o777, name).toBe(0o600);
    expect(agent.output()).toMatch(new RegExp(`new key .*${name}.*generated now, mode 0600`));
  }
  const key = await agent.redactionKey();
  const emitted = await runCli(['emit', '--data-dir', agent.dir], {
    input: `${JSON.stringify(DRAFT)}\n`,
  });
  expect(emitted, 'emit finds them there').toMatchObject({ code: 0 });

  await agent.stop();
  const from = agent.output().length;
  await agent.start();
  expect(agent.output().slice(from)).not.toContain('new key');
  expect(await agent.redactionKey()).toBe(key);
});

test('an agent that is stopped or killed while its database is made leaves nothing running after a stop, and makes it whole at the next start', async () => {
  await using temp = await makeTempDir();
  await using agent = await startAgentProcess({
    dir: temp.path,
    isFirstStart: true,
    isAlone: true,
  });
  await expect.poll(() => processesOn(agent.dir), { interval: 5 }).not.toHaveLength(1);
  const { code, ms } = await signalAgent(agent, 'SIGTERM');
  expect({ code, isInTime: ms < SHUTDOWN_MS_MAX }).toEqual({ code: 0, isInTime: true });
  await expect.poll(() => processesOn(agent.dir)).toEqual([]);
  await agent.start();
  for (const killMs of [100, 900]) {
    await pause(killMs);
    await agent.kill();
    await agent.start();
  }
  await agent.delivered();
  await expectEachOnce(agent, []);
});

test('an agent that is told to stop while it starts stops', async () => {
  await using agent = await startAgentProcess({ exporters: FILE_ONLY, isAlone: true });
  await agent.stop();
  const child = spawn(process.execPath, [CLI, 'agent', '--config', agent.configFile], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  await expect.poll(() => processesOn(agent.dir)).not.toEqual([]);
  // Until it listens for it, the signal ends the process as it ends any other.
  child.kill('SIGTERM');
  await exited;
  expect(child.exitCode === 0 || child.signalCode === 'SIGTERM').toBe(true);
  expect(await processesOn(agent.dir)).toEqual([]);
});
