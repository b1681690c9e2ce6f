/** What disks and mounts do to anchors, to the start comparison, and to the anchor log. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Anchor } from '../../../agent/checkpoint/anchors/anchor.ts';
import { createFileAnchor } from '../../../agent/checkpoint/anchors/file.ts';
import { parseKeys } from '../../../agent/checkpoint/anchors/begin.ts';
import { compareAtStart } from '../../../agent/checkpoint/anchors/start-comparison.ts';
import { createEvidenceFile } from '../../../agent/checkpoint/anchors/evidence-file.ts';
import { openAnchorLog, type AnchorLog } from '../../../agent/checkpoint/anchor-log.ts';
import { formatHeartbeat } from '../../../ledger/anchor-leaf.ts';
import type { AnchorEvidence } from '../../../ledger/anchor-evidence.ts';
import { nodeFilesystem, type Filesystem } from '../../../ledger/filesystem.ts';
import { hashLeaf } from '../../../ledger/merkle/hash.ts';
import { openTreeFile } from '../../../ledger/tree-file.ts';
import { silentLog } from '../../support/append-stage.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { createTestLog } from '../../support/witness.ts';

const signal = new AbortController().signal;

test('a checkpoint whose fsync failed in the file of an anchor counts once it was written and synced again', async () => {
  await using folder = await makeTempDir();
  const path = join(folder.path, 'anchor.ndjson');
  let failure: 'sync' | 'syncDir' | null = 'sync';
  const synced: string[] = [];
  const step = (what: 'sync' | 'syncDir') => (): Promise<void> => {
    if (failure === what) return Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
    synced.push(what);
    return Promise.resolve();
  };
  const disk = { sync: step('sync'), syncDir: step('syncDir') };
  const anchor = createFileAnchor({ name: 'f', path }, Date.now, disk);
  const publication = await createTestLog().publication(3);
  const unreachable = { ok: false, error: { kind: 'unreachable' } };
  expect(await anchor.publish(publication, signal)).toMatchObject(unreachable);
  failure = 'syncDir';
  expect(await anchor.publish(publication, signal), 'its name is not on the disk').toMatchObject(
    unreachable,
  );
  failure = null;
  expect(await anchor.publish(publication, signal)).toMatchObject({ ok: true });
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  // What can be read back after a failed fsync need not be there after a power cut.
  expect(lines).toHaveLength(3);
  expect(await anchor.publish(publication, signal)).toMatchObject({ ok: true });
  expect((await readFile(path, 'utf8')).trimEnd().split('\n')).toEqual(lines);
  expect(synced).toEqual(['sync', 'sync', 'syncDir']);
});

test('an anchor that hears of no signal, such as a mount that hangs, holds up a start for its timeout', async () => {
  const hung: Anchor = {
    name: 'file/hung',
    publish: () => new Promise(() => undefined),
    newest: () => new Promise(() => undefined),
    close: () => Promise.resolve(),
  };
  const own = await createTestLog().publication(3);
  const doubt = await compareAtStart({
    anchors: [hung],
    given: new Map(),
    own,
    logKeys: [],
    timeoutMs: 20,
    isClean: false,
    log: silentLog,
  });
  expect(doubt).toMatchObject({ kind: 'unconfirmed' });
});

test('an anchor that has lost what it had confirms nothing: a share that is not mounted is no clean bill', async () => {
  await using folder = await makeTempDir();
  const log = createTestLog();
  const anchor = createFileAnchor({ name: 'f', path: join(folder.path, 'anchor') }, Date.now);
  const ask = async (had: bigint, isClean = false) =>
    compareAtStart({
      anchors: [anchor],
      given: new Map([['file/f', had]]),
      own: await log.publication(3),
      logKeys: parseKeys([log.vkey]),
      timeoutMs: 10_000,
      isClean,
      log: silentLog,
    });
  expect(await ask(3n), 'nothing is there').toMatchObject({ kind: 'unconfirmed' });
  expect(await ask(3n, true), 'after a clean stop nothing is in doubt').toBeNull();
  expect(await ask(0n), 'it is new').toBeNull();
  expect(await anchor.publish(await log.publication(3), signal)).toMatchObject({ ok: true });
  expect(await ask(3n)).toBeNull();
});

test('entries that are signed outlast a disk that is full while they are written once more', async () => {
  await using folder = await makeTempDir();
  await mkdir(join(folder.path, 'anchor'));
  const open = async (filesystem: Filesystem): Promise<AnchorLog> => {
    const opened = await openAnchorLog({
      dir: folder.path,
      filesystem,
      agent: 'test',
      incarnation: 'inc',
      // As a crash leaves it between a round and its position.
      position: null,
      newest: new Map(),
    });
    if (!opened.ok) throw new Error(opened.error);
    return opened.value;
  };
  const log = await open(nodeFilesystem);
  const beats = [1, 2, 3].map((at) => ({ leaf: formatHeartbeat(at * 60_000) }));
  await log.add(beats.slice(0, 2));
  await log.add(beats.slice(2));
  const root = Buffer.from(log.tree.root()).toString('hex');
  const full: Filesystem = {
    ...nodeFilesystem,
    open: async (path) => ({
      ...(await nodeFilesystem.open(path)),
      append: () => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })),
    }),
  };
  for (let retry = 0; retry < 3; retry += 1) await expect(open(full)).rejects.toThrow('ENOSPC');
  const again = await open(nodeFilesystem);
  expect([again.tree.size(), Buffer.from(again.tree.root()).toString('hex')]).toEqual([3n, root]);
  // A copy that was forgotten is not taken for what followed.
  await again.add([{ leaf: formatHeartbeat(240_000) }]);
  expect((await open(nodeFilesystem)).tree.size()).toBe(4n);
});

test('a file whose folder could not be synced when it was made is not taken for durable by the next try', async () => {
  await using folder = await makeTempDir();
  await mkdir(join(folder.path, 'anchor'));
  let isFailing = true;
  const synced: string[] = [];
  const filesystem: Filesystem = {
    ...nodeFilesystem,
    syncDir: (dir) => {
      if (isFailing) return Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
      synced.push(dir.slice(folder.path.length));
      return nodeFilesystem.syncDir(dir);
    },
  };
  const publication = await createTestLog('inc').publication(3);
  const evidence: AnchorEvidence = { kind: 'copy', anchor: 'a', time: '2026-03-01', place: 'p' };
  const tries: readonly (() => Promise<unknown>)[] = [
    () =>
      openAnchorLog({
        ...{ dir: folder.path, filesystem, agent: 'test', incarnation: 'inc' },
        ...{ position: null, newest: new Map() },
      }),
    () => createEvidenceFile(filesystem, folder.path).keep(publication, evidence, 1),
    async () => {
      const path = join(folder.path, 'a.tree');
      const tree = await openTreeFile({ filesystem, path, size: 0n });
      if (!tree.ok) throw new Error(tree.error);
      tree.value.append(hashLeaf(Buffer.from('a')));
      await tree.value.save();
    },
  ];
  for (const again of tries) {
    isFailing = true;
    await expect(again()).rejects.toThrow('EIO');
    isFailing = false;
    synced.length = 0;
    await again();
    expect(synced).toHaveLength(1);
  }
});
