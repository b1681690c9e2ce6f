/** The append stage on a disk that fails: what is refused, what goes on, and what the next start finds. */
import { readdir } from 'node:fs/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ulid } from 'ulid';
import { nodeFilesystem, type Filesystem, type LedgerFile } from '../../../ledger/filesystem.ts';
import { recoverLedger } from '../../../ledger/recovery.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { admitted, openTestStage, type TestStage } from '../../support/append-stage.ts';
import { makeEvent } from '../../support/events.ts';
import { makeTempDir } from '../../support/ledger.ts';

type Operation = 'append' | 'datasync' | 'open' | 'create' | 'replace' | 'syncDir' | 'remove';
type Code = 'EIO' | 'EMFILE' | 'ENOSPC';

/** The real file system; an operation fails as long as it has a code. A failing write is half done. */
function createFailingFilesystem(): Filesystem & { readonly fails: Map<Operation, Code> } {
  const fails = new Map<Operation, Code>();
  const step = (operation: Operation): void => {
    const code = fails.get(operation);
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${operation}`), { code });
  };
  const wrap = (file: LedgerFile): LedgerFile => ({
    ...file,
    append: async (bytes) => {
      if (fails.has('append')) await file.append(bytes.subarray(0, bytes.length / 2));
      step('append');
      await file.append(bytes);
    },
    datasync: async () => {
      step('datasync');
      await file.datasync();
    },
  });
  return {
    ...nodeFilesystem,
    fails,
    create: async (path) => (step('create'), wrap(await nodeFilesystem.create(path))),
    open: async (path) => (step('open'), wrap(await nodeFilesystem.open(path))),
    replace: async (path, bytes) => (step('replace'), nodeFilesystem.replace(path, bytes)),
    syncDir: async (dir) => (step('syncDir'), nodeFilesystem.syncDir(dir)),
    remove: async (path) => (step('remove'), nodeFilesystem.remove(path)),
  };
}

const producer = ulid();
const send = async (of: TestStage, firstSeq: number, count = 1) => {
  const events = Array.from({ length: count }, () => admitted(makeEvent()));
  const outcomes = await of.stage.append({ producer, firstSeq, events });
  return outcomes.map((one) => (one.kind === 'refused' ? one.refusal.kind : one.kind));
};
const stop = (of: TestStage) =>
  of.stage.recordOwn('agent.stopped', 'success', { type: 'agent', id: 'test' }, {});

/** What the next start finds: the number of records, or why it refuses to go on. */
async function restart(dir: string): Promise<number | string> {
  const recovered = await recoverLedger({
    dir,
    filesystem: nodeFilesystem,
    batchBytesMax: 1 << 20,
  });
  return recovered.ok ? recovered.value.state.records : recovered.error.message;
}

test.each(['append', 'datasync'] as const)(
  'once the disk has failed in %s for good nothing is written behind the failed batch, own events neither',
  async (operation) => {
    await using temp = await makeTempDir();
    const filesystem = createFailingFilesystem();
    const opened = await openTestStage(temp.path, { filesystem });
    expect(await send(opened, 0)).toEqual(['appended']);
    filesystem.fails.set(operation, 'EIO').set('open', 'EIO');
    expect(await send(opened, 1, 3)).toEqual(Array(3).fill('storage_failed'));
    filesystem.fails.clear();
    expect(await stop(opened)).toBe(false);
    await opened.close();
    expect(await restart(temp.path)).toBeTypeOf('number');
    expect((await verifyLedger(temp.path)).verdict).toBe('intact');
  },
);

test('after close nothing reaches the ledger', async () => {
  await using temp = await makeTempDir();
  const opened = await openTestStage(temp.path);
  await send(opened, 0);
  await opened.close();
  expect(await stop(opened)).toBe(false);
  expect(await send(opened, 1)).toEqual(['shutting_down']);
  expect(await restart(temp.path)).toBe(2);
});

test.each([
  ['create', 'EMFILE'],
  ['replace', 'EIO'],
  ['create', 'ENOSPC'],
] as const)(
  'a segment that cannot be cut (%s: %s) refuses nobody: the ledger goes on in the one it has',
  async (operation, code) => {
    await using temp = await makeTempDir();
    const filesystem = createFailingFilesystem();
    const opened = await openTestStage(temp.path, { filesystem, segmentBytes: 4000 });
    expect(await send(opened, 0, 3)).toEqual(Array(3).fill('appended'));
    filesystem.fails.set(operation, code);
    expect(await send(opened, 3, 2)).toEqual(['appended', 'appended']);
    filesystem.fails.clear();
    for (let seq = 5; seq < 20; seq++) expect(await send(opened, seq)).toEqual(['appended']);
    await opened.close();
    expect(opened.failures).toEqual([]);
    expect((await verifyLedger(temp.path)).segments).toBeGreaterThan(1);
    expect(await restart(temp.path)).toBe(21);
  },
);

test('a new segment that is left behind half made is never overtaken by the one before it', async () => {
  await using temp = await makeTempDir();
  const filesystem = createFailingFilesystem();
  const opened = await openTestStage(temp.path, { filesystem, segmentBytes: 4000 });
  await send(opened, 0, 3);
  filesystem.fails.set('syncDir', 'ENOSPC').set('remove', 'ENOSPC');
  expect(await send(opened, 3)).toEqual(['storage_failed']);
  filesystem.fails.clear();
  expect(await stop(opened)).toBe(false);
  await opened.close();
  expect((await readdir(temp.path)).filter((name) => name.endsWith('.ndjson'))).toHaveLength(2);
  expect(await restart(temp.path)).toBe(4);
});

test('while a commit fails nothing that came in behind it gets in before it, even once there is space', async () => {
  await using temp = await makeTempDir();
  const filesystem = createFailingFilesystem();
  let later: Promise<string[]> | null = null;
  const { remove } = filesystem;
  const now = performance.now.bind(performance);
  // The next number arrives while the stage deals with the failure; then space returns, and the time
  // to look for it is over before the failure is told.
  filesystem.remove = async (path) => {
    await remove(path);
    later ??= send(opened, 2);
    filesystem.fails.clear();
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 1_000);
  };
  onTestFinished(() => void vi.restoreAllMocks());
  const opened = await openTestStage(temp.path, { filesystem });
  await send(opened, 0);
  filesystem.fails.set('append', 'ENOSPC');
  expect(await send(opened, 1)).toEqual(['disk_full']);
  expect(await later).toEqual(['disk_full']);
  await expect.poll(() => send(opened, 1)).toEqual(['appended']);
  expect(await send(opened, 2)).toEqual(['appended']);
  await opened.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact', gaps: [] });
});

test('space for the reserve alone is not taken for space: the end of a full disk is told once it is over', async () => {
  await using temp = await makeTempDir();
  const filesystem = createFailingFilesystem();
  const opened = await openTestStage(temp.path, { filesystem });
  filesystem.fails.set('append', 'ENOSPC');
  expect(await send(opened, 0)).toEqual(['disk_full']);
  // The reserve is back, the record of it is not: still full.
  await expect
    .poll(async () => (await send(opened, 0), filesystem.exists(`${temp.path}/reserve`)))
    .toBe(true);
  expect(opened.stage.status().state).toBe('disk_full');
  filesystem.fails.clear();
  await expect.poll(() => send(opened, 0)).toEqual(['appended']);
  expect(opened.stage.status().state).toBe('ready');
  await opened.close();
});
