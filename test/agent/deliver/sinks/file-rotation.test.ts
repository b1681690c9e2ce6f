import * as fc from 'fast-check';
import { readdir, readFile, truncate, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFileSink } from '../../../../agent/deliver/sinks/file.ts';
import type { DeliveryRecord, Sink, SinkMark } from '../../../../agent/ports.ts';
import type { Filesystem } from '../../../../ledger/filesystem.ts';
import type { FileRotation } from '../../../../schemas/exporter-config.ts';
import { silentLog } from '../../../support/append-stage.ts';
import {
  createFreezer,
  startTestLoop,
  whenDelivered,
  writeLedger,
} from '../../../support/delivery.ts';
import { createFaultyFilesystem } from '../../../support/faulty-filesystem.ts';
import { makeMemoryDir } from '../../../support/ledger.ts';
import { createSealer } from '../../../store/sealed.ts';

const sealer = createSealer();
const records: readonly DeliveryRecord[] = Array.from({ length: 12 }, (_, number) => ({
  ...sealer.seal(),
  number,
}));
type Format = (record: DeliveryRecord) => string;
const format: Format = ({ number, this_hash }) => `{"n":${number},"h":"${this_hash}"}\n`;
const text = (from: number, to: number): string => records.slice(from, to).map(format).join('');
const LINE_BYTES = format(records[0] ?? ({} as DeliveryRecord)).length;
/** Room for two batches of two. */
const ROTATE: FileRotation = { bytes: 4 * LINE_BYTES + 10 };

interface Options {
  readonly rotate?: FileRotation;
  readonly filesystem?: Filesystem;
  readonly format?: Format;
  readonly nowMs?: () => number;
}

function make(path: string, over: Options = {}): Sink {
  return createFileSink({ name: 'file/r', path, format, log: silentLog, rotate: ROTATE, ...over });
}

async function open(path: string, kept: SinkMark | null, over: Options = {}): Promise<Sink> {
  const sink = make(path, over);
  const restored = await sink.place?.restore(kept);
  if (restored?.ok !== true) throw new Error('not restored');
  return sink;
}

async function deliver(sink: Sink, from: number, to: number): Promise<void> {
  const result = await sink.deliver(records.slice(from, to), new AbortController().signal);
  expect(result).toEqual({ kind: 'delivered', retry: [], poison: [] });
}

/** The rotated files, oldest first, and the one in use. */
async function filesOf(path: string): Promise<readonly string[]> {
  const names = (await readdir(join(path, '..'))).filter((name) => name.startsWith('r.ndjson'));
  const [inUse, ...archives] = names.toSorted();
  const order = [...archives, ...(inUse === undefined ? [] : [inUse])];
  return Promise.all(order.map((name) => readFile(join(path, '..', name), 'utf8')));
}

const whole = async (path: string): Promise<string> => (await filesOf(path)).join('');

test('a file gives way before it passes its size, between two batches, and keeps its mode', async () => {
  await using temp = await makeMemoryDir();
  const path = join(temp.path, 'r.ndjson');
  const sink = await open(path, null);
  for (let from = 0; from < 12; from += 2) await deliver(sink, from, from + 2);
  await sink.close();
  expect(await filesOf(path)).toEqual([text(0, 4), text(4, 8), text(8, 12)]);
  expect((await readdir(temp.path)).toSorted()).toEqual([
    'r.ndjson',
    'r.ndjson.00000001',
    'r.ndjson.00000002',
  ]);
  for (const name of await readdir(temp.path))
    expect((await stat(join(temp.path, name))).mode & 0o777).toBe(0o640);
});

test('a batch larger than the size goes whole into a file of its own', async () => {
  await using temp = await makeMemoryDir();
  const path = join(temp.path, 'r.ndjson');
  const sink = await open(path, null);
  await deliver(sink, 0, 1);
  await deliver(sink, 1, 9);
  await deliver(sink, 9, 12);
  await sink.close();
  expect(await filesOf(path)).toEqual([text(0, 1), text(1, 9), text(9, 12)]);
});

test('a file gives way with the first batch after its interval, also over a restart; an empty one never', async () => {
  await using temp = await makeMemoryDir();
  const path = join(temp.path, 'r.ndjson');
  let nowMs = Date.parse('2026-03-01T00:00:00Z');
  const over = { rotate: { interval_minutes: 60 }, nowMs: (): number => nowMs };
  const sink = await open(path, null, over);
  nowMs += 3_600_000;
  await deliver(sink, 0, 2);
  nowMs += 1_000;
  await deliver(sink, 2, 4);
  await sink.close();
  const kept = sink.place?.current() ?? null;
  nowMs += 3_599_000;
  const again = await open(path, kept, over);
  await deliver(again, 4, 6);
  expect(await filesOf(path)).toEqual([text(0, 4), text(4, 6)]);
  nowMs += 3_599_999;
  await deliver(again, 6, 7);
  expect(await filesOf(path)).toEqual([text(0, 4), text(4, 7)]);
  nowMs += 1;
  await deliver(again, 7, 8);
  await again.close();
  expect(await filesOf(path)).toEqual([text(0, 4), text(4, 7), text(7, 8)]);
});

test('keep removes the oldest files beyond it, but none that a cursor could still need', async () => {
  await using temp = await makeMemoryDir();
  const path = join(temp.path, 'r.ndjson');
  let nowMs = Date.now();
  const over = { rotate: { bytes: LINE_BYTES, keep: 2 }, nowMs: (): number => nowMs };
  const sink = await open(path, null, over);
  for (let at = 0; at < 6; at++) await deliver(sink, at, at + 1);
  expect(await filesOf(path)).toHaveLength(6);
  nowMs += 120_000;
  await deliver(sink, 6, 7);
  await sink.close();
  expect(await filesOf(path)).toEqual([text(4, 5), text(5, 6), text(6, 7)]);
  // Numbers go on; what bears another name is nobody's business here.
  expect((await readdir(temp.path)).toSorted()).toEqual([
    'r.ndjson',
    'r.ndjson.00000005',
    'r.ndjson.00000006',
  ]);
});

test('a crash at every step of every rotation, done, torn or not begun: each line once, in order, none cut', async () => {
  async function run(at: number, mode: 'before' | 'torn' | 'after'): Promise<number> {
    await using temp = await makeMemoryDir();
    const path = join(temp.path, 'r.ndjson');
    const freezer = createFreezer(at, mode);
    // The cursor was last saved here; three rotations follow.
    const first = await open(path, null);
    await deliver(first, 0, 3);
    const kept = first.place?.current() ?? null;
    await first.close();
    const frozen = await Promise.race([
      freezer.frozen.then(() => true),
      (async () => {
        const second = await open(path, kept, { filesystem: freezer.filesystem });
        for (let from = 3; from < 11; from += 2) await deliver(second, from, from + 2);
        return false;
      })(),
    ]);
    await freezer.release();
    expect(frozen).toBe(at !== Infinity);
    const after = await open(path, kept);
    // Other batches than before the crash: what counts is the order of records.
    await deliver(after, 3, 4);
    await deliver(after, 4, 9);
    await deliver(after, 9, 12);
    await after.close();
    expect(await whole(path), `${mode} ${at}`).toBe(text(0, 12));
    for (const file of await filesOf(path)) expect(file).toMatch(/^(\{[^\n]*\}\n)*$/);
    return freezer.count();
  }
  const steps = await run(Infinity, 'before');
  expect(steps).toBeGreaterThan(15);
  for (let at = 0; at < steps; at++)
    for (const mode of ['before', 'torn', 'after'] as const) await run(at, mode);
});

test('whatever single operation fails, the batch is failed, and each line is there once afterwards', async () => {
  async function run(fault: Parameters<typeof createFaultyFilesystem>[0]): Promise<number> {
    await using temp = await makeMemoryDir();
    const path = join(temp.path, 'r.ndjson');
    const filesystem = createFaultyFilesystem(fault);
    const sink = make(path, { filesystem, rotate: { ...ROTATE, keep: 9 } });
    if ((await sink.place?.restore(null))?.ok !== true) await sink.place?.restore(null);
    for (let from = 0; from < 12; from += 2) {
      const batch = records.slice(from, from + 2);
      const send = (): ReturnType<Sink['deliver']> =>
        sink.deliver(batch, new AbortController().signal);
      const result = await send();
      if (result.kind === 'delivered') continue;
      expect(result).toMatchObject({ reason: expect.stringContaining('injected') });
      expect(await send()).toMatchObject({ kind: 'delivered' });
    }
    await sink.close();
    expect(await whole(path)).toBe(text(0, 12));
    return filesystem.operations.length;
  }
  const operations = await run(null);
  for (let at = 0; at < operations; at++) {
    await run({ at, code: 'EIO', tearTo: 30 });
    await run({ at, code: 'ENOSPC' });
  }
});

test('a mapping of another version after a crash over a rotation: every record is there, no line is cut', async () => {
  await using temp = await makeMemoryDir();
  const path = join(temp.path, 'r.ndjson');
  const old = await open(path, null, { format: (record) => format(record).replace('n', 'N') });
  await deliver(old, 0, 2);
  const kept = old.place?.current() ?? null;
  for (let from = 2; from < 10; from += 2) await deliver(old, from, from + 2);
  await old.close();
  const sink = await open(path, kept);
  await deliver(sink, 2, 7);
  await deliver(sink, 7, 12);
  await sink.close();
  const lines = (await whole(path)).trimEnd().split('\n');
  const numbers = lines.map((line) => {
    const { n, N } = JSON.parse(line) as { n?: number; N?: number };
    return n ?? N;
  });
  expect(new Set(numbers)).toEqual(new Set(records.map(({ number }) => number)));
  expect(lines.slice(-10).join('\n') + '\n').toBe(text(2, 12));
});

test('any batches, rotations, crashes and cuts: the files together are all documents, once', async () => {
  const step = fc.record({
    records: fc.integer({ min: 0, max: 4 }),
    /** After the batch: kept with the cursor, or crashed with so many bytes left unsynced. */
    then: fc.oneof(fc.constant('keep' as const), fc.constant('go on' as const), fc.nat(400)),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 14 }),
      fc.integer({ min: 1, max: 6 }),
      async (steps, lines) => {
        await using temp = await makeMemoryDir();
        const path = join(temp.path, 'r.ndjson');
        const over = { rotate: { bytes: lines * LINE_BYTES } };
        let sink = await open(path, null, over);
        let kept = { at: 0, mark: sink.place?.current() ?? null };
        let at = 0;
        for (const { records: count, then } of steps) {
          const to = Math.min(at + count, records.length);
          await deliver(sink, at, to);
          at = to;
          if (then === 'keep') kept = { at, mark: sink.place?.current() ?? null };
          if (typeof then !== 'number') continue;
          await sink.close();
          const { size, ino } = await stat(path);
          const confirmed = ino === kept.mark?.['inode'] ? (kept.mark['bytes'] ?? 0) : 0;
          await truncate(path, Math.max(size - then, confirmed));
          sink = await open(path, kept.mark, over);
          at = kept.at;
        }
        await deliver(sink, at, records.length);
        await sink.close();
        expect(await whole(path)).toBe(text(0, records.length));
      },
    ),
    { numRuns: 100 },
  );
});

test('the loop, stopped and started in the middle, leaves every record once over all files', async () => {
  await using temp = await makeMemoryDir();
  const path = join(temp.path, 'r.ndjson');
  const durable = await writeLedger(temp.path, 100);
  const over = { rotate: { bytes: 5 * LINE_BYTES } };
  for (let upTo = 20; upTo <= durable + 19; upTo += 20) {
    const loop = await startTestLoop(temp.path, Math.min(upTo, durable), make(path, over), {
      exporter: { batch_records_max: 3 },
    });
    await whenDelivered(loop, Math.min(upTo, durable));
    await loop.stop();
  }
  const numbers = (await whole(path))
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { n: number }).n);
  expect(numbers).toEqual(Array.from({ length: durable }, (_, number) => number));
  expect((await filesOf(path)).length).toBeGreaterThan(15);
});
