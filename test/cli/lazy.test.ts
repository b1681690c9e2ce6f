/** Which modules a command loads: a status in a loop on a small host must not load a whole agent. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { CLI } from '../support/agent-process.ts';
import { makeTempDir } from '../support/ledger.ts';

const HOOKS = `import { writeSync } from 'node:fs';
export async function load(url, context, next) { writeSync(2, 'loads ' + url + '\\n'); return next(url, context); }`;
const asUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
const REGISTER = asUrl(
  `import { register } from 'node:module'; register(${JSON.stringify(asUrl(HOOKS))});`,
);

/** Modules of this repository and packages that a command line loads, by what follows dist/ or node_modules/. */
async function loadsOf(
  args: readonly string[],
): Promise<{ readonly ours: string[]; readonly packages: string[] }> {
  const child = spawn(process.execPath, ['--import', REGISTER, CLI, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
  await once(child, 'close');
  const urls = [...stderr.matchAll(/^loads (\S+)$/gm)].map((match) => match[1] ?? '');
  return {
    ours: urls.flatMap((url) => /\/dist\/(.+)\.js$/.exec(url)?.[1] ?? []),
    packages: [
      ...new Set(
        urls.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []),
      ),
    ],
  };
}

test('--version loads the program and its version, and nothing else', async () => {
  const { ours, packages } = await loadsOf(['--version']);
  expect(ours.sort()).toEqual(['agent/version', 'cli/commands', 'cli/main', 'cli/program']);
  expect(packages).toEqual(['commander']);
});

test('status, top, tap and dlq load nothing of the agent, nor what it is made of', async () => {
  await using temp = await makeTempDir();
  for (const args of [['status'], ['top', '--once'], ['tap'], ['dlq', 'list']]) {
    const { ours, packages } = await loadsOf([...args, '--data-dir', temp.path]);
    expect(ours, args[0]).toContain(`cli/${args[0] ?? ''}`);
    expect(
      ours.filter((path) => /^(agent|ledger|store|redaction|sdk)\//.test(path)),
      args[0],
    ).toEqual(['agent/version']);
    expect(packages, args[0]).toEqual(['commander']);
  }
});

test('a command loads its own module, and the help of all loads every one but not the agent', async () => {
  const emit = await loadsOf(['emit', '--help']);
  expect(emit.ours.filter((path) => path.startsWith('cli/')).sort()).toEqual(
    expect.arrayContaining(['cli/emit', 'cli/main']),
  );
  expect(emit.ours).not.toContain('cli/verify');
  const help = await loadsOf(['--help']);
  expect(help.ours).toEqual(expect.arrayContaining(['cli/agent', 'cli/verify', 'cli/top']));
  expect(help.ours).not.toContain('agent/agent');
  expect(help.packages).not.toContain('pino');
  const { ours } = await loadsOf(['agent', '--config', '/nowhere.yaml']);
  expect(ours, 'the check sees what is loaded').toContain('agent/config');
});
