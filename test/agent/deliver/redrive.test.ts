import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFileSink } from '../../../agent/deliver/sinks/file.ts';
import type { Sink } from '../../../agent/ports.ts';
import { nodeFilesystem, type Filesystem } from '../../../ledger/filesystem.ts';
import { silentLog } from '../../support/append-stage.ts';
import { startTestLoop, whenDelivered, writeLedger } from '../../support/delivery.ts';
import { makeMemoryDir } from '../../support/ledger.ts';

const POISON = [3, 7];

function openFile(dir: string, isCorrected: () => boolean): Sink {
  return createFileSink({
    name: 'test',
    path: join(dir, 'out.ndjson'),
    log: silentLog,
    format: ({ number }) => {
      if (!isCorrected() && POISON.includes(number)) throw new TypeError('poison');
      return `${number}\n`;
    },
  });
}

const numbersIn = async (dir: string): Promise<number[]> =>
  (await readFile(join(dir, 'out.ndjson'), 'utf8')).trimEnd().split('\n').map(Number);

test('a letter whose record the cursor has not passed again after a crash is left to the loop', async () => {
  await using temp = await makeMemoryDir();
  const durable = await writeLedger(temp.path, 11);
  let isCorrected = false;
  const cursor = join(temp.path, 'cursors/test.json');
  const first = await startTestLoop(
    temp.path,
    4,
    openFile(temp.path, () => isCorrected),
  );
  await whenDelivered(first, 4);
  await first.stop();
  const before = await readFile(cursor);
  const second = await startTestLoop(
    temp.path,
    durable,
    openFile(temp.path, () => isCorrected),
  );
  await whenDelivered(second, durable);
  await second.stop();

  // The cursor of before, as if the machine had lost the last writes of it.
  await writeFile(cursor, before);
  isCorrected = true;
  const loop = await startTestLoop(
    temp.path,
    4,
    openFile(temp.path, () => isCorrected),
  );
  expect(await loop.retryDeadLetters()).toEqual({ delivered: 1, remaining: 1 });
  expect(await loop.listDeadLetters(10)).toMatchObject([{ number: 7, attempts: 1 }]);
  loop.notifyDurable(durable);
  await whenDelivered(loop, durable);
  expect(await loop.retryDeadLetters()).toEqual({ delivered: 1, remaining: 0 });
  await loop.stop();
  expect(await numbersIn(temp.path)).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 7]);
});

test('when the disk fails before the decision, letters stay, and what was sent for nothing is written over', async () => {
  await using temp = await makeMemoryDir();
  const durable = await writeLedger(temp.path, 15);
  let isCorrected = false;
  let failures = 0;
  const filesystem: Filesystem = {
    ...nodeFilesystem,
    create: async (path) => {
      const file = await nodeFilesystem.create(path);
      return {
        ...file,
        sync: async () => {
          if (failures++ === 0) throw Object.assign(new Error('EIO: injected'), { code: 'EIO' });
          await file.sync();
        },
      };
    },
  };
  const sink = openFile(temp.path, () => isCorrected);
  const loop = await startTestLoop(temp.path, 10, sink, { filesystem });
  await whenDelivered(loop, 10);
  isCorrected = true;
  expect(await loop.retryDeadLetters()).toEqual({ delivered: 0, remaining: 2 });
  expect(loop.report().last_error).toBe('dead letters stay as they are: EIO: injected');
  loop.notifyDurable(durable);
  await whenDelivered(loop, durable);
  expect(await loop.retryDeadLetters()).toEqual({ delivered: 2, remaining: 0 });
  await loop.stop();
  expect(await numbersIn(temp.path)).toEqual([
    ...[0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15],
    ...POISON,
  ]);
});

test('when the new file cannot take the place of the old one the sink stops, and a restart ends it', async () => {
  await using temp = await makeMemoryDir();
  const durable = await writeLedger(temp.path, 15);
  let isCorrected = false;
  const sink = openFile(temp.path, () => isCorrected);
  const loop = await startTestLoop(temp.path, durable, sink, {
    filesystem: {
      ...nodeFilesystem,
      rename: () => Promise.reject(Object.assign(new Error('EIO: injected'), { code: 'EIO' })),
    },
  });
  await whenDelivered(loop, durable);
  isCorrected = true;
  expect(await loop.retryDeadLetters()).toEqual({ delivered: 0, remaining: 2 });
  expect(loop.report()).toMatchObject({
    state: 'stopped',
    last_error: expect.stringContaining('restart'),
  });
  await loop.stop();
  const again = await startTestLoop(
    temp.path,
    durable,
    openFile(temp.path, () => isCorrected),
  );
  expect(again.report()).toMatchObject({ dead_letters: 0 });
  await again.stop();
  expect((await numbersIn(temp.path)).sort((one, other) => one - other)).toEqual(
    Array.from({ length: durable }, (_, number) => number),
  );
});
