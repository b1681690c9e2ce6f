/** The first moments of an agent: what it cannot use is said in a line, and a signal does no harm. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../../bench/processes.ts';
import { until } from '../support/agent-peer.ts';
import { CLI, runCli, VOCABULARY } from '../support/agent-process.ts';
import { makeTempDir } from '../support/ledger.ts';

const configOf = async (dataDir: string): Promise<string> =>
  JSON.stringify({
    data_dir: dataDir,
    agent: { name: 'start', vocabulary_file: VOCABULARY },
    receivers: { socket: { tenants: ['*'] } },
    exporters: {},
    tenants: [{ id: 'default' }],
    service: {
      pipelines: { audit: { receivers: ['socket'], exporters: [] } },
      telemetry: { admin_endpoint: `127.0.0.1:${await freePort()}` },
    },
  });

test('a data directory that cannot be had is named in one line with the reason, and the exit code is 2', async () => {
  await using temp = await makeTempDir();
  const file = join(temp.path, 'file');
  await writeFile(file, '');
  for (const dataDir of [file, join(file, 'below')]) {
    const config = join(temp.path, 'sealtrail.yaml');
    await writeFile(config, await configOf(dataDir));
    const { code, stderr } = await runCli(['agent', '--config', config]);
    expect(stderr).toMatch(/^sealtrail: cannot use data_dir \S+: E\w+: .+\n$/);
    expect(stderr).toContain(dataDir);
    expect(code).toBe(2);
  }
});

test('a SIGHUP while the configuration is being read ends nothing: the agent starts, and reads it again', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'sealtrail.yaml');
  const text = await configOf(join(temp.path, 'data'));
  const whole = join(temp.path, 'whole.yaml');
  await writeFile(whole, text);
  expect(spawnSync('mkfifo', [path]).status).toBe(0);
  const log = join(temp.path, 'log');
  const output = await open(log, 'w');
  const child = spawn(process.execPath, [CLI, 'agent', '--config', path], {
    stdio: ['ignore', output.fd, output.fd],
  });
  const exited = once(child, 'exit');
  // Opens once the agent does, which then waits for what it reads.
  const pipe = await open(path, 'w');
  child.kill('SIGHUP');
  await rename(whole, path);
  await pipe.writeFile(text);
  await pipe.close();
  await until(
    () => readFileSync(log, 'utf8').includes('the configuration was read again'),
    'the agent to have started and read it again',
  );
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  await output.close();
});
