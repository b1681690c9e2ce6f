import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DeliveryLoop } from '../../../agent/deliver/loop.ts';
import { createFileSink } from '../../../agent/deliver/sinks/file.ts';
import { nodeFilesystem, type Filesystem } from '../../../ledger/filesystem.ts';
import { silentLog } from '../../support/append-stage.ts';
import {
  createFreezer,
  startTestLoop,
  whenDelivered,
  writeLedger,
} from '../../support/delivery.ts';
import { makeMemoryDir } from '../../support/ledger.ts';

/** Records that the mapping chokes on until it is corrected. */
const POISON = [3, 11, 12];
/** Records that become durable after the crash. */
const LATER = 3;

interface Trial {
  readonly dir: string;
  readonly durable: number;
  isCorrected: boolean;
}

const numbersIn = async (path: string): Promise<number[]> => {
  const text = (await nodeFilesystem.exists(path)) ? await readFile(path, 'utf8') : '';
  expect(text === '' || text.endsWith('\n'), 'no half line').toBe(true);
  const lines = text.split('\n').filter(Boolean);
  return lines.map((line) => (JSON.parse(line) as { number: number }).number);
};

function start(trial: Trial, filesystem: Filesystem): Promise<DeliveryLoop> {
  const sink = createFileSink({
    name: 'test',
    path: join(trial.dir, 'siem/out.ndjson'),
    filesystem,
    log: silentLog,
    format: ({ number, this_hash }) => {
      if (!trial.isCorrected && POISON.includes(number)) throw new TypeError('poison');
      return `${JSON.stringify({ number, this_hash })}\n`;
    },
  });
  return startTestLoop(trial.dir, trial.durable - LATER, sink, {
    filesystem,
    exporter: { batch_records_max: 6 },
  });
}

/** Delivers, sends the dead letters again in vain, corrects the mapping, sends them again, stops. */
async function runWhole(trial: Trial, filesystem: Filesystem): Promise<void> {
  const loop = await start(trial, filesystem);
  await whenDelivered(loop, trial.durable - LATER);
  await loop.retryDeadLetters();
  trial.isCorrected = true;
  await loop.retryDeadLetters();
  await loop.stop();
}

async function makeTrial(dir: string): Promise<Trial> {
  return { dir, durable: await writeLedger(dir, 20), isCorrected: false };
}

test('after a crash at any effect on disk each record is delivered once, and no dead letter lost or doubled', async () => {
  await using probe = await makeMemoryDir();
  const counting = createFreezer(Infinity, 'before');
  await runWhole(await makeTrial(probe.path), counting.filesystem);
  expect(counting.count()).toBeGreaterThan(20);

  for (let at = 0; at < counting.count(); at++) {
    for (const mode of ['before', 'torn', 'after'] as const) {
      await using temp = await makeMemoryDir();
      const trial = await makeTrial(temp.path);
      const freezer = createFreezer(at, mode);
      await Promise.race([runWhole(trial, freezer.filesystem), freezer.frozen]);
      await freezer.release();

      const what = `${mode} effect ${at}`;
      const loop = await start(trial, nodeFilesystem);
      await whenDelivered(loop, trial.durable - LATER);
      expect(loop.report().last_error ?? '', what).not.toContain('damaged');
      const letters = (await loop.listDeadLetters(100)).map(({ number }) => number);
      expect(new Set(letters).size, what).toBe(letters.length);
      trial.isCorrected = true;
      const retried = await loop.retryDeadLetters();
      expect(retried, what).toEqual({ delivered: letters.length, remaining: 0 });
      // What the file held in vain is written over by records that come now.
      loop.notifyDurable(trial.durable);
      await whenDelivered(loop, trial.durable);
      await loop.stop();

      const numbers = await numbersIn(join(trial.dir, 'siem/out.ndjson'));
      expect(numbers.length, `${what}: ${numbers.join()}`).toBe(trial.durable);
      expect(new Set(numbers).size, what).toBe(trial.durable);
      expect(await readFile(join(trial.dir, 'dead-letter/test.ndjson'), 'utf8')).toBe('');
    }
  }
});
