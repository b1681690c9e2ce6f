/** Which checkpoint a proof is made to, and how far a purge may go, in an anchor log of many rounds. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createEvidenceFile } from '../../../agent/checkpoint/anchors/evidence-file.ts';
import { choose, readSources } from '../../../agent/checkpoint/proving.ts';
import { signedSizes } from '../../../agent/checkpoint/purge-proof.ts';
import type { AnchorEvidence } from '../../../ledger/anchor-evidence.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { createFakeClock, journalOf, startTestStage } from '../../support/checkpoints.ts';
import { makeEvent } from '../../support/events.ts';
import { makeTempDir, openTestLedger } from '../../support/ledger.ts';

const copy = (anchor: string): AnchorEvidence => ({
  kind: 'copy',
  anchor,
  time: '2026-03-01T00:00:00.000Z',
  place: anchor,
});

test('a proof takes the earliest checkpoint that a quorum has, and a purge may go as far as the newest', async () => {
  await using dir = await makeTempDir();
  await mkdir(join(dir.path, 'checkpoints'));
  const ledger = await openTestLedger(join(dir.path, 'ledger'));
  const clock = createFakeClock();
  const { stage } = await startTestStage(dir.path, { clock, durable: 0 });
  await stage.settled();
  const evidence = createEvidenceFile(nodeFilesystem, join(dir.path, 'checkpoints'));
  const origins: { readonly size: bigint; readonly stream: bigint }[] = [];
  for (let round = 0; round < 6; round += 1) {
    const sealed = await ledger.commit(Array.from({ length: 10 }, () => makeEvent()));
    if (typeof sealed === 'string') throw new Error(sealed);
    stage.notifyDurable(ledger.recovered.state.records);
    clock.advance(60_000);
    await stage.settled();
    const signed = await journalOf(dir.path);
    const log = signed.findLast(({ origin }) => origin.split('/').length === 3);
    const stream = signed.findLast(({ origin }) => origin.split('/').length > 3);
    if (log === undefined || stream === undefined) throw new Error('nothing is signed');
    origins.push({ size: log.size, stream: stream.size });
    const publication = {
      checkpoint: log,
      note: log.note,
      proveConsistency: () => Promise.resolve([]),
      rootAt: () => Promise.resolve(log.root),
    };
    // The first round is with one anchor of two; the second with both, and so is the fourth.
    if (round <= 3) await evidence.keep(publication, copy('one'), 2);
    if (round === 1 || round === 3) await evidence.keep(publication, copy('two'), 2);
  }
  await stage.stop();
  await ledger.writer.close();
  const stream = (await journalOf(dir.path)).find(({ origin }) => origin.split('/').length > 3);
  if (stream === undefined) throw new Error('no stream');
  const read = await readSources(dir.path);
  if (!read.ok) throw new Error(read.error);
  const chosenOf = async (seq: bigint) => {
    const chosen = await choose(read.value, stream.origin, seq);
    return chosen && [chosen.checkpoint.size, chosen.anchor?.signed.size];
  };
  const [first, second, third, fourth] = origins;
  const [of0, of2] = [await chosenOf(0n), await chosenOf((second?.stream ?? 0n) + 1n)];
  expect(of0).toEqual([second?.stream, second?.size]);
  expect(of2).toEqual([fourth?.stream, fourth?.size]);
  expect(first?.size).toBeLessThan(third?.size ?? 0n);
  const sizes = await signedSizes(read.value, stream.origin, 0);
  expect(sizes.anchored).toBe(Number(origins.at(-1)?.stream));
  expect(sizes.signed).toBe(sizes.anchored);
});
