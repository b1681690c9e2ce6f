/** What holds for every command of `sealtrail`: help with examples, exit codes, refusal of nonsense. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../cli/commands.ts';
import { CLI, runCli, startAgentProcess } from '../support/agent-process.ts';
import { testWhere } from '../support/host.ts';
import { makeTempDir } from '../support/ledger.ts';

interface Help {
  readonly path: string;
  readonly text: string;
}

/** The help of a command, or of those below it. */
function helpsOf(command: Command, above = ''): readonly Help[] {
  const path = `${above} ${command.name()}`.trim();
  if (command.commands.length > 0) return command.commands.flatMap((one) => helpsOf(one, path));
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return [{ path, text }];
}

test('each command has help with examples that begin with its own name, and its exit codes', async () => {
  for (const [name, load] of Object.entries(COMMANDS)) {
    const program = new Command('sealtrail');
    (await load())(program);
    expect(program.commands.map((command) => command.name())).toEqual([name]);
    for (const { path, text } of program.commands.flatMap((command) => helpsOf(command))) {
      expect(text, path).toMatch(/^Examples:$/m);
      expect(text, path).toMatch(new RegExp(`^ {2}\\$ .*sealtrail ${path}`, 'm'));
      expect(text, path).toMatch(/Exit codes: 0 /);
    }
  }
  const { code, stdout } = await runCli(['--help']);
  expect(code).toBe(0);
  for (const name of Object.keys(COMMANDS))
    expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'));
});

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
