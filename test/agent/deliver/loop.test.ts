/** The loop of one sink: what reaches it, in which order, and what keeps it from the others. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { statusOf } from '../../../agent/deliver/progress.ts';
import type { DeliveryReport } from '../../../agent/ports.ts';
import { listSegments, segmentName } from '../../../ledger/segment.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import {
  createScriptedSink,
  DELIVERED,
  failed,
  range,
  savedNext,
  startTestLoop,
  whenDelivered,
  writeLedger,
} from '../../support/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { makeTempDir } from '../../support/ledger.ts';

test('every record goes out once, in order, over all segments, in batches within their bounds', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 1_700, { segmentBytes: 1 });
  expect(listSegments(await nodeFilesystem.list(join(temp.path, 'ledger'))).length).toBeGreaterThan(
    3,
  );
  const reports: DeliveryReport[] = [];
  const sink = createScriptedSink(() => DELIVERED);
  const loop = await startTestLoop(temp.path, durable, sink, {
    exporter: { batch_records_max: 64 },
    onReport: (report) => reports.push(report),
  });
  await whenDelivered(loop, durable);
  await loop.stop();
  expect(sink.batches.flat()).toEqual(range(0, durable));
  expect(Math.max(...sink.batches.map((batch) => batch.length))).toBe(64);
  expect(reports.reduce((sum, { records }) => sum + records, 0)).toBe(durable);
  expect(new Set(reports.map(({ outcome }) => outcome))).toEqual(new Set(['delivered']));
  expect(loop.report()).toMatchObject({ state: 'idle', delivered_total: durable, cursor: durable });
  expect(await savedNext(temp.path)).toBe(durable);
});

test('a batch is bounded in bytes as well', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 40);
  const sink = createScriptedSink(() => DELIVERED);
  const loop = await startTestLoop(temp.path, durable, sink, {
    exporter: { batch_records_max: 1_000, batch_bytes_max: 4_000 },
  });
  await whenDelivered(loop, durable);
  await loop.stop();
  expect(sink.batches.length).toBeGreaterThan(8);
  expect(sink.batches.flat()).toEqual(range(0, durable));
});

test('a record beyond the durable count is not sent before it is durable', async () => {
  await using temp = await makeTempDir();
  const records = await writeLedger(temp.path, 30);
  const sink = createScriptedSink(() => DELIVERED);
  const loop = await startTestLoop(temp.path, 10, sink);
  await whenDelivered(loop, 10);
  expect(sink.batches.flat()).toEqual(range(0, 10));
  expect(loop.report().state).toBe('idle');
  loop.notifyDurable(11);
  await whenDelivered(loop, 11);
  loop.notifyDurable(records);
  await whenDelivered(loop, records);
  expect(sink.batches.flat()).toEqual(range(0, records));
  await loop.stop();
});

test('only what was put off goes again, and nothing behind it goes before', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 29);
  const putOff = [[1, 4, 7], [4, 7], []];
  const sink = createScriptedSink((records, call) => {
    const wanted = putOff[call - 1] ?? [];
    const retry = records.flatMap(({ number }, at) => (wanted.includes(number) ? [at] : []));
    return { kind: 'delivered', retry, poison: [] };
  });
  const loop = await startTestLoop(temp.path, durable, sink);
  await whenDelivered(loop, durable);
  await loop.stop();
  expect(sink.batches).toEqual([
    range(0, 10),
    [1, 4, 7],
    [4, 7],
    range(10, 20),
    range(20, durable),
  ]);
  expect([...sink.confirmed].sort((one, other) => one - other)).toEqual(range(0, durable));
});

test('the cursor never stands behind a record that is not confirmed', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 60);
  const confirmed = new Set<number>();
  const violations: string[] = [];
  const sink = createScriptedSink((records, call) => {
    const retry = records.flatMap((_, at) => ((at + call) % 4 === 0 ? [at] : []));
    for (const [at, { number }] of records.entries())
      if (!retry.includes(at)) confirmed.add(number);
    return call % 5 === 0 ? failed('down') : { kind: 'delivered', retry, poison: [] };
  });
  const loop = await startTestLoop(temp.path, durable, sink, {
    filesystem: {
      ...nodeFilesystem,
      replace: async (path, bytes) => {
        const { next } = JSON.parse(String(bytes)) as { next: number };
        for (const number of range(0, next)) {
          if (!confirmed.has(number)) violations.push(`cursor ${next}, record ${number}`);
        }
        await nodeFilesystem.replace(path, bytes);
      },
    },
  });
  await whenDelivered(loop, durable);
  await loop.stop();
  expect(violations).toEqual([]);
});

test('a sink that is stuck delays no other', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 50);
  const stuck = createScriptedSink(
    (_, __, signal) =>
      new Promise((settle) => signal.addEventListener('abort', () => settle(failed('aborted')))),
    { name: 'stuck' },
  );
  const quick = createScriptedSink(() => DELIVERED, { name: 'quick' });
  const first = await startTestLoop(temp.path, durable, stuck);
  const second = await startTestLoop(temp.path, durable, quick);
  await whenDelivered(second, durable);
  await eventually(() => expect(stuck.batches).toHaveLength(1));
  expect(first.report()).toMatchObject({ state: 'delivering', cursor: 0 });
  const status = statusOf(first.report(), durable, Date.now() + 5_000);
  expect(status.lag_records).toBe(durable);
  expect(status.lag_seconds).toBeGreaterThanOrEqual(5);
  expect(statusOf(second.report(), durable, Date.now() + 5_000)).toMatchObject({
    lag_records: 0,
    lag_seconds: 0,
  });
  await Promise.all([first.stop(), second.stop()]);
});

test('a sink with a bug stops alone, and its message, which may quote an event, is not told', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 9);
  const logged: string[] = [];
  const sink = createScriptedSink(() => {
    throw new TypeError('no such thing as "secret"');
  });
  const log = (fields: object): void => void logged.push(JSON.stringify(fields));
  const loop = await startTestLoop(temp.path, durable, sink, {
    log: { debug: log, info: log, warn: log, error: log },
  });
  await eventually(() => expect(loop.report().state).toBe('stopped'));
  expect(loop.report().last_error).toMatch(/^unexpected: at .*loop\.test\.ts/);
  expect(logged.join() + JSON.stringify(loop.report())).not.toContain('secret');
  await loop.stop();
});

test('a record whose bytes are not what was sealed goes to no sink, and its number is told', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 19);
  const path = join(temp.path, 'ledger', segmentName(0));
  const whole = await readFile(path, 'utf8');
  const lines = whole.split('\n');
  lines[13] = (lines[13] ?? '').replace('"Alice"', '"Malic"');
  await writeFile(path, lines.join('\n'));
  const sink = createScriptedSink(() => DELIVERED);
  const loop = await startTestLoop(temp.path, durable, sink);
  await eventually(() => expect(loop.report().state).toBe('retrying'));
  expect(loop.report().last_error).toMatch(/corruption: the hash of record 13 .*sealtrail verify/);
  expect(sink.confirmed).toEqual(range(0, 13));
  // The segment is put back, and delivery goes on without a restart.
  await writeFile(path, whole);
  await whenDelivered(loop, durable);
  expect(sink.confirmed).toEqual(range(0, durable));
  await loop.stop();
});
