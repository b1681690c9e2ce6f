/** `sealtrail emit`: records NDJSON events from standard input, through the SDK and the agent's socket. */
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import { AuditError, type Audit, type RecordReceipt } from '../sdk/index.ts';
import { parseDraft } from './emit-input.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { createProgress } from './progress.ts';
import { openAudit, type RecordingOptions } from './recording.ts';

interface EmitOptions extends RecordingOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

const EXAMPLES = `
A line is what record() takes, or a whole event with its event_id:
  {"action":"user.login","outcome":"success","actor":{"type":"user","id":"u-1","name":"Ada"},"resource":{"type":"session","id":"s-1"}}

Examples:
  $ echo '{"action":"user.login","outcome":"denied","actor":{"type":"user","id":"u-1","name":"Ada"},"resource":{"type":"session","id":"s-1"}}' | sealtrail emit
  $ sealtrail emit --tenant acme --json < events.ndjson > receipts.ndjson

Exit codes: 0 all are recorded, 1 some were refused (each named by line), 2 the agent cannot be reached or stopped taking events.
The redaction key is $SEALTRAIL_REDACTION_KEY, or keys/redaction.key of the data directory.`;

/** Events on their way at once: enough for full group commits, bounded in memory. */
const WINDOW = 4096;

/** Adds the command. */
export function addEmitCommand(program: Command): void {
  program
    .command('emit')
    .description('record NDJSON events from standard input; print a receipt for each')
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--service <name>', 'source.service of the events', 'sealtrail-emit')
    .option('--tenant <id>', 'tenant of events that name none', 'default')
    .option('--vocabulary <file>', "vocabulary file (default: the running agent's)")
    .option('--json', 'print receipts and refusals as NDJSON on standard output')
    .option('-q, --quiet', 'print refusals and the summary only')
    .addHelpText('after', EXAMPLES)
    .action(async (options: EmitOptions) => {
      process.exitCode = await runEmit(options);
    });
}

async function runEmit(options: EmitOptions): Promise<number> {
  const opened = await openAudit(options);
  if (!opened.ok) {
    console.error(`emit: ${opened.error}`);
    return 2;
  }
  const audit = opened.value;
  const emission = createEmission(options);
  const open: Promise<void>[] = [];
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  let line = 0;
  for await (const text of lines) {
    line += 1;
    if (text.trim() === '') continue;
    // Answers are printed in the order of the lines, so the oldest is awaited first.
    open.push(emission.settle(line, recordLine(audit, text)));
    if (open.length >= WINDOW) await Promise.all(open.splice(0, WINDOW / 2));
    if (emission.isOver()) break;
  }
  await Promise.all(open);
  await audit.close();
  return emission.conclude(line);
}

async function recordLine(audit: Audit, text: string): Promise<RecordReceipt> {
  const draft = parseDraft(text);
  if (draft.ok) return audit.record(draft.value);
  const { kind, message, field } = draft.error;
  // The message says what to do; the SDK's hint for the kind speaks of the agent's refusals.
  throw new AuditError(kind, message, { hint: '', ...(field === undefined ? {} : { field }) });
}

interface Emission {
  settle(line: number, recorded: Promise<RecordReceipt>): Promise<void>;
  /** True when going on is pointless: the agent does not answer, or its disk is full. */
  isOver(): boolean;
  /** Prints the summary; returns the exit code. */
  conclude(linesRead: number): number;
}

/** Codes that are about the agent, not about the event. */
const OUTAGES: ReadonlySet<string> = new Set([
  'agent_unavailable',
  'timeout',
  'closed',
  'disk_full',
  'storage_failed',
  'shutting_down',
]);

function createEmission(options: EmitOptions): Emission {
  const progress = createProgress('recorded', 'events');
  let recorded = 0;
  let refused = 0;
  let outage: string | null = null;
  let printed: Promise<void> = Promise.resolve();

  function print(line: number, receipt: RecordReceipt): void {
    recorded += 1;
    progress.update(recorded, 0);
    if (options.quiet === true) return;
    if (options.json === true) console.log(JSON.stringify({ line, ...receipt }));
    else
      console.log(
        `${receipt.event_id}  ${receipt.this_hash}  ${receipt.stream} ${receipt.seq}${receipt.duplicate === true ? '  (recorded before)' : ''}`,
      );
  }

  function printRefusal(line: number, error: AuditError): void {
    if (OUTAGES.has(error.code)) outage ??= `line ${line}: ${error.code}: ${error.message}`;
    else refused += 1;
    const { code, message, field, hint } = error;
    if (options.json === true) console.log(JSON.stringify({ line, code, message, field, hint }));
    else if (!OUTAGES.has(code))
      console.error(`line ${line}: ${code}: ${message}${hint ? `. ${hint}` : ''}`);
  }

  return {
    settle: (line, recording) => {
      // Handled at once, printed in turn.
      const outcome = recording.then(
        (receipt) => () => print(line, receipt),
        (error: unknown) => {
          if (!(error instanceof AuditError)) throw error;
          return () => printRefusal(line, error);
        },
      );
      printed = Promise.all([printed, outcome]).then(([, say]) => say());
      return printed;
    },
    isOver: () => outage !== null,
    conclude: (linesRead) => {
      progress.end();
      console.error(`${recorded} recorded, ${refused} refused, ${linesRead} lines read`);
      if (outage === null) return refused > 0 ? 1 : 0;
      console.error(`emit: stopped, the agent takes no events. ${outage}`);
      return 2;
    },
  };
}
