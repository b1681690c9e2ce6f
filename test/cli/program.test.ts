/** What holds for every command of `sealtrail`: help with examples, exit codes, refusal of nonsense. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CLI, runCli, startAgentProcess } from '../support/agent-process.ts';
import { testWhere } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';

/** Names of the commands below a command, as its help lists them. */
async function commandsOf(path: readonly string[]): Promise<readonly string[]> {
  const { code, stdout } = await runCli([...path, '--help']);
  expect(code).toBe(0);
  const listed = /^Commands:\n((?: +.*\n?)+)/m.exec(stdout)?.[1] ?? '';
  return [...listed.matchAll(/^ {2}(\w[\w-]*)/gm)]
    .map((match) => match[1]!)
    .filter((one) => one !== 'help');
}

test('each command has help with examples that begin with its own name, and its exit codes', async () => {
  const commands = await commandsOf([]);
  expect(commands).toEqual(
    expect.arrayContaining(['agent', 'emit', 'verify', 'status', 'config', 'dlq', 'init']),
  );
  const paths = await Promise.all(
    commands.map(async (name) => {
      const below = await commandsOf([name]);
      return below.length === 0 ? [[name]] : below.map((one) => [name, one]);
    }),
  );
  const helps = await Promise.all(
    paths.flat().map(async (path) => ({ path, ...(await runCli([...path, '--help'])) })),
  );
  for (const { path, code, stdout } of helps) {
    expect(code).toBe(0);
    expect(stdout, path.join(' ')).toMatch(/^Examples:$/m);
    expect(stdout, path.join(' ')).toMatch(
      new RegExp(`^ {2}\\$ .*sealtrail ${path.join(' ')}`, 'm'),
    );
    expect(stdout, path.join(' ')).toMatch(/Exit codes: 0 /);
  }
}, 60_000);

test('an unknown command or option is exit code 2, with a way to the help', async () => {
  for (const args of [['frobnicate'], ['status', '--frobnicate'], ['dlq', 'frob'], []]) {
    const { code, stderr } = await runCli(args);
    expect(code, args.join(' ')).toBe(2);
    expect(stderr).toMatch(/help|Usage/);
  }
  expect(await runCli(['--version'])).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  });
});

test('an agent with a wrong configuration key does not start: it names file, line, column and what was meant', async () => {
  await using temp = await makeTempDir();
  const file = join(temp.path, 'sealtrail.yaml');
  await writeFile(file, `data_dir: ${temp.path}\nreceivers:\n  socket:\n    tenant: ["*"]\n`);
  const { code, stderr } = await runCli(['agent', '--config', file]);
  expect(code).toBe(2);
  expect(stderr).toMatch(new RegExp(`^${file}:4:5: /receivers/socket.*tenants`, 'm'));
});

const hasScript = spawnSync('script', ['--version']).status === 0;
testWhere(hasScript, 'progress on a terminal: script(1) is not here')(
  'emit shows its progress on a terminal, and only there',
  async () => {
    await using agent = await startAgentProcess({
      exporters: { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } },
    });
    const line = `{"action":"user.login","outcome":"success","actor":{"type":"user","id":"u","name":"A"},"resource":{"type":"session","id":"s"}}\n`;
    const input = join(agent.dir, 'events.ndjson');
    await writeFile(input, line.repeat(8_000));
    const emit = `'${process.execPath}' '${CLI}' emit --quiet --data-dir '${agent.dir}' < '${input}'`;
    const child = spawn('script', ['-qec', emit, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (shown += chunk));
    await once(child, 'close');
    expect(child.exitCode).toBe(0);
    expect(shown).toMatch(/\r\x1b\[Krecorded \d+ {2}\d+ events\/s/);
    expect(shown).toContain('8000 recorded, 0 refused');

    const piped = await runCli(['emit', '--quiet', '--data-dir', agent.dir], { input: line });
    expect(piped.stderr).not.toContain('\x1b');
  },
);
