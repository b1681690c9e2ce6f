/** `sealtrail lake`: the trail as OCSF in Parquet, partitioned as Amazon Security Lake does for custom sources. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidArgumentError, type Command } from 'commander';
import { VERSION } from '../agent/version.ts';
import { writeLake } from '../auditor/lake/lake.ts';
import { REGION_DEFAULT } from '../auditor/lake/partition.ts';
import {
  archiveRecords,
  ledgerRecords,
  storeRecords,
  type Range,
} from '../auditor/lake/records.ts';
import { messageOf, ok } from '../schemas/result.ts';
import { createArchiveClient } from '../store/archive/client.ts';
import { ARCHIVE_TIMEOUT_MS, findArchive } from './archive-address.ts';
import { formatFault } from './config-check.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { createProgress } from './progress.ts';

const EXAMPLES = `
Examples:
  $ sealtrail lake --out ./lake                                    of the ledger in ./data, all days
  $ sealtrail lake --out ./lake --since 2026-10-01 --until 2026-11-01
  $ sealtrail lake --out ./lake --store "$AUDITOR_URL" --region eu-central-1
  $ sealtrail lake --out ./lake --archive                          of the archive that the configuration names (an exporter of type s3)
  $ aws s3 sync ./lake/sealtrail_6003 s3://BUCKET/ext/sealtrail-api-activity/

The files: sealtrail_<class>/region=…/accountId=external_<tenant>/eventDay=YYYYMMDD/events.parquet, one OCSF class a source.
Days are UTC, by the time of the event; each is written whole and replaces the file that was there, so the same command
again gives the same files. What the retention purge has removed from the trail stays in files that were written before.
With --store it is on record, for each tenant, that its events were copied (docs/STORE.md). An archive is proven as \`sealtrail
restore\` proves it without --trust; out of a bucket without a configuration: \`sealtrail restore --out\` first. Queries for DuckDB and
Athena: deploy/lake/.

Exit codes: 0 written, 2 it could not be (what is in place is whole).`;

const VOCABULARY = fileURLToPath(new URL('../../config/vocabulary.json', import.meta.url));
const EVER = '9999-12-31';
const NO_ARCHIVE = 'restore a bucket first: `sealtrail restore --bucket NAME --out DIR`';

interface LakeCommandOptions {
  readonly dataDir: string;
  readonly out: string;
  readonly store?: string;
  readonly archive?: boolean;
  readonly config: string;
  readonly exporter?: string;
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
    .option('--archive', 'read the archive that the configuration names instead')
    .option('-c, --config <file>', 'with --archive: configuration file', 'config/sealtrail.yaml')
    .option(
      '--exporter <name>',
      'with --archive: which exporter of type s3, where there are several',
    )
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
  if (store !== undefined && options.archive === true) {
    console.error('lake: name --store or --archive, not both');
    return 2;
  }
  const archive =
    options.archive === true ? await findArchive(options, process.env, NO_ARCHIVE) : ok(null);
  if (!archive.ok) {
    console.error(`lake: ${archive.error}`);
    return 2;
  }
  const timeoutMs = Math.max(archive.value?.timeout_ms ?? 0, ARCHIVE_TIMEOUT_MS);
  const client = archive.value && createArchiveClient(archive.value, { timeoutMs });
  const progress = createProgress('reading', 'records');
  try {
    const records =
      client !== null
        ? archiveRecords({ client, trust: null, nowMs: Date.now }, range)
        : store === undefined
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
  } finally {
    client?.close();
  }
}

function parseDay(text: string): string {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || Number.isNaN(Date.parse(text)))
    throw new InvalidArgumentError('It is no day like 2026-10-31.');
  return text;
}
