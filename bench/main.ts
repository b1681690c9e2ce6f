/** `npm run bench -- NAME [--seconds N] [--json]`: see README.md beside this file. */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { runDrain } from './drain.ts';
import { runIngest } from './ingest.ts';

const USAGE = `npm run bench -- NAME [--seconds N] [--json]

  ingest   durably acked events/s and latency, against PostgreSQL and Redis in the same run
  drain    rows/s into PostgreSQL and documents/s through the mappings

  --seconds N   length of each row (default 5)
  --json        print the rows as JSON, progress on standard error`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      seconds: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const name = positionals[0];
  const seconds = Number(values.seconds);
  if (values.help || name === undefined || !(seconds > 0)) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  const say = (line: string): void => console.error(line);
  const host = {
    node: process.version,
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memory_gb: Math.round(totalmem() / 1e9),
  };
  say(`on ${host.cores} cores (${host.cpu}), Node ${host.node}`);
  if (name === 'ingest') print(values.json, host, await runIngest(seconds, say));
  else if (name === 'drain') print(values.json, host, await runDrain(seconds, say));
  else {
    console.error(`no benchmark is named ${name}\n\n${USAGE}`);
    return 2;
  }
  return 0;
}

function print(json: boolean, host: object, rows: readonly object[]): void {
  if (json) console.log(JSON.stringify({ host, rows }, null, 2));
}

process.exitCode = await main();
