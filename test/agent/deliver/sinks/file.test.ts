import * as fc from 'fast-check';
import { appendFile, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { documentFormat } from '../../../../agent/deliver/documents.ts';
import { createFileSink } from '../../../../agent/deliver/sinks/file.ts';
import type { DeliveryRecord, Sink, SinkMark } from '../../../../agent/ports.ts';
import { nodeFilesystem, type Filesystem } from '../../../../ledger/filesystem.ts';
import { silentLog } from '../../../support/append-stage.ts';
import { createFaultyFilesystem } from '../../../support/faulty-filesystem.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { createSealer } from '../../../store/sealed.ts';

const vocabulary = { version: 1, actions: new Map() } as const;
const ECS = documentFormat('ecs', vocabulary, { name: 'test', version: '1.0.0' });
const NATIVE = documentFormat('native', vocabulary, { name: 'test', version: '1.0.0' });
const sealer = createSealer();
const records: readonly DeliveryRecord[] = Array.from({ length: 12 }, (_, number) => ({
  ...sealer.seal({ metadata: { note: 'größer' } }),
  number,
}));
const text = (from: number, to: number, format = ECS): string =>
  records.slice(from, to).map(format).join('');

async function open(
  path: string,
  kept: SinkMark | null,
  over: { filesystem?: Filesystem; format?: typeof ECS } = {},
): Promise<Sink> {
  const sink = createFileSink({ name: 'file/ecs', path, format: ECS, log: silentLog, ...over });
  const restored = await sink.place?.restore(kept);
  if (restored?.ok !== true) throw new Error('not restored');
  return sink;
}

async function deliver(sink: Sink, from: number, to: number): Promise<void> {
  const result = await sink.deliver(records.slice(from, to), new AbortController().signal);
  expect(result).toEqual({ kind: 'delivered', retry: [], poison: [] });
}

test('one line a record, in order; a folder for the agent alone, a file its group may read', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'siem/deep/ecs.ndjson');
  const sink = await open(path, null);
  await deliver(sink, 0, 5);
  await deliver(sink, 5, 12);
  expect(await readFile(path, 'utf8')).toBe(text(0, 12));
  expect((await stat(path)).mode & 0o777).toBe(0o640);
  expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
  await sink.close();
});

test('native is the ledger line itself', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'native.ndjson');
  const sink = await open(path, null, { format: NATIVE });
  await deliver(sink, 0, 1);
  const line = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  expect(line).toEqual({
    event: records[0]?.event,
    prev_hash: records[0]?.prev_hash,
    this_hash: records[0]?.this_hash,
  });
  await sink.close();
});

test('after a crash at any byte the file holds each line once and no half line, and never shrank', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'ecs.ndjson');
  // Short lines, so that each byte gets its turn.
  const format: typeof ECS = ({ number, this_hash }) => `{"n":${number},"h":"${this_hash}"}\n`;
  const first = await open(path, null, { format });
  await deliver(first, 0, 2);
  const kept = first.place?.current() ?? null;
  await deliver(first, 2, 5);
  await first.close();
  const whole = await readFile(path);
  const confirmed = Number(kept?.['bytes']);
  expect(confirmed).toBe(Buffer.byteLength(text(0, 2, format)));
  for (let cut = whole.length; cut >= confirmed; cut--) {
    await truncate(path, cut);
    const again = await open(path, kept, { format });
    expect((await stat(path)).size).toBe(cut);
    // Other batches than before the crash: what counts is the order of records.
    await deliver(again, 2, 3);
    expect((await stat(path)).size).toBeGreaterThanOrEqual(cut);
    await deliver(again, 3, 5);
    expect((await readFile(path)).equals(whole), `cut at ${cut}`).toBe(true);
    await again.close();
  }
});

test('what a mapping of another version left behind the confirmed length is written over', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'ecs.ndjson');
  const old = await open(path, null, {
    format: documentFormat('ecs', vocabulary, { name: 'test', version: '0.9.0' }),
  });
  await deliver(old, 0, 2);
  const kept = old.place?.current() ?? null;
  const before = await readFile(path, 'utf8');
  await deliver(old, 2, 6);
  await old.close();
  const sink = await open(path, kept);
  await deliver(sink, 2, 4);
  await deliver(sink, 4, 7);
  expect(await readFile(path, 'utf8')).toBe(before + text(2, 7));
  await sink.close();
});

test('a file that is rotated by renaming is begun anew, and nothing is lost between the two', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'ecs.ndjson');
  const sink = await open(path, null);
  await deliver(sink, 0, 3);
  await rename(path, `${path}.1`);
  await deliver(sink, 3, 6);
  expect(await readFile(`${path}.1`, 'utf8')).toBe(text(0, 3));
  expect(await readFile(path, 'utf8')).toBe(text(3, 6));
  await sink.close();

  // Rotated while the agent was down.
  const kept = sink.place?.current() ?? null;
  await rename(path, `${path}.2`);
  await writeFile(path, 'somebody else\n');
  const again = await open(path, kept);
  await deliver(again, 6, 8);
  expect(await readFile(path, 'utf8')).toBe(`somebody else\n${text(6, 8)}`);
  await again.close();
});

test('a file that is cut or written by somebody else is appended to where it ends', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'ecs.ndjson');
  const sink = await open(path, null);
  await deliver(sink, 0, 3);
  await truncate(path, 0);
  await deliver(sink, 3, 5);
  expect(await readFile(path, 'utf8')).toBe(text(3, 5));
  await appendFile(path, 'by hand\n');
  await deliver(sink, 5, 6);
  expect(await readFile(path, 'utf8')).toBe(`${text(3, 5)}by hand\n${text(5, 6)}`);
  await sink.close();
});

test('whatever single operation fails or tears, the batch is failed, and once when it is sent again', async () => {
  const run = async (fault: Parameters<typeof createFaultyFilesystem>[0]): Promise<string[]> => {
    await using temp = await makeTempDir();
    const path = join(temp.path, 'ecs.ndjson');
    const filesystem = createFaultyFilesystem(fault);
    const sink = createFileSink({ name: 'f', path, format: ECS, log: silentLog, filesystem });
    if ((await sink.place?.restore(null))?.ok !== true) await sink.place?.restore(null);
    for (let from = 0; from < 12; from += 4) {
      const send = (): ReturnType<Sink['deliver']> =>
        sink.deliver(records.slice(from, from + 4), new AbortController().signal);
      const result = await send();
      if (result.kind !== 'delivered') {
        expect(result).toMatchObject({
          kind: 'failed',
          reason: expect.stringContaining('injected'),
        });
        expect(await send()).toMatchObject({ kind: 'delivered' });
      }
    }
    await sink.close();
    expect(await readFile(path, 'utf8')).toBe(text(0, 12));
    return [...filesystem.operations];
  };
  const operations = await run(null);
  expect(operations.filter((name) => name === 'datasync')).toHaveLength(3);
  for (let at = 0; at < operations.length; at++) {
    for (const tearTo of operations[at] === 'append' ? [0, 1, 1_000] : [0]) {
      await run({ at, code: 'EIO', tearTo });
      await run({ at, code: 'ENOSPC', tearTo });
    }
  }
});

test('a record that cannot be mapped is poison without its contents; the others are written', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'ecs.ndjson');
  const sink = await open(path, null, {
    format: (record) => {
      if (record.number === 1) throw new TypeError('cannot map "secret"');
      return ECS(record);
    },
  });
  const result = await sink.deliver(records.slice(0, 3), new AbortController().signal);
  expect(result).toEqual({
    kind: 'delivered',
    retry: [],
    poison: [{ index: 1, reason: 'cannot be mapped: TypeError' }],
  });
  expect(await readFile(path, 'utf8')).toBe(text(0, 1) + text(2, 3));
  await sink.close();
});

test('any batches, crashes and cuts: the file is the concatenation of all documents', async () => {
  const step = fc.record({
    records: fc.integer({ min: 0, max: 4 }),
    /** After the batch: kept with the cursor, or crashed with so many bytes left unsynced. */
    then: fc.oneof(fc.constant('keep' as const), fc.constant('go on' as const), fc.nat(4_000)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      await using temp = await makeTempDir();
      const path = join(temp.path, 'ecs.ndjson');
      let sink = await open(path, null);
      let kept = { at: 0, mark: sink.place?.current() ?? null };
      let at = 0;
      for (const { records: count, then } of steps) {
        const to = Math.min(at + count, records.length);
        await deliver(sink, at, to);
        at = to;
        if (then === 'keep') kept = { at, mark: sink.place?.current() ?? null };
        if (typeof then !== 'number') continue;
        await sink.close();
        const size = (await stat(path)).size;
        await truncate(path, Math.max(size - then, Number(kept.mark?.['bytes'])));
        sink = await open(path, kept.mark);
        at = kept.at;
      }
      await deliver(sink, at, records.length);
      await sink.close();
      expect(await readFile(path, 'utf8')).toBe(text(0, records.length));
    }),
    { numRuns: 60 },
  );
});

test('the disk is asked to keep a batch before it is confirmed', async () => {
  await using temp = await makeTempDir();
  const filesystem = createFaultyFilesystem(null);
  const sink = await open(join(temp.path, 'ecs.ndjson'), null, { filesystem });
  await deliver(sink, 0, 3);
  expect(filesystem.operations.slice(-2)).toEqual(['append', 'datasync']);
  await sink.close();
  expect(await nodeFilesystem.exists(join(temp.path, 'ecs.ndjson'))).toBe(true);
});
