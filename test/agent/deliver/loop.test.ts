import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { statusOf } from '../../../agent/deliver/progress.ts';
import type { DeliveryReport, DeliveryResult } from '../../../agent/ports.ts';
import { listSegments, segmentName } from '../../../ledger/segment.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import {
  createFastTiming,
  createScriptedSink,
  DELIVERED,
  RETRY,
  startTestLoop,
  whenDelivered,
  writeLedger,
} from '../../support/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { makeTempDir } from '../../support/ledger.ts';

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);

const failed = (reason: string, retryAfterMs?: number): DeliveryResult => ({
  kind: 'failed',
  reason,
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

const savedNext = async (dir: string): Promise<number> =>
  (JSON.parse(await readFile(join(dir, 'cursors/test.json'), 'utf8')) as { next: number }).next;

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

test('a sink that fails is tried again without end, with growing waits, and is seen to be in trouble', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 5);
  const timing = createFastTiming(() => 0.5);
  const outcomes: string[] = [];
  const sink = createScriptedSink((_, call) => (call <= 40 ? failed('no route') : DELIVERED));
  const loop = await startTestLoop(temp.path, durable, sink, {
    timing,
    onReport: ({ outcome }) => outcomes.push(outcome),
  });
  await whenDelivered(loop, durable);
  await loop.stop();
  expect(sink.batches).toHaveLength(41);
  expect(timing.waits.filter((ms) => ms !== 250).slice(0, 6)).toEqual([
    50, 100, 200, 400, 500, 500,
  ]);
  expect(loop.report()).toMatchObject({
    retries_total: 40,
    last_error: 'no route',
    dead_letters: 0,
  });
  expect(outcomes).toEqual([...Array.from({ length: 40 }, () => 'failed'), 'delivered']);
});

test('Retry-After is waited out, whatever the backoff says', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 5);
  const timing = createFastTiming(() => 0.5);
  const sink = createScriptedSink((_, call) => {
    if (call === 1) return failed('busy (429)', 7_000);
    if (call === 2) return { kind: 'delivered', retry: [2], poison: [], retryAfterMs: 9_000 };
    return DELIVERED;
  });
  const loop = await startTestLoop(temp.path, durable, sink, { timing });
  await whenDelivered(loop, durable);
  await loop.stop();
  expect(timing.waits.filter((ms) => ms !== 250)).toEqual([7_050, 9_100]);
});

test('a batch too large for the sink goes in halves; a record too large for it is a dead letter', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 19);
  const sink = createScriptedSink((records) =>
    records.length > 3 || records.some(({ number }) => number === 6)
      ? { kind: 'too_large', reason: 'too large (413)' }
      : DELIVERED,
  );
  const loop = await startTestLoop(temp.path, durable, sink);
  await whenDelivered(loop, durable);
  expect(sink.confirmed).toEqual(range(0, durable).filter((number) => number !== 6));
  expect(await loop.listDeadLetters(10)).toMatchObject([
    { number: 6, reason: 'too large (413)', attempts: 1, sink: 'test' },
  ]);
  await loop.stop();
});

test('a sink that fails for one half is left alone with the other', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 9);
  const sink = createScriptedSink((records, call) => {
    if (records.length > 5) return { kind: 'too_large', reason: 'too large' };
    return call === 2 ? failed('down') : DELIVERED;
  });
  const loop = await startTestLoop(temp.path, durable, sink);
  await whenDelivered(loop, durable);
  await loop.stop();
  const whole = range(0, 10);
  expect(sink.batches).toEqual([whole, range(0, 5), whole, range(0, 5), range(5, 10)]);
});

test('poison is set aside on disk with its reason before the cursor moves, and the rest arrives', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 29);
  const order: string[] = [];
  const sink = createScriptedSink((records) => ({
    kind: 'delivered',
    retry: [],
    poison: records.flatMap(({ number }, index) =>
      number % 7 === 3 ? [{ index, reason: `document_parsing_exception (400)` }] : [],
    ),
  }));
  const loop = await startTestLoop(temp.path, durable, sink, {
    filesystem: {
      ...nodeFilesystem,
      create: async (path) => {
        const file = await nodeFilesystem.create(path);
        return {
          ...file,
          datasync: async () => {
            await file.datasync();
            order.push('dead letters on disk');
          },
        };
      },
      replace: async (path, bytes) => {
        order.push(`cursor ${(JSON.parse(String(bytes)) as { next: number }).next}`);
        await nodeFilesystem.replace(path, bytes);
      },
    },
  });
  await whenDelivered(loop, durable);
  const letters = await loop.listDeadLetters(100);
  await loop.stop();
  expect(letters.map(({ number }) => number)).toEqual([3, 10, 17, 24]);
  expect(letters.every(({ reason }) => reason === 'document_parsing_exception (400)')).toBe(true);
  expect(sink.confirmed).toEqual(range(0, durable).filter((number) => number % 7 !== 3));
  expect(loop.report()).toMatchObject({ dead_letters: 4, delivered_total: durable - 4 });
  const firstLetter = order.indexOf('dead letters on disk');
  expect(firstLetter).toBeGreaterThanOrEqual(0);
  expect(order.slice(0, firstLetter).every((step) => step === 'cursor 0')).toBe(true);
});

test('with a bound on attempts what the sink refuses until then becomes dead letters', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 14);
  const sink = createScriptedSink((records) =>
    records.some(({ number }) => number < 10) ? failed('down') : DELIVERED,
  );
  const loop = await startTestLoop(temp.path, durable, sink, {
    exporter: { retry: { ...RETRY, attempts_max: 3 } },
  });
  await whenDelivered(loop, durable);
  expect(sink.batches.slice(0, 4)).toEqual([
    range(0, 10),
    range(0, 10),
    range(0, 10),
    range(10, 15),
  ]);
  expect(
    (await loop.listDeadLetters(100)).map(({ number, attempts }) => [number, attempts]),
  ).toEqual(range(0, 10).map((number) => [number, 3]));
  await loop.stop();
});

test('a sink that is being stopped makes no dead letters, and what it had is sent again', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 9);
  const sink = createScriptedSink(
    (_, __, signal) =>
      new Promise((settle) => signal.addEventListener('abort', () => settle(failed('aborted')))),
  );
  const loop = await startTestLoop(temp.path, durable, sink, {
    exporter: { retry: { ...RETRY, attempts_max: 1 } },
  });
  await eventually(() => expect(sink.batches).toHaveLength(1));
  await loop.stop();
  expect(loop.report()).toMatchObject({ dead_letters: 0, cursor: 0 });
  expect(await savedNext(temp.path)).toBe(0);
  const next = createScriptedSink(() => DELIVERED);
  const again = await startTestLoop(temp.path, durable, next);
  await whenDelivered(again, durable);
  await again.stop();
  expect(next.confirmed).toEqual(range(0, durable));
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
