/** `npm run bench -- NAME [--seconds N] [--json]`: see README.md beside this file. */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { runDrain } from './drain.ts';
import { runRecovery, runSlowSink, runSoak } from './endurance.ts';
import { runIngest } from './ingest.ts';
import { runInvestigate } from './investigate.ts';
import { runMerkle } from './merkle.ts';
import { runVerifyStore } from './verify-store.ts';
import { runVerify } from './verify.ts';

const USAGE = `npm run bench -- NAME [--seconds N] [--json]

  ingest     durably acked events/s and latency, against PostgreSQL and Redis in the same run
  drain      rows/s into PostgreSQL and documents/s through the mappings
  slow-sink  memory and latency beside a sink that is a hundred times too slow
  recovery   time to a start over ledgers of several sizes
  merkle     what a leaf of the tree and a proof cost
  investigate  the auditor's questions over ten million records (--records N)
  verify     a ledger verified, beside hashing and parsing the same bytes; a store of a million records
  soak       the same load in windows of ten seconds: memory, open files, latency

  --records N   of investigate (default 10,000,000; a gigabyte a million)
  --seconds N   length of each row (default 5)
  --json        print the rows as JSON, progress on standard error`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      seconds: { type: 'string', default: '5' },
      records: { type: 'string', default: '10000000' },
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
  else if (name === 'slow-sink') print(values.json, host, await runSlowSink(seconds, say));
  else if (name === 'recovery') print(values.json, host, await runRecovery(say));
  else if (name === 'merkle') print(values.json, host, await runMerkle(seconds, say));
  else if (name === 'investigate')
    print(values.json, host, await runInvestigate(Number(values.records), say));
  else if (name === 'verify')
    print(values.json, host, [...(await runVerify(say)), ...(await runVerifyStore(say))]);
  else if (name === 'soak') print(values.json, host, await runSoak(seconds, say));
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
