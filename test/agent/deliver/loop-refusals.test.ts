/** What a sink does not take: sent again, in halves, or set aside, and never passed over. */
import { expect, test } from 'vitest';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import {
  createFastTiming,
  createScriptedSink,
  DELIVERED,
  failed,
  range,
  RETRY,
  savedNext,
  startTestLoop,
  whenDelivered,
  writeLedger,
} from '../../support/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { makeTempDir } from '../../support/ledger.ts';

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
