import { expect, test, vi } from 'vitest';
import { createBacklog } from '../../../agent/deliver/backlog.ts';
import type { DeliveryResult, SkippedRecords } from '../../../agent/ports.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import {
  createScriptedSink,
  DELIVERED,
  startTestLoop,
  whenDelivered,
  writeLedger,
} from '../../support/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { join } from 'node:path';

const DOWN: DeliveryResult = { kind: 'failed', reason: 'down' };
const bounded = (bound: object, over: object = {}): object => ({ required: false, bound, ...over });

test('a best-effort sink without a bound waits as long as a required one, and then gets everything', async () => {
  await using dir = await makeTempDir();
  const durable = await writeLedger(dir.path, 300);
  let isDown = true;
  const sink = createScriptedSink(() => (isDown ? DOWN : DELIVERED));
  const recordSkip = vi.fn(() => Promise.resolve(true));
  const loop = await startTestLoop(dir.path, durable, sink, {
    exporter: { required: false },
    recordSkip,
  });
  await eventually(() => expect(loop.report().retries_total).toBeGreaterThan(50));
  expect(loop.report().cursor).toBe(0);
  isDown = false;
  await whenDelivered(loop, durable);
  expect(sink.confirmed).toEqual(Array.from({ length: durable }, (_, number) => number));
  expect(recordSkip).not.toHaveBeenCalled();
  expect(loop.report().skipped_total).toBe(0);
  await loop.stop();
});

test('with a bound the oldest records are skipped, each skip is recorded first, and nothing else is lost', async () => {
  await using dir = await makeTempDir();
  const durable = await writeLedger(dir.path, 300);
  let isDown = true;
  const sink = createScriptedSink(() => (isDown ? DOWN : DELIVERED));
  const skips: SkippedRecords[] = [];
  const cursors: number[] = [];
  const loop = await startTestLoop(dir.path, durable, sink, {
    exporter: bounded({ records: 100 }),
    recordSkip: (skipped) => {
      skips.push(skipped);
      cursors.push(loop.report().cursor);
      return Promise.resolve(true);
    },
  });
  await eventually(() => expect(loop.report().cursor).toBe(durable - 90));
  await eventually(() => expect(loop.report().retries_total).toBeGreaterThan(20));
  const count = durable - 90;
  expect(skips).toEqual([{ sink: 'test', from: 0, to: count - 1, count, limit: 'records' }]);
  expect(cursors).toEqual([0]);
  expect(loop.report()).toMatchObject({ skipped_total: count, delivered_total: 0 });
  isDown = false;
  await whenDelivered(loop, durable);
  expect(sink.confirmed).toEqual(Array.from({ length: 90 }, (_, at) => count + at));
  expect(loop.report().dead_letters).toBe(0);
  await loop.stop();
});

test('a batch that is given back sets no record aside twice', async () => {
  await using dir = await makeTempDir();
  const durable = await writeLedger(dir.path, 20);
  let isDown = true;
  // Record 9 is refused for good, the others are put off until the sink is up.
  const sink = createScriptedSink((records) => ({
    kind: 'delivered',
    retry: isDown ? records.flatMap(({ number }, at) => (number === 9 ? [] : [at])) : [],
    poison: records.flatMap(({ number }, index) =>
      number === 9 ? [{ index, reason: 'refused' }] : [],
    ),
  }));
  const loop = await startTestLoop(dir.path, 10, sink, {
    exporter: bounded({ records: 10 }),
    recordSkip: () => Promise.resolve(true),
  });
  await eventually(() => expect(loop.report().dead_letters).toBe(1));
  loop.notifyDurable(11);
  await eventually(() => expect(loop.report().skipped_total).toBe(2));
  isDown = false;
  loop.notifyDurable(durable);
  await whenDelivered(loop, durable);
  expect((await loop.listDeadLetters(10)).map(({ number }) => number)).toEqual([9]);
  await loop.stop();
});

test('a skip that the ledger does not take does not happen', async () => {
  await using dir = await makeTempDir();
  const durable = await writeLedger(dir.path, 300);
  let isTaken = false;
  const sink = createScriptedSink(() => DELIVERED);
  const asked = vi.fn(() => Promise.resolve(isTaken));
  const loop = await startTestLoop(dir.path, durable, sink, {
    exporter: bounded({ records: 100 }),
    recordSkip: asked,
  });
  await eventually(() => expect(asked.mock.calls.length).toBeGreaterThan(5));
  expect(loop.report()).toMatchObject({
    cursor: 0,
    last_error: expect.stringContaining('nothing is skipped'),
  });
  expect(sink.batches).toEqual([]);
  isTaken = true;
  await whenDelivered(loop, durable);
  expect(sink.confirmed).toHaveLength(90);
  await loop.stop();
});

test('a skip survives a restart: what was skipped does not come again', async () => {
  await using dir = await makeTempDir();
  const durable = await writeLedger(dir.path, 300);
  const over = { exporter: bounded({ records: 100 }), recordSkip: () => Promise.resolve(true) };
  const down = await startTestLoop(
    dir.path,
    durable,
    createScriptedSink(() => DOWN),
    over,
  );
  await eventually(() => expect(down.report().cursor).toBe(durable - 90));
  await down.stop();
  const sink = createScriptedSink(() => DELIVERED);
  const loop = await startTestLoop(dir.path, durable, sink, over);
  expect(loop.report().cursor).toBe(durable - 90);
  await whenDelivered(loop, durable);
  expect(sink.confirmed[0]).toBe(durable - 90);
  await loop.stop();
});

test('bytes and age are bounds too; within them nothing is skipped', async () => {
  await using dir = await makeTempDir();
  const durable = await writeLedger(dir.path, 200);
  let nowMs = Date.now();
  const measure = (bound: object): ReturnType<typeof createBacklog> =>
    createBacklog({
      dir: join(dir.path, 'ledger'),
      filesystem: nodeFilesystem,
      bound,
      from: 0,
      nowMs: () => nowMs,
    });
  const bytes = measure({ bytes: 65_536 });
  const judged = await bytes.judge(0, durable);
  expect(judged).toMatchObject({ ok: true, value: { limit: 'bytes' } });
  const to = judged.ok ? (judged.value?.to ?? 0) : 0;
  expect(to).toBeGreaterThan(50);
  expect(await bytes.judge(to, durable)).toEqual({ ok: true, value: null });
  await bytes.close();

  const age = measure({ age_ms: 60_000 });
  expect(await age.judge(0, durable)).toEqual({ ok: true, value: null });
  nowMs += 61_000;
  expect(await age.judge(0, durable)).toEqual({
    ok: true,
    value: { to: durable, limit: 'age_ms' },
  });
  await age.close();
});
