/**
 * The fault matrix of a start: over a folder that a kill has left, with a torn tail in the ledger, half a dead letter
 * and half a replacement, each operation in turn fails once, tears, or is the last one before the next kill. The start
 * after that has everything that was acked, once.
 */
import { appendFileSync, cpSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { cursorPath } from '../../agent/deliver/cursor.ts';
import { deadLetterPath } from '../../agent/deliver/dead-letters.ts';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { createFreezer } from '../support/delivery.ts';
import { expectAllThere, live, SINK, start } from '../support/disk-life.ts';
import { createFaultyFilesystem, type Fault } from '../support/faulty-filesystem.ts';
import { makeMemoryDir } from '../support/ledger.ts';
import { countOf, placesOf } from '../support/operations.ts';

vi.setConfig({ testTimeout: 240_000 });

/** Operations that every such start has, and those of them that can fail with it. */
const KINDS = {
  EIO: [
    'list',
    'readFile',
    'openRead',
    'open',
    'truncate',
    'append',
    'datasync',
    'remove',
    'syncDir',
  ],
  ENOSPC: ['append', 'datasync', 'replace: create', 'replace: append', 'replace: rename'],
  EMFILE: ['list', 'readFile', 'openRead', 'open', 'replace: create', 'replace: syncDir'],
} as const satisfies Record<Fault['code'], readonly string[]>;

interface Left {
  readonly dir: string;
  readonly acked: readonly string[];
}

/** A life that ended in the middle of writing. */
async function leave(dir: string): Promise<Left> {
  const acked: string[] = [];
  await live(dir, nodeFilesystem, acked);
  const ledger = join(dir, 'ledger');
  const segments = readdirSync(ledger).filter((name) => /^\d+\.ndjson$/.test(name));
  appendFileSync(join(ledger, segments.sort().at(-1) ?? ''), '{"event":{"actor":{"id":"u-1');
  appendFileSync(deadLetterPath(dir, SINK), '{"_v":"sealtrail/dead');
  const cursor = cursorPath(dir, SINK);
  writeFileSync(join(dirname(cursor), `.${basename(cursor)}.tmp`), '{"next":');
  return { dir, acked };
}

/** A start and a stop; not to start is an answer as well. */
async function restart(dir: string, filesystem: Filesystem): Promise<void> {
  try {
    const { ledger, loop } = await start(dir, filesystem);
    await loop.stop();
    await ledger.close();
  } catch (error) {
    expect(String(error)).toContain('injected');
  }
}

/** One trial on a folder of its own, which is as the first one was left. */
async function attempt(
  left: Left,
  what: string,
  run: (dir: string) => Promise<void>,
): Promise<void> {
  await using temp = await makeMemoryDir();
  const dir = join(temp.path, 'data');
  cpSync(left.dir, dir, { recursive: true });
  await run(dir);
  await expectAllThere(dir, left.acked, what);
}

test.each(['EIO', 'ENOSPC', 'EMFILE'] as const)(
  'whichever operation of a start fails once with %s, or tears, the next start has what was acked, once',
  async (code) => {
    await using temp = await makeMemoryDir();
    const left = await leave(temp.path);
    const counting = createFaultyFilesystem(null, { reads: true });
    await attempt(left, 'nothing failed', (dir) => restart(dir, counting));
    const kinds: readonly string[] = KINDS[code];
    const hit = new Set<string>();
    for (const { name, nth } of placesOf(counting.operations)) {
      if (code !== 'EIO' && !kinds.includes(name)) continue;
      for (const tearTo of name.endsWith('append') ? [0, 40] : [0]) {
        const filesystem = createFaultyFilesystem({ name, nth, code, tearTo }, { reads: true });
        const what = `${code} at ${name} ${nth}, torn to ${tearTo}`;
        await attempt(left, what, (dir) => restart(dir, filesystem));
        if (countOf(filesystem.operations, name) > nth) hit.add(name);
      }
    }
    expect([...hit]).toEqual(expect.arrayContaining([...kinds]));
  },
);

test.each([
  ['in the middle of', 'torn'],
  ['right after', 'after'],
] as const)(
  'a second kill %s any operation of a start leaves what was acked there once',
  async (when, mode) => {
    await using temp = await makeMemoryDir();
    const left = await leave(temp.path);
    const counting = createFreezer(Infinity, mode);
    await attempt(left, 'no kill', (dir) => restart(dir, counting.filesystem));
    expect(counting.count()).toBeGreaterThan(8);
    for (let at = 0; at < counting.count(); at++)
      await attempt(left, `a kill ${when} operation ${at}`, async (dir) => {
        const freezer = createFreezer(at, mode);
        await Promise.race([restart(dir, freezer.filesystem), freezer.frozen]);
        await freezer.release();
      });
  },
);
