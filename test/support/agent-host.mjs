// A process that runs agents one after the other, each from its beginning to its end as `sealtrail agent` does.
// Half of what a start costs is the loading of modules, and a suite starts some hundred agents.
import { Command } from 'commander';
import { addAgentCommand } from '../../dist/cli/agent.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

process.on('disconnect', () => process.exit());
process.on('message', ({ configFile, mark }) => {
  const program = new Command();
  addAgentCommand(program);
  process.exitCode = undefined;
  void program.parseAsync(['agent', '--config', configFile], { from: 'user' }).then(() => {
    const code = process.exitCode ?? 0;
    for (const signal of SIGNALS) process.removeAllListeners(signal);
    // Behind all that it has printed.
    process.stderr.write(mark, () => process.stdout.write(mark, () => process.send({ code })));
  });
});
