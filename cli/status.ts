/** `sealtrail status`: what the running agent says of itself. */
import type { Command } from 'commander';
import type { AgentStatus, AnchorsStatus } from '../agent/status-ports.ts';
import { askAgent, DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';

const EXAMPLES = `
Examples:
  $ sealtrail status
  $ sealtrail status --json | jq '.sinks[] | {name, lag_records}'

Exit codes: 0 the agent runs and takes events, 1 it runs and does not, 2 no agent answers.`;

/** Adds the command. */
export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description(
      'head, disk, lag of each sink, queue, last fsync and last error of the running agent',
    )
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option('--json', 'print the status as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: { readonly dataDir: string; readonly json?: boolean }) => {
      const answer = await askAgent(options.dataDir, 'GET', '/status');
      if (!answer.ok) {
        console.error(`status: ${answer.error}`);
        process.exitCode = 2;
        return;
      }
      // The agent is of this build: its answer has this form.
      const status = answer.value as AgentStatus;
      console.log(options.json === true ? JSON.stringify(status, null, 2) : format(status));
      process.exitCode = status.append.state === 'ready' ? 0 : 1;
    });
}

function format(status: AgentStatus): string {
  const { append } = status;
  const nacks = Object.entries(status.nacks_total);
  const fsync =
    append.last_fsync_ms === null
      ? 'none yet'
      : `${append.last_fsync_ms.toFixed(2)} ms at ${append.last_fsync_at ?? ''}`;
  const facts: [string, string][] = [
    ['agent', `${status.agent} ${status.version}, pid ${status.pid}, since ${status.started_at}`],
    ['state', append.state],
    ['data', status.data_dir],
    ['ledger', `${append.records} records, ${formatBytes(append.ledger_bytes)}`],
    ['disk', formatDisk(status.disk)],
    ['queue', `${append.queue_events} of ${append.queue_events_max} events`],
    ['last fsync', fsync],
    ['checkpoints', formatCheckpoints(status.checkpoints)],
    ['anchors', formatAnchors(status.checkpoints?.anchors ?? null)],
    ['acked', String(status.acks_total)],
    [
      'refused',
      nacks.length === 0 ? '0' : nacks.map(([kind, count]) => `${kind} ${count}`).join(', '),
    ],
    ...(status.rollback === null ? [] : [['warning', status.rollback] as [string, string]]),
    ['last error', status.last_error ?? 'none'],
  ];
  const sinks = table([
    [
      'SINK',
      'STATE',
      'CURSOR',
      'LAG',
      'BEHIND',
      'DELIVERED',
      'RETRIES',
      'SKIPPED',
      'DEAD',
      'LAST ERROR',
    ],
    ...status.sinks.map((sink) => [
      sink.name,
      sink.state,
      String(sink.cursor),
      String(sink.lag_records),
      `${sink.lag_seconds.toFixed(1)} s`,
      String(sink.delivered_total),
      String(sink.retries_total),
      String(sink.skipped_total),
      String(sink.dead_letters),
      sink.last_error ?? '',
    ]),
  ]);
  const streams = table([
    ['TENANT', 'NEXT SEQ', 'HEAD', 'STREAM'],
    ...append.streams.map((stream) => [
      stream.tenant,
      String(stream.next_seq),
      `${stream.head_hash.slice(0, 12)}…`,
      stream.stream,
    ]),
  ]);
  return [table(facts), sinks, streams].join('\n\n');
}

function formatDisk(disk: AgentStatus['disk']): string {
  if (disk === null) return 'not measured yet';
  const of = disk.bound === 'quota' ? 'ledger.quota' : 'the file system';
  const used = `${(disk.used_ratio * 100).toFixed(1)} % of ${of} used`;
  return `${used}, ${formatBytes(disk.bytes_left)} left${formatLeft(disk.seconds_left)}`;
}

function formatLeft(seconds: number | null): string {
  if (seconds === null) return '';
  const hours = seconds / 3600;
  const time = hours < 48 ? `${hours.toFixed(1)} hours` : `${(hours / 24).toFixed(0)} days`;
  return `, full in ${time} at the present rate`;
}

/** Pads all columns but the last. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

function formatCheckpoints(checkpoints: AgentStatus['checkpoints']): string {
  if (checkpoints === null) return 'none';
  const { state, lag_records: lag, signed_at: signedAt, last_error: error } = checkpoints;
  const signed = signedAt === null ? 'none signed yet' : `last signed at ${signedAt}`;
  return `${state}, ${lag} records under none yet, ${signed}${error === null ? '' : `; ${error}`}`;
}

function formatAnchors(anchors: AnchorsStatus | null): string {
  if (anchors === null) return 'none';
  const { quorum, quorum_at: at, quorum_size: size, members } = anchors;
  const reached = at === null ? 'not reached since the start' : `at ${at}, size ${size}`;
  const not = members
    .filter(({ state }) => state !== 'taking')
    .map(({ name, state, last_error: error }) => `${name} ${state}: ${error ?? ''}`);
  return [`quorum of ${quorum} of ${members.length} ${reached}`, ...not].join('; ');
}
