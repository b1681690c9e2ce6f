// A process that runs command lines one after the other, each from its beginning to its end as `sealtrail` does.
// Half of what a start costs is the loading of modules, and a suite starts some hundreds.
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommandLine } from '../../dist/cli/program.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

// Made when they are first used, and counted from then on.
const { stdout, stderr } = process;

/** How many things keep this process from ending. */
const open = () => process.getActiveResourcesInfo().length;

process.on('disconnect', () => process.exit());
process.on('message', async ({ words, env, cwd, mark }) => {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  Object.assign(process.env, env);
  process.chdir(cwd);
  process.exitCode = undefined;
  const before = open();
  await runCommandLine(words);
  // A process of its own would go on as long as anything is open.
  while (open() > before) await sleep(5, undefined, { ref: false });
  const code = process.exitCode ?? 0;
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  for (const stream of [stdout, stderr]) stream.removeAllListeners('error');
  // Behind all that it has printed.
  stderr.write(mark, () => stdout.write(mark, () => process.send({ code })));
});
