import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendFile, copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { recoverLedger } from '../../ledger/recovery.ts';
import { segmentName } from '../../ledger/segment.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import { createFaultyFilesystem, type Fault } from '../support/faulty-filesystem.ts';
import { makeEvent } from '../support/events.ts';
import { makeMemoryDir, openTestLedger } from '../support/ledger.ts';

/** Runs commits and cuts over a faulty disk; returns what was acked before the first fatal failure. */
async function runWith(
  dir: string,
  fault: Fault | null,
): Promise<{ acked: string[]; operations: readonly string[] }> {
  const filesystem = createFaultyFilesystem(fault);
  const acked: string[] = [];
  let close = (): Promise<void> => Promise.resolve();
  try {
    const ledger = await openTestLedger(dir, { filesystem });
    close = () => ledger.writer.close();
    for (let round = 0; round < 4; round++) {
      const events = [makeEvent(), makeEvent()];
      const result = await ledger.commit(events);
      if (typeof result !== 'string') acked.push(...events.map((event) => event.event_id));
      else if (result === 'storage_failed') break;
      if (round === 1) await ledger.cut();
    }
  } catch (error) {
    // Opening or cutting failed: what was acked until then still counts.
    expect(String(error)).toContain('injected');
  }
  await close();
  return { acked, operations: filesystem.operations };
}

async function idsIn(dir: string): Promise<string[]> {
  const names = (await nodeFilesystem.list(dir)).filter((name) => name.endsWith('.ndjson')).sort();
  const ids: string[] = [];
  for (const name of names) {
    for (const line of (await readFile(join(dir, name), 'utf8')).split('\n').filter(Boolean)) {
      const { event } = JSON.parse(line) as {
        event: { event_id: string; event: { action: string } };
      };
      if (event.event.action !== 'ledger.genesis') ids.push(event.event_id);
    }
  }
  return ids;
}

test('whatever single operation fails or tears, every acked record is there once and the chain is whole', async () => {
  await using probe = await makeMemoryDir();
  const { operations, acked } = await runWith(join(probe.path, 'l'), null);
  expect(acked).toHaveLength(8);
  expect(operations).toContain('datasync');

  for (let at = 0; at < operations.length; at++) {
    for (const code of ['EIO', 'ENOSPC'] as const) {
      for (const tearTo of operations[at] === 'append' ? [0, 1, 700, 1500] : [0]) {
        await using temp = await makeMemoryDir();
        const dir = join(temp.path, 'l');
        const run = await runWith(dir, { at, code, tearTo });
        const recovered = await recoverLedger({
          dir,
          filesystem: nodeFilesystem,
          batchBytesMax: 1 << 20,
        });
        const what = `${code} at ${at} (${operations[at]}, torn to ${tearTo})`;
        if (!recovered.ok) throw new Error(`${what}: ${recovered.error.message}`);
        expect(await idsIn(dir), what).toEqual(expect.arrayContaining(run.acked));
        expect(new Set(await idsIn(dir)).size, what).toBe((await idsIn(dir)).length);
        const verification = await verifyLedger(dir);
        if (recovered.value.state.records > 0) expect(verification.verdict, what).toBe('intact');
      }
    }
  }
});

test('after a failed fsync the batch goes to a new segment, and the old one ends before it', async () => {
  await using temp = await makeMemoryDir();
  const counting = createFaultyFilesystem(null);
  const first = await openTestLedger(join(temp.path, 'a'), { filesystem: counting });
  await first.commit([makeEvent()]);
  const secondSync = counting.operations.length + 1;
  await first.writer.close();

  const filesystem = createFaultyFilesystem({ at: secondSync, code: 'EIO' });
  const ledger = await openTestLedger(join(temp.path, 'b'), { filesystem });
  await ledger.commit([makeEvent()]);
  expect(typeof (await ledger.commit([makeEvent()]))).toBe('object');
  expect(filesystem.operations[secondSync]).toBe('datasync');
  expect(ledger.writer.position().segment).toBe(2);
  expect((await verifyLedger(join(temp.path, 'b'))).verdict).toBe('intact');
  await ledger.writer.close();
});

test('any sequence of commits and cuts reads back whole', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 12 }),
      async (steps) => {
        await using temp = await makeMemoryDir();
        const ledger = await openTestLedger(temp.path);
        let records = 0;
        for (const step of steps) {
          if (step === 0) {
            if (ledger.writer.position().segmentBytes > 0) await ledger.cut();
          } else {
            await ledger.commit(Array.from({ length: step }, () => makeEvent()));
            records += step;
          }
        }
        await ledger.writer.close();
        const verification = await verifyLedger(temp.path);
        if (records > 0)
          expect(verification).toMatchObject({ verdict: 'intact', records: records + 1 });
      },
    ),
    { numRuns: 30 },
  );
});

test.each([
  ['is removed', (path: string) => rm(path), 'storage_failed'],
  ['is cut short', (path: string) => truncate(path, 100), 'storage_failed'],
  ['is emptied', (path: string) => writeFile(path, ''), 'storage_failed'],
  ['gets a line of somebody else', (path: string) => appendFile(path, '{}\n'), 'new segment'],
  [
    'is replaced by its copy',
    async (path: string) => {
      await copyFile(path, `${path}.copy`);
      await rename(`${path}.copy`, path);
    },
    'new segment',
  ],
] as const)(
  'a segment that %s while it is in use: nothing is acked that is not in the ledger afterwards',
  async (_, harm, expected) => {
    await using temp = await makeMemoryDir();
    const ledger = await openTestLedger(join(temp.path, 'l'));
    const [before, after] = [makeEvent(), makeEvent()];
    expect(await ledger.commit([before])).toHaveLength(1);
    await harm(join(ledger.dir, segmentName(0)));
    const committed = await ledger.commit([after]);
    if (expected === 'storage_failed') {
      expect(committed).toBe('storage_failed');
      expect(await ledger.commit([makeEvent()])).toBe('storage_failed');
    } else {
      expect(committed).toHaveLength(1);
      expect(await idsIn(ledger.dir)).toEqual([before.event_id, after.event_id]);
      expect(await verifyLedger(ledger.dir)).toMatchObject({ verdict: 'intact', segments: 2 });
    }
    await ledger.writer.close();
  },
);
