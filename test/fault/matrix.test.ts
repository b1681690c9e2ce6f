/**
 * The fault matrix over everything that an agent keeps on disk at once: ledger, state files, reserve,
 * head file, cursor, dead letters and a SIEM file. Each operation in turn fails once, tears, or is the
 * last one before a crash; then the agent starts anew on a sound disk. What it holds and what the sink
 * has is compared with what was acked, `verify` agrees, and nothing of it is taken for a rollback.
 */
import { expect, test, vi } from 'vitest';
import { createFreezer } from '../support/delivery.ts';
import { BATCHES, expectAllThere, live } from '../support/disk-life.ts';
import { createFaultyFilesystem, type Fault } from '../support/faulty-filesystem.ts';
import { makeMemoryDir } from '../support/ledger.ts';
import { countOf, placesOf } from '../support/operations.ts';

vi.setConfig({ testTimeout: 240_000 });

/** Operations that every life has, and those of them that can fail with it. */
const REPLACE = ['remove', 'create', 'append', 'sync', 'rename', 'syncDir'].map(
  (step) => `replace: ${step}`,
);
const KINDS = {
  EIO: ['list', 'makeDir', 'create', 'openRead', 'append', 'datasync', 'syncDir', ...REPLACE],
  ENOSPC: ['makeDir', 'create', 'append', 'datasync', ...REPLACE.slice(1, 5)],
  EMFILE: ['list', 'create', 'openRead', 'syncDir', 'replace: create', 'replace: syncDir'],
} as const satisfies Record<Fault['code'], readonly string[]>;

/** Operations of a life in which nothing fails; how many there are varies a little with the timing. */
async function operationsOfALife(): Promise<readonly string[]> {
  await using temp = await makeMemoryDir();
  const counting = createFaultyFilesystem(null, { reads: true });
  const acked: string[] = [];
  await live(temp.path, counting, acked);
  expect(acked).toHaveLength(BATCHES * 2 + 2);
  await expectAllThere(temp.path, acked, 'nothing failed');
  expect(counting.operations, 'a whole life').toEqual(expect.arrayContaining([...KINDS.EIO]));
  return counting.operations;
}

test.each(['EIO', 'ENOSPC', 'EMFILE'] as const)(
  'whichever operation fails once with %s, or tears, what was acked is there once, in ledger and sink',
  async (code) => {
    const operations = await operationsOfALife();
    const kinds: readonly string[] = KINDS[code];
    const hit = new Set<string>();
    for (const { name, nth } of placesOf(operations)) {
      if (!kinds.includes(name)) continue;
      for (const tearTo of name.endsWith('append') ? [0, 900] : [0]) {
        await using temp = await makeMemoryDir();
        const filesystem = createFaultyFilesystem({ name, nth, code, tearTo }, { reads: true });
        const acked: string[] = [];
        // Not to start at all is an answer as well; whatever was acked counts.
        await live(temp.path, filesystem, acked).catch((error: unknown) => {
          expect(String(error)).toContain('injected');
        });
        if (countOf(filesystem.operations, name) > nth) hit.add(name);
        await expectAllThere(temp.path, acked, `${code} at ${name} ${nth}, torn to ${tearTo}`);
      }
    }
    expect([...hit]).toEqual(expect.arrayContaining([...kinds]));
  },
);

test.each([
  ['in the middle of', 'torn'],
  ['right after', 'after'],
] as const)(
  'a crash %s any operation leaves what was acked there once, in ledger and sink',
  async (when, mode) => {
    await using probe = await makeMemoryDir();
    const counting = createFreezer(Infinity, mode);
    await live(probe.path, counting.filesystem, []);
    expect(counting.count()).toBeGreaterThan(40);
    for (let at = 0; at < counting.count(); at++) {
      await using temp = await makeMemoryDir();
      const freezer = createFreezer(at, mode);
      const acked: string[] = [];
      await Promise.race([live(temp.path, freezer.filesystem, acked), freezer.frozen]);
      await freezer.release();
      await expectAllThere(temp.path, acked, `crash ${when} operation ${at}`);
    }
  },
);
