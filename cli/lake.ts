/** `sealtrail lake`: the trail as OCSF in Parquet, partitioned as Amazon Security Lake does for custom sources. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, type Command } from 'commander';
import { VERSION } from '../agent/version.ts';
import { writeLake } from '../auditor/lake/lake.ts';
import { REGION_DEFAULT } from '../auditor/lake/partition.ts';
import { ledgerRecords, storeRecords, type Range } from '../auditor/lake/records.ts';
import { messageOf } from '../schemas/result.ts';
import { formatFault } from './config-check.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { createProgress } from './progress.ts';

const EXAMPLES = `
Examples:
  $ sealtrail lake --out ./lake                                    of the ledger in ./data, all days
  $ sealtrail lake --out ./lake --since 2026-10-01 --until 2026-11-01
  $ sealtrail lake --out ./lake --store "$AUDITOR_URL" --region eu-central-1
  $ aws s3 sync ./lake/sealtrail_6003 s3://BUCKET/ext/sealtrail-api-activity/

The files: sealtrail_<class>/region=…/accountId=external_<tenant>/eventDay=YYYYMMDD/events.parquet, one OCSF class a source.
Days are UTC, by the time of the event; each is written whole and replaces the file that was there, so the same command
again gives the same files. What the retention purge has removed from the trail stays in files that were written before.
Out of the archive: \`sealtrail restore\` first. Queries for DuckDB and Athena: deploy/lake/.

Exit codes: 0 written, 2 it could not be (what is in place is whole).`;

const VOCABULARY = fileURLToPath(new URL('../../config/vocabulary.json', import.meta.url));
const EVER = '9999-12-31';

interface LakeCommandOptions {
  readonly dataDir: string;
  readonly out: string;
  readonly store?: string;
  readonly since?: string;
  readonly until?: string;
  readonly region: string;
  readonly vocabulary: string;
  readonly json?: boolean;
}

/** Adds the command. */
export function addLakeCommand(program: Command): void {
  program
    .command('lake')
    .description('write the trail as an OCSF lake of Parquet files')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .requiredOption('--out <dir>', 'folder of the lake')
    .option('--store <url>', 'read the PostgreSQL store behind this URL instead of the ledger')
    .option('--since <day>', 'from this day on, UTC', parseDay)
    .option('--until <day>', 'up to this day, which is not written any more', parseDay)
    .option('--region <name>', 'of the partitions', REGION_DEFAULT)
    .option('--vocabulary <file>', 'the actions and their OCSF classes', VOCABULARY)
    .option('--json', 'print the files as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: LakeCommandOptions) => {
      process.exitCode = await runLake(options);
    });
}

async function runLake(options: LakeCommandOptions): Promise<number> {
  const { dataDir, out, store, since, until, region } = options;
  const { loadVocabularyFile } = await import('../agent/config.ts');
  const vocabulary = await loadVocabularyFile(options.vocabulary);
  if (!vocabulary.ok) {
    for (const fault of vocabulary.error)
      console.error(`lake: ${formatFault(options.vocabulary, fault)}`);
    return 2;
  }
  const range: Range = { since: since ?? '', until: until ?? EVER };
  const ledger = join(dataDir, 'ledger');
  const progress = createProgress('reading', 'records');
  try {
    const records =
      store === undefined
        ? ledgerRecords(existsSync(ledger) ? ledger : dataDir, range)
        : storeRecords(store, { ...range, since: since ?? '0001-01-01' });
    const files = await writeLake(records, {
      out: resolve(out),
      region,
      vocabulary: vocabulary.value,
      agent: { name: 'sealtrail lake', version: VERSION },
      onRecord: (count) => progress.update(count, count),
    });
    progress.end();
    const rows = files.reduce((sum, file) => sum + file.rows, 0);
    if (options.json === true) console.log(JSON.stringify({ out, rows, files }, null, 2));
    else console.log(`${rows} events in ${files.length} files below ${out}`);
    return 0;
  } catch (error) {
    progress.end();
    console.error(`lake: ${messageOf(error)}`);
    return 2;
  }
}

function parseDay(text: string): string {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || Number.isNaN(Date.parse(text)))
    throw new InvalidArgumentError('It is no day like 2026-10-31.');
  return text;
}
