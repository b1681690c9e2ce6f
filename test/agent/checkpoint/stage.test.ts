import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { treePath } from '../../../agent/checkpoint/streams.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { planConsistency, readProof } from '../../../ledger/merkle/proof.ts';
import { verifyConsistency } from '../../../ledger/merkle/verify-proof.ts';
import { segmentName } from '../../../ledger/segment.ts';
import { openTreeFile } from '../../../ledger/tree-file.ts';
import {
  anchorLeavesOf,
  createFakeClock,
  faultsOf,
  journalOf,
  leavesOf,
  startTestStage,
  TEST_INCARNATION,
} from '../../support/checkpoints.ts';
import { makeEvent } from '../../support/events.ts';
import { makeTempDir, openTestLedger, type TestLedger } from '../../support/ledger.ts';
import { createKeptLog } from '../observe/support.ts';

const ANCHOR = `sealtrail/test/${TEST_INCARNATION}`;

async function openLedger(dir: string): Promise<TestLedger & AsyncDisposable> {
  const ledger = await openTestLedger(join(dir, 'ledger'));
  return { ...ledger, [Symbol.asyncDispose]: () => ledger.writer.close() };
}

/** Commits events of a tenant; the durable count after it. */
async function commit(ledger: TestLedger, count: number, tenant = 'acme'): Promise<number> {
  const resource = { type: 'customer', id: 'c_17', tenant_id: tenant };
  const done = await ledger.commit(Array.from({ length: count }, () => makeEvent({ resource })));
  if (typeof done === 'string') throw new Error(done);
  return ledger.recovered.state.records;
}

type Journal = Awaited<ReturnType<typeof journalOf>>;
const sizesOf = (journal: Journal, origin: string): readonly number[] =>
  journal.filter((one) => one.origin === origin).map(({ size }) => Number(size));
const streamsOf = (journal: Journal): readonly string[] =>
  [...new Set(journal.map(({ origin }) => origin))].filter((origin) => origin !== ANCHOR);

test('a record is under a signed checkpoint a second after it became durable, and not by chance before', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  const { stage } = await startTestStage(dir.path, { clock, durable: 0 });
  await stage.settled();
  stage.notifyDurable(await commit(ledger, 3));
  await stage.settled();
  clock.advance(999);
  await stage.settled();
  expect(streamsOf(await journalOf(dir.path))).toEqual([]);
  expect(stage.status()).toMatchObject({ records: 0, lag_records: 4 });
  clock.advance(1);
  await stage.settled();
  const journal = await journalOf(dir.path);
  const [stream = ''] = streamsOf(journal);
  // With the genesis record of the stream.
  expect(sizesOf(journal, stream)).toEqual([4]);
  expect(await faultsOf(dir.path, journal)).toEqual([]);
  expect(stage.status()).toMatchObject({ state: 'running', records: 4, lag_records: 0 });
  await stage.stop();
});

test('while the disk is full it writes nothing, and signs all of it once space is back', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  const { stage } = await startTestStage(dir.path, { clock, durable: 0 });
  await stage.settled();
  const before = await journalOf(dir.path);
  stage.pause(true);
  stage.notifyDurable(await commit(ledger, 3));
  clock.advance(120_000);
  await stage.settled();
  expect(await journalOf(dir.path)).toEqual(before);
  stage.pause(false);
  await stage.settled();
  const journal = await journalOf(dir.path);
  expect(sizesOf(journal, streamsOf(journal)[0] ?? '')).toEqual([4]);
  expect(sizesOf(journal, ANCHOR).at(-1), 'and anchors it').toBeGreaterThan(1);
  await stage.stop();
});

test('checkpoints are at most 1,024 records apart, however fast records come', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  const { stage } = await startTestStage(dir.path, { clock, durable: await commit(ledger, 2_500) });
  await stage.settled();
  const journal = await journalOf(dir.path);
  const [stream = ''] = streamsOf(journal);
  // The first start anchors at once, and what it anchors is signed before.
  expect(sizesOf(journal, stream)).toEqual([1_024, 2_048, 2_501]);
  expect(await faultsOf(dir.path, journal)).toEqual([]);
  await stage.stop();
});

test('a record that is not durable is in no tree, although it is in the file', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  const durable = await commit(ledger, 4);
  await commit(ledger, 5);
  const { stage } = await startTestStage(dir.path, { clock, durable });
  await stage.stop();
  const journal = await journalOf(dir.path);
  const [stream = ''] = streamsOf(journal);
  expect(sizesOf(journal, stream)).toEqual([durable]);
});

test('the anchor log is signed every minute even when nothing happens, and at the end', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  const durable = await commit(ledger, 2);
  const { stage } = await startTestStage(dir.path, { clock, durable });
  await stage.settled();
  expect(sizesOf(await journalOf(dir.path), ANCHOR)).toEqual([2]);
  for (let minute = 1; minute <= 3; minute += 1) {
    clock.advance(59_999);
    await stage.settled();
    expect(sizesOf(await journalOf(dir.path), ANCHOR).at(-1)).toBe(1 + minute);
    clock.advance(1);
    await stage.settled();
    expect(sizesOf(await journalOf(dir.path), ANCHOR).at(-1)).toBe(2 + minute);
  }
  await stage.stop();
  expect(sizesOf(await journalOf(dir.path), ANCHOR).at(-1)).toBe(6);
  const leaves = await anchorLeavesOf(dir.path);
  expect(leaves.map((leaf) => leaf.split('\n')[0]?.split('/')[1])).toEqual([
    'heartbeat',
    'stream-head',
    ...Array.from({ length: 4 }, () => 'heartbeat'),
  ]);
  // No name of a stream or tenant goes outside.
  expect(leaves.join('')).not.toMatch(/acme|standard|sealtrail\/test/);
  expect(await faultsOf(dir.path, await journalOf(dir.path))).toEqual([]);
});

test.each([-3_600_000, 3_600_000])(
  'a clock that is set by %i ms delays no checkpoint and no round of the anchor log',
  async (setBy) => {
    await using dir = await makeTempDir();
    await using ledger = await openLedger(dir.path);
    const clock = createFakeClock();
    const { stage } = await startTestStage(dir.path, { clock, durable: await commit(ledger, 2) });
    await stage.settled();
    const before = sizesOf(await journalOf(dir.path), ANCHOR).length;
    stage.notifyDurable(await commit(ledger, 2));
    await stage.settled();
    clock.set(setBy);
    clock.advance(1_000);
    await stage.settled();
    const journal = await journalOf(dir.path);
    expect(sizesOf(journal, streamsOf(journal)[0] ?? '')).toEqual([3, 5]);
    for (let minute = 1; minute <= 3; minute += 1) {
      clock.advance(60_000);
      await stage.settled();
      const rounds = sizesOf(await journalOf(dir.path), ANCHOR).length;
      expect(rounds - before).toBeGreaterThanOrEqual(minute);
    }
    await stage.stop();
    expect(await faultsOf(dir.path, await journalOf(dir.path))).toEqual([]);
  },
);

test('at the end everything durable is signed, due or not', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  const { stage } = await startTestStage(dir.path, { clock, durable: await commit(ledger, 2) });
  await stage.settled();
  stage.notifyDurable(await commit(ledger, 2));
  await stage.settled();
  await stage.stop();
  const journal = await journalOf(dir.path);
  expect(sizesOf(journal, streamsOf(journal)[0] ?? '')).toEqual([3, 5]);
  expect(await faultsOf(dir.path, journal)).toEqual([]);
});

test('a start goes on from what is saved: records that are gone from the ledger are not needed', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  const first = await startTestStage(dir.path, { clock, durable: await commit(ledger, 50) });
  await first.stage.stop();
  const before = await journalOf(dir.path);
  const [stream = ''] = streamsOf(before);
  await ledger.cut();
  const durable = await commit(ledger, 30);
  const gone = join(dir.path, 'ledger', segmentName(0));
  await rename(gone, join(dir.path, 'aside'));
  const second = await startTestStage(dir.path, { clock, durable });
  await second.stage.stop();
  expect(second.failures).toEqual([]);
  await rename(join(dir.path, 'aside'), gone);
  const after = await journalOf(dir.path);
  expect(sizesOf(after, stream).at(-1)).toBe(81);
  expect(await faultsOf(dir.path, after)).toEqual([]);

  // Old and new are consistent, by a proof out of the file.
  const [old, now] = [before, after].map((one) => one.findLast(({ origin }) => origin === stream));
  if (old === undefined || now === undefined) throw new Error('both are signed');
  const path = treePath(join(dir.path, 'checkpoints'), stream);
  const tree = await openTreeFile({ filesystem: nodeFilesystem, path, size: now.size });
  if (!tree.ok) throw new Error(tree.error);
  const proof = await readProof(planConsistency(old.size, now.size) ?? [], tree.value.read);
  const claim = { size1: old.size, size2: now.size, root1: old.root, root2: now.root, proof };
  expect(verifyConsistency(claim)).toBe(true);
});

test.each(['position.json', 'tree'])(
  'without its %s a tree is grown again from the ledger, to the same roots',
  async (lost) => {
    await using dir = await makeTempDir();
    await using ledger = await openLedger(dir.path);
    const clock = createFakeClock();
    const first = await startTestStage(dir.path, { clock, durable: await commit(ledger, 20) });
    await first.stage.stop();
    const before = await journalOf(dir.path);
    const [stream = ''] = streamsOf(before);
    const checkpoints = join(dir.path, 'checkpoints');
    await rm(lost === 'tree' ? treePath(checkpoints, stream) : join(checkpoints, lost));
    const second = await startTestStage(dir.path, { clock, durable: await commit(ledger, 9) });
    await second.stage.stop();
    expect(second.stage.status()).toMatchObject({ state: 'running', last_error: null });
    const after = await journalOf(dir.path);
    expect(sizesOf(after, stream).at(-1)).toBe(30);
    expect(await faultsOf(dir.path, [...before, ...after])).toEqual([]);
  },
);

test('a history that was sealed again is never signed over; other streams are signed on', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  await commit(ledger, 5, 'acme');
  const first = await startTestStage(dir.path, {
    clock,
    durable: await commit(ledger, 5, 'globex'),
  });
  await first.stage.stop();
  const before = await journalOf(dir.path);
  const [acme = '', globex = ''] = (await leavesOf(dir.path)).keys();

  // Whoever rewrites the ledger also takes away what was remembered of it, but for what was signed.
  await rm(join(dir.path, 'checkpoints', 'position.json'));
  const path = join(dir.path, 'ledger', segmentName(0));
  const lines = (await readFile(path, 'utf8')).split('\n');
  const forged = lines.map((line) => {
    if (!line.includes(acme)) return line;
    return line.replace(/"this_hash":"[0-9a-f]{2}/, '"this_hash":"ee').replace(
      // Links that fit: the chain alone would have to be hashed to tell.
      /"prev_hash":"(?!0{64})[0-9a-f]{2}/,
      '"prev_hash":"ee',
    );
  });
  await writeFile(path, forged.join('\n'));
  const log = createKeptLog();
  const durable = await commit(ledger, 4, 'globex');
  const second = await startTestStage(dir.path, { clock, durable, log });
  await second.stage.stop();
  const after = await journalOf(dir.path);
  expect(second.stage.status()).toMatchObject({ state: 'contradicted' });
  expect(second.stage.status().last_error).toContain(acme);
  expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  expect(sizesOf(after, acme)).toEqual(sizesOf(before, acme).slice(-1));
  expect(sizesOf(after, globex).at(-1)).toBe(10);
});

test('a record that does not follow the one before it is in no tree', async () => {
  await using dir = await makeTempDir();
  await using ledger = await openLedger(dir.path);
  const clock = createFakeClock();
  const durable = await commit(ledger, 6);
  const path = join(dir.path, 'ledger', segmentName(0));
  const lines = (await readFile(path, 'utf8')).split('\n');
  await writeFile(path, lines.toSpliced(4, 1).join('\n'));
  const { stage } = await startTestStage(dir.path, { clock, durable: durable - 1 });
  await stage.stop();
  expect(streamsOf(await journalOf(dir.path))).toEqual([]);
  expect(stage.status()).toMatchObject({ state: 'contradicted' });
  expect(stage.status().last_error).toContain('does not follow the one before it');
});
