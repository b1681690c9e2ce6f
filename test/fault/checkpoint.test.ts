import { appendFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import {
  createFakeClock,
  faultsOf,
  journalOf,
  startTestStage,
  type FakeClock,
} from '../support/checkpoints.ts';
import { makeEvent } from '../support/events.ts';
import { createFaultyFilesystem } from '../support/faulty-filesystem.ts';
import { makeTempDir, openTestLedger, type TestLedger } from '../support/ledger.ts';

type Seen = Awaited<ReturnType<typeof journalOf>>[number][];

async function commit(ledger: TestLedger, count: number): Promise<number> {
  const events = Array.from({ length: count }, (_, at) =>
    makeEvent({ resource: { type: 'customer', id: 'c', tenant_id: at % 2 === 0 ? 'a' : 'b' } }),
  );
  const done = await ledger.commit(events);
  if (typeof done === 'string') throw new Error(done);
  return ledger.recovered.state.records;
}

/** A life of the stage: records, rounds, an anchor round, an end. True: it went through. */
async function live(
  dir: string,
  ledger: TestLedger,
  filesystem: Filesystem,
  clock: FakeClock,
): Promise<boolean> {
  const durable = ledger.recovered.state.records;
  const settings = { records_max: 4 };
  const started = await startTestStage(dir, { clock, durable, filesystem, settings }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EIO') throw error;
      return null;
    },
  );
  if (started === null) return false;
  const { stage, failures } = started;
  await stage.settled();
  for (const [count, ms] of [
    [2, 1_000],
    [5, 1_000],
    [1, 60_000],
  ] as const) {
    stage.notifyDurable(await commit(ledger, count));
    await stage.settled();
    clock.advance(ms);
    await stage.settled();
  }
  try {
    await stage.stop();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EIO') throw error;
    return false;
  }
  return failures.length === 0;
}

/** What a crash may leave behind: bytes that were written and whose fsync never came. */
async function leaveDebris(dir: string): Promise<void> {
  const checkpoints = join(dir, 'checkpoints');
  for (const folder of ['trees', 'anchor']) {
    const names = await readdir(join(checkpoints, folder)).catch(() => [] as string[]);
    for (const name of names)
      await appendFile(
        join(checkpoints, folder, name),
        name.endsWith('.tree') ? '\0'.repeat(75) : '{"le',
      );
  }
  if (await nodeFilesystem.exists(join(checkpoints, 'journal.ndjson')))
    await appendFile(join(checkpoints, 'journal.ndjson'), '{"head":null,"note":"seal');
}

async function trial(at: number, tearTo: number): Promise<{ operations: number; hit: boolean }> {
  await using dir = await makeTempDir();
  const ledger = await openTestLedger(join(dir.path, 'ledger'));
  try {
    const clock = createFakeClock();
    await commit(ledger, 2);
    const faulty = createFaultyFilesystem({ at, code: 'EIO', tearTo });
    const isWhole = await live(dir.path, ledger, faulty, clock);
    const seen: Seen = [...(await journalOf(dir.path))];
    await leaveDebris(dir.path);
    expect(await live(dir.path, ledger, nodeFilesystem, clock)).toBe(true);
    seen.push(...(await journalOf(dir.path)));
    // A root is that of the records up to its size: so there is one a size, and the old lead to the new.
    expect(await faultsOf(dir.path, seen)).toEqual([]);
    const newest = new Map(seen.map(({ origin, size }) => [origin, size]));
    for (const { origin, size } of seen) expect(size <= (newest.get(origin) ?? 0n)).toBe(true);
    expect(newest.size).toBe(3);
    return { operations: faulty.operations.length, hit: !isWhole };
  } finally {
    await ledger.writer.close();
  }
}

test('whatever operation fails or tears, and a crash after it, no size gets a second root', async () => {
  const { operations } = await trial(-1, 0);
  expect(operations).toBeGreaterThan(30);
  // Most of a trial waits for the disk: several at a time.
  for (let from = 0; from < operations; from += 8) {
    const ats = Array.from({ length: Math.min(8, operations - from) }, (_, at) => from + at);
    const trials = await Promise.all(ats.map((at) => trial(at, (at * 37) % 150)));
    for (const [index, { hit }] of trials.entries())
      expect(hit, `operation ${from + index}`).toBe(true);
  }
});
