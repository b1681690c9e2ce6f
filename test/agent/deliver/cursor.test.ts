import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createCursorKeeper, FIRST_CURSOR } from '../../../agent/deliver/cursor.ts';
import type { DeliveryLoop } from '../../../agent/deliver/loop.ts';
import { nodeFilesystem, type Filesystem } from '../../../ledger/filesystem.ts';
import { chainHash } from '../../../schemas/brand.ts';
import {
  createFastTiming,
  createScriptedSink,
  DELIVERED,
  startTestLoop,
  whenDelivered,
  writeLedger,
} from '../../support/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { createFaultyFilesystem } from '../../support/faulty-filesystem.ts';
import { makeTempDir } from '../../support/ledger.ts';

const cursorFile = (dir: string): string => join(dir, 'cursors/test.json');

/** Delivers a ledger of `count` events and stops in order. */
async function deliverOnce(dir: string, count: number): Promise<number> {
  const durable = await writeLedger(dir, count);
  const loop = await startTestLoop(
    dir,
    durable,
    createScriptedSink(() => DELIVERED),
  );
  await whenDelivered(loop, durable);
  await loop.stop();
  return durable;
}

async function expectStopped(loop: DeliveryLoop, text: RegExp): Promise<void> {
  expect(loop.report().state).toBe('stopped');
  expect(loop.report().last_error).toMatch(text);
  expect(loop.report().last_error).toContain('test.json');
  expect(loop.report().last_error).toMatch(/remove test\.json and restart/);
  await loop.stop();
}

test('a new sink gets the ledger from its first record, and a restart goes on where it was', async () => {
  await using temp = await makeTempDir();
  const durable = await deliverOnce(temp.path, 25);
  const sink = createScriptedSink(() => DELIVERED);
  const loop = await startTestLoop(temp.path, durable, sink);
  expect(loop.report().cursor).toBe(durable);
  await loop.stop();
  expect(sink.batches).toEqual([]);
});

test('a damaged cursor stops the sink, names the file and changes nothing, at any cut', async () => {
  await using temp = await makeTempDir();
  const durable = await deliverOnce(temp.path, 12);
  const whole = await readFile(cursorFile(temp.path), 'utf8');
  const damaged = [
    ...Array.from({ length: whole.length - 2 }, (_, at) => whole.slice(0, at)),
    'null',
    '7',
    whole.replace('"version":1', '"version":2'),
    whole.replace(/"next":\d+/, '"next":-1'),
    whole.replace(/"next":\d+/, '"next":1.5'),
    whole.replace(/"last_hash":"..../, '"last_hash":"zzzz'),
  ];
  for (const text of damaged) {
    await writeFile(cursorFile(temp.path), text);
    const sink = createScriptedSink(() => DELIVERED);
    await expectStopped(await startTestLoop(temp.path, durable, sink), /is damaged/);
    expect(sink.batches).toEqual([]);
    expect(await readFile(cursorFile(temp.path), 'utf8')).toBe(text);
  }
  await writeFile(cursorFile(temp.path), whole);
  const loop = await startTestLoop(
    temp.path,
    durable,
    createScriptedSink(() => DELIVERED),
  );
  expect(loop.report().state).not.toBe('stopped');
  await loop.stop();
});

test('a cursor beyond the ledger, as after restoring an older one, stops the sink loudly', async () => {
  await using temp = await makeTempDir();
  const durable = await deliverOnce(temp.path, 12);
  const loop = await startTestLoop(
    temp.path,
    durable - 1,
    createScriptedSink(() => DELIVERED),
  );
  await expectStopped(loop, /ends before record 12: an older ledger/);
});

test('a cursor of another ledger stops the sink, however long this one has become', async () => {
  await using temp = await makeTempDir();
  await deliverOnce(temp.path, 12);
  await rm(join(temp.path, 'ledger'), { recursive: true });
  const durable = await writeLedger(temp.path, 40);
  const loop = await startTestLoop(
    temp.path,
    durable,
    createScriptedSink(() => DELIVERED),
  );
  await expectStopped(loop, /another ledger: record 12/);
});

test('one damaged cursor stops its own sink only', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 20);
  await writeFile(cursorFile(temp.path), '{');
  const damaged = await startTestLoop(
    temp.path,
    durable,
    createScriptedSink(() => DELIVERED),
  );
  const other = createScriptedSink(() => DELIVERED, { name: 'file/other' });
  const loop = await startTestLoop(temp.path, durable, other);
  await whenDelivered(loop, durable);
  expect(damaged.report().state).toBe('stopped');
  await Promise.all([loop.stop(), damaged.stop()]);
  expect(await readFile(join(temp.path, 'cursors/file_other.json'), 'utf8')).toContain('"next":');
});

test('under load a cursor is written once an interval, and at the latest one after the last move', async () => {
  await using temp = await makeTempDir();
  const filesystem = createFaultyFilesystem(null);
  const runs: (() => void)[] = [];
  const keeper = createCursorKeeper({
    path: join(temp.path, 'c.json'),
    filesystem,
    timing: {
      ...createFastTiming(),
      after: (ms, run) => {
        expect(ms).toBe(250);
        runs.push(run);
        return () => undefined;
      },
    },
    cursor: FIRST_CURSOR,
    onFailed: () => undefined,
  });
  for (let next = 1; next <= 1_000; next++) {
    keeper.move({ ...FIRST_CURSOR, next, last_hash: chainHash('a'.repeat(64)) });
  }
  expect(runs).toHaveLength(1);
  expect(filesystem.operations).toEqual([]);
  runs[0]?.();
  await keeper.save();
  expect(filesystem.operations.filter((one) => one === 'replace: rename')).toHaveLength(1);
  expect(await readFile(join(temp.path, 'c.json'), 'utf8')).toContain('"next":1000,');
});

test('a cursor that cannot be written does not hold up delivery, and is written when it can', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 30);
  let isFull = true;
  const errors: string[] = [];
  const loop = await startTestLoop(
    temp.path,
    durable,
    createScriptedSink(() => DELIVERED),
    {
      filesystem: {
        ...nodeFilesystem,
        replace: (path, bytes) =>
          // The first one, before the first record, has to succeed.
          isFull && String(bytes).includes('"next":3')
            ? Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
            : nodeFilesystem.replace(path, bytes),
      },
      log: {
        debug: () => 0,
        info: () => 0,
        warn: () => 0,
        error: (fields) => errors.push(JSON.stringify(fields)),
      },
    },
  );
  await whenDelivered(loop, durable);
  await eventually(() => expect(errors.join()).toContain('no space'));
  isFull = false;
  await eventually(async () =>
    expect(await readFile(cursorFile(temp.path), 'utf8')).toContain(`"next":${durable},`),
  );
  await loop.stop();
});

test('a disk too full for any cursor holds up only a sink that has to note a new place', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 30);
  const full: Filesystem = {
    ...nodeFilesystem,
    replace: () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })),
  };
  const open = (name: string, bytes: number | null): ReturnType<typeof createScriptedSink> =>
    createScriptedSink(() => DELIVERED, {
      name,
      ...(bytes === null
        ? {}
        : {
            place: {
              restore: () => Promise.resolve({ ok: true, value: { bytes } }),
              current: () => ({ bytes }),
            },
          }),
    });
  const first = await startTestLoop(temp.path, 10, open('kept', 7));
  await whenDelivered(first, 10);
  await first.stop();

  const database = await startTestLoop(temp.path, durable, open('database', null), {
    filesystem: full,
  });
  const kept = await startTestLoop(temp.path, durable, open('kept', 7), { filesystem: full });
  const sink = open('new', 0);
  const fresh = await startTestLoop(temp.path, durable, sink, { filesystem: full });
  await whenDelivered(database, durable);
  await whenDelivered(kept, durable);
  await eventually(() => expect(fresh.report()).toMatchObject({ state: 'retrying', cursor: 0 }));
  expect(sink.batches).toEqual([]);
  await Promise.all([database.stop(), kept.stop(), fresh.stop()]);
});
