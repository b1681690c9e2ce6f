/** The screen of `sealtrail top`: a sample as lines of text. Pure: no terminal, no clock. */
import type { SinkSample, TopSample } from './top-sample.ts';

export interface ViewOptions {
  /** Lines are cut at this many columns; 0: never. */
  readonly columns: number;
  /** Marks trouble with colour. */
  readonly isColoured: boolean;
}

const RED = '\x1b[31m';
const YELLOW = '\x1b[33m';
const PLAIN = '\x1b[0m';
const NAME_WIDTH = 24;

interface Line {
  readonly text: string;
  readonly trouble: 'none' | 'some' | 'bad';
}

/** Renders a sample, a line a member. */
export function renderTop(
  sample: TopSample,
  { columns, isColoured }: ViewOptions,
): readonly string[] {
  return [...describeAgent(sample), plain(''), ...describeSinks(sample.sinks)].map(
    ({ text, trouble }) => {
      const cut = columns > 0 ? [...text].slice(0, columns).join('') : text;
      if (!isColoured || trouble === 'none') return cut;
      return `${trouble === 'bad' ? RED : YELLOW}${cut}${PLAIN}`;
    },
  );
}

function describeAgent(sample: TopSample): readonly Line[] {
  const { state, queue_events: queued, queue_events_max: queueMax } = sample;
  const isFilling = queueMax > 0 && queued > queueMax * 0.8;
  return [
    {
      text: `sealtrail ${sample.agent}   ${state}   up ${duration(sample.uptime_s)}   ${sample.at}`,
      trouble: state === 'ready' ? 'none' : 'bad',
    },
    row(
      'events',
      `${rate(sample.acks_per_s)} acked/s   ${rate(sample.refused_per_s)} refused/s   ${sample.refused_total} refused in all`,
      (sample.refused_per_s ?? 0) > 0,
    ),
    row(
      'ledger',
      `${sample.records} records   ${bytes(sample.ledger_bytes)}   ${sample.bytes_per_s === null ? '-' : bytes(sample.bytes_per_s)}/s`,
    ),
    row(
      'queue',
      `${queued} of ${queueMax} events${isFilling ? '   receivers are about to stop reading' : ''}`,
      isFilling,
    ),
    row(
      'fsync',
      `p50 ${ms(sample.fsync_p50_ms)}   p99 ${ms(sample.fsync_p99_ms)}   last ${ms(sample.last_fsync_ms)}   ${rate(sample.commits_per_s)} commits/s`,
      (sample.fsync_p99_ms ?? 0) > 50,
    ),
    describeDisk(sample),
    row(
      'process',
      `cpu ${sample.cpu_share === null ? '-' : `${(sample.cpu_share * 100).toFixed(0)} %`}   memory ${sample.rss_bytes === null ? '-' : bytes(sample.rss_bytes)}`,
    ),
    row('last error', sample.last_error ?? 'none'),
  ];
}

const DAY_S = 86_400;

function describeDisk({
  disk_free_bytes: free,
  disk_total_bytes: total,
  disk_full_in_s: full,
}: TopSample): Line {
  if (free === null || total === null) return row('disk', 'not known');
  const end = full === null ? '' : `   full in ${duration(full)} at this rate`;
  return row('disk', `${bytes(free)} free of ${bytes(total)}${end}`, full !== null && full < DAY_S);
}

function describeSinks(sinks: readonly SinkSample[]): readonly Line[] {
  if (sinks.length === 0) return [plain('no sinks: the ledger only')];
  const hasBreaker = sinks.some(({ breaker }) => breaker !== null);
  const hasSkipped = sinks.some(({ skipped_total }) => skipped_total > 0);
  const cellsOf = (sink: SinkSample): readonly string[] => [
    sink.name.padEnd(NAME_WIDTH),
    sink.state.padEnd(10),
    ...(hasBreaker ? [(sink.breaker ?? '-').padEnd(9)] : []),
    String(sink.lag_records).padStart(10),
    duration(sink.lag_seconds).padStart(8),
    rate(sink.delivered_per_s).padStart(9),
    rate(sink.retries_per_s).padStart(9),
    ...(hasSkipped ? [String(sink.skipped_total).padStart(8)] : []),
    String(sink.dead_letters).padStart(6),
    sink.last_error === null ? '' : `  ${sink.last_error}`,
  ];
  const heads = [
    'SINK'.padEnd(NAME_WIDTH),
    'STATE'.padEnd(10),
    ...(hasBreaker ? ['BREAKER'.padEnd(9)] : []),
  ];
  const figures = [
    'LAG'.padStart(10),
    'BEHIND'.padStart(8),
    'SENT/S'.padStart(9),
    'RETRY/S'.padStart(9),
    ...(hasSkipped ? ['SKIPPED'.padStart(8)] : []),
    'DEAD'.padStart(6),
  ];
  return [
    plain([...heads, ...figures, '  LAST ERROR'].join(' ')),
    ...sinks.map((sink): Line => {
      const isBad = sink.state === 'stopped' || sink.dead_letters > 0;
      const hasSome = sink.state === 'retrying' || sink.skipped_total > 0;
      const trouble = isBad ? 'bad' : hasSome ? 'some' : 'none';
      return { text: cellsOf(sink).join(' ').trimEnd(), trouble };
    }),
  ];
}

const plain = (text: string): Line => ({ text, trouble: 'none' });

function row(name: string, text: string, isTrouble = false): Line {
  return { text: `${name.padEnd(12)}${text}`, trouble: isTrouble ? 'some' : 'none' };
}

function rate(perSecond: number | null): string {
  if (perSecond === null) return '-';
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : perSecond.toFixed(0);
}

function ms(value: number | null): string {
  return value === null ? '-' : `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`;
}

function bytes(value: number): string {
  const [unit, size] = (
    [
      ['GB', 1e9],
      ['MB', 1e6],
      ['kB', 1e3],
    ] as const
  ).find(([, each]) => value >= each) ?? ['B', 1];
  return `${(value / size).toFixed(size === 1 ? 0 : 1)} ${unit}`;
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds > 0 && seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3_600) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 2 * DAY_S
    ? `${(seconds / 3_600).toFixed(0)} h`
    : `${(seconds / DAY_S).toFixed(0)} d`;
}
