/** The screen of `top`: what it says of an agent, whatever it looks like. */
import { expect, test } from 'vitest';
import { parseSamples, quantileBetween } from '../../cli/top-metrics.ts';
import { sampleOf, type Reading } from '../../cli/top-sample.ts';
import { renderTop } from '../../cli/top-view.ts';
import type { AgentStatus, SinkStatus } from '../../agent/status-ports.ts';
import { agentStatus, appendStatus, sinkStatus } from '../agent/observe/support.ts';

const T0 = Date.parse('2026-03-01T09:00:00.000Z');
const FSYNC = 'audit_append_fsync_seconds';
const GB = 1e9;

/** Cumulative buckets up to 1 ms, 10 ms, 100 ms and beyond. */
function histogram(one: number, ten: number, hundred: number, all: number): string {
  const rows = [
    ['0.001', one],
    ['0.01', ten],
    ['0.1', hundred],
    ['+Inf', all],
  ] as const;
  return [
    ...rows.map(([le, count]) => `${FSYNC}_bucket{le="${le}"} ${count}`),
    `${FSYNC}_count ${all}`,
  ].join('\n');
}

function reading(
  seconds: number,
  status: Partial<AgentStatus>,
  metrics = '',
  free = 50 * GB,
): Reading {
  return {
    atMs: T0 + seconds * 1000,
    status: agentStatus(status),
    metrics: parseSamples(
      `# HELP x y\n${metrics}\nprocess_resident_memory_bytes 120000000\nprocess_cpu_seconds_total ${seconds / 4}\n`,
    ),
    disk: { free_bytes: free, total_bytes: 100 * GB },
  };
}

/** The screen as facts: the text behind each label. */
function facts(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines
      .map((line) => /^(.{1,12}?) {2,}(.*)$/.exec(line))
      .flatMap((match) => (match === null ? [] : [[match[1] ?? '', match[2] ?? '']])),
  );
}

const PLAIN = { columns: 0, isColoured: false };
const quietSinks: readonly SinkStatus[] = [
  sinkStatus('postgresql', { delivered_total: 1000, retries_total: 0, dead_letters: 0 }),
];

test('rates are what was gained between two readings, each over the time that passed', () => {
  const before = reading(
    0,
    {
      acks_total: 1000,
      nacks_total: { malformed: 1 },
      append: appendStatus({ ledger_bytes: 1_000_000 }),
      sinks: quietSinks,
    },
    histogram(0, 0, 0, 0),
  );
  const after = reading(
    2,
    {
      acks_total: 3000,
      nacks_total: { malformed: 1, disk_full: 4 },
      append: appendStatus({ ledger_bytes: 3_000_000, queue_events: 90 }),
      sinks: [
        sinkStatus('postgresql', {
          delivered_total: 1500,
          retries_total: 2,
          lag_records: 300,
          lag_seconds: 61,
          dead_letters: 0,
        }),
      ],
    },
    histogram(60, 98, 100, 100),
  );
  const sample = sampleOf(after, before);
  expect(sample).toMatchObject({
    acks_per_s: 1000,
    refused_per_s: 2,
    refused_total: 5,
    bytes_per_s: 1_000_000,
    commits_per_s: 50,
    fsync_p50_ms: 1,
    fsync_p99_ms: 100,
    cpu_share: 0.25,
    disk_full_in_s: 50_000,
    sinks: [
      {
        name: 'postgresql',
        delivered_per_s: 250,
        retries_per_s: 1,
        lag_records: 300,
        lag_seconds: 61,
        breaker: null,
      },
    ],
  });
  const shown = facts(renderTop(sample, PLAIN));
  expect(shown['events']).toMatch(/1000 acked\/s.* 2\.0 refused\/s.* 5 refused in all/);
  expect(shown['queue']).toMatch(/90 of 100 events.*about to stop reading/);
  expect(shown['fsync']).toMatch(/p50 1\.00 ms.*p99 100 ms.*50 commits\/s/);
  expect(shown['disk']).toMatch(/50\.0 GB free of 100\.0 GB.*full in 14 h/);
  expect(shown['process']).toMatch(/25 %.*120\.0 MB/);
  expect(renderTop(sample, PLAIN).find((line) => line.startsWith('postgresql'))).toMatch(
    /delivering +300 +1 min +250 +1\.0 +0$/,
  );
});

test('where nothing can be compared there is no rate: at the first sample, and after a restart', () => {
  const first = sampleOf(reading(0, {}), null);
  expect(first).toMatchObject({
    acks_per_s: null,
    fsync_p99_ms: null,
    disk_full_in_s: null,
    cpu_share: null,
  });
  expect(facts(renderTop(first, PLAIN))['events']).toMatch(/^- acked\/s/);
  const restarted = sampleOf(
    reading(2, { pid: 2, acks_total: 1 }),
    reading(0, { pid: 1, acks_total: 900 }),
  );
  expect(restarted.acks_per_s).toBeNull();
  const begunAgain = sampleOf(
    reading(2, { sinks: [sinkStatus('postgresql', { delivered_total: 1 })] }),
    reading(0, { sinks: [sinkStatus('postgresql', { delivered_total: 500 })] }),
  );
  expect(begunAgain.sinks[0]?.delivered_per_s, 'never below zero').toBeNull();
});

test('trouble is coloured, and the same words are there without colour', () => {
  const status = {
    append: appendStatus({ state: 'disk_full' }),
    sinks: [
      sinkStatus('a', { state: 'stopped', dead_letters: 0 }),
      sinkStatus('b', { state: 'retrying', dead_letters: 0, last_error: 'connect refused' }),
      sinkStatus('c', { state: 'idle', dead_letters: 0 }),
    ],
  };
  const sample = sampleOf(reading(0, status), null);
  const coloured = renderTop(sample, { columns: 0, isColoured: true });
  const isMarked = (name: string): boolean =>
    /^\x1b\[3[13]m/.test(coloured.find((line) => line.includes(name)) ?? '');
  expect(isMarked('disk_full')).toBe(true);
  expect(isMarked('a   ')).toBe(true);
  expect(isMarked('connect refused')).toBe(true);
  expect(isMarked('c   ')).toBe(false);
  const text = renderTop(sample, PLAIN).join('\n');
  expect(text).not.toContain('\x1b');
  expect(text).toMatch(/^sealtrail test +disk_full/);
});

test('what a sink gave up has a column where there is any', () => {
  const of = (skipped_total: number): string =>
    renderTop(
      sampleOf(reading(0, { sinks: [sinkStatus('w', { skipped_total, dead_letters: 0 })] }), null),
      PLAIN,
    ).join('\n');
  expect(of(0)).not.toContain('SKIPPED');
  expect(of(70)).toMatch(/^SINK.*SKIPPED +DEAD/m);
  expect(of(70)).toMatch(/^w .* 70 +0$/m);
});

test('no line is wider than the terminal, and an agent without sinks says so', () => {
  const sample = sampleOf(reading(0, { sinks: [], last_error: 'x'.repeat(300) }), null);
  const lines = renderTop(sample, { columns: 40, isColoured: false });
  expect(Math.max(...lines.map((line) => line.length))).toBe(40);
  expect(lines.join('\n')).toContain('no sinks');
});

test('a breaker is shown where a sink reports one', () => {
  const sink = { ...sinkStatus('kafka', { dead_letters: 0 }), breaker: 'open' };
  const text = renderTop(sampleOf(reading(0, { sinks: [sink] }), null), PLAIN).join('\n');
  expect(text).toMatch(/^SINK.*BREAKER/m);
  expect(text).toMatch(/^kafka.*open/m);
});

test('a quantile is of what came in between; of nothing there is none', () => {
  const [before, after] = [
    parseSamples(histogram(50, 50, 50, 50)),
    parseSamples(histogram(50, 60, 60, 60)),
  ];
  expect(quantileBetween(before, after, FSYNC, 0.5)).toBe(0.01);
  expect(quantileBetween(after, after, FSYNC, 0.5)).toBeNull();
});
