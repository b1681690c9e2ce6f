/** Segments taken off the front of a ledger by root without the key: what excuses them has to be signed, as all else. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Verification } from '../../ledger/examination.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { readFront, REMOVAL_ACTION } from '../../ledger/front.ts';
import { listSegments, segmentName } from '../../ledger/segment.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import { createFakeClock, startTestStage } from '../support/checkpoints.ts';
import { makeEvent } from '../support/events.ts';
import { makeMemoryDir, openTestLedger } from '../support/ledger.ts';
import { knownOf, RECORDS, writeTrail, type Trail } from './trail.ts';

let temp: Awaited<ReturnType<typeof makeMemoryDir>>;
let trail: Trail;
beforeEach(async () => {
  temp = await makeMemoryDir();
  trail = await writeTrail(temp.path, { segments: 3 });
  expect(await verify()).toMatchObject({ verdict: 'intact', segments: 3, findings: [] });
});
afterEach(() => temp[Symbol.asyncDispose]());

async function verify(): Promise<Verification> {
  return verifyLedger(temp.path, { known: await knownOf(temp.path) });
}

/** As retention does: the record first, then the oldest segment goes. */
async function removeFirst(): Promise<void> {
  const dir = join(temp.path, 'ledger');
  const [first = 0, next = 0] = listSegments(await readdir(dir));
  const front = await readFront(nodeFilesystem, dir, next);
  const ledger = await openTestLedger(dir);
  const { event } = makeEvent();
  const removed = makeEvent({
    event_id: ulid(),
    event: { ...event, action: REMOVAL_ACTION },
    metadata: { next, state_sha256: front?.sha256 ?? '' },
  });
  expect(await ledger.commit([removed])).toMatchObject([{ stream: trail.stream }]);
  await ledger.writer.close();
  await rm(join(dir, segmentName(first)));
}

/** The agent signs what is there. */
async function sign(): Promise<void> {
  const { stage } = await startTestStage(temp.path, {
    clock: createFakeClock(),
    durable: RECORDS + 2,
  });
  await stage.stop();
}

test('a record of the removal that no key has signed excuses nothing', async () => {
  await removeFirst();
  const made = await verify();
  expect(made).toMatchObject({ verdict: 'cannot_tell', findings: [] });
  expect(made.notes.at(-1)).toContain(`rests on record ${RECORDS + 1} of ${trail.stream}`);
  // Without keys the record's own word is all there is.
  const known = await knownOf(temp.path, { trust: null });
  expect(await verifyLedger(temp.path, { known })).toMatchObject({ verdict: 'intact' });
});

test('one that the agent has signed does', async () => {
  await removeFirst();
  await sign();
  const made = await verify();
  expect(made).toMatchObject({ verdict: 'intact', segments: 2, findings: [] });
  expect(made.notes.join()).toContain('earlier segments were removed, as the ledger itself');
});
