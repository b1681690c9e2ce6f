/** A ledger in which somebody has put what is no segment: the verifier ends all the same, soon, and says where. */
import { execFileSync } from 'node:child_process';
import { appendFile, rm, symlink, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { recoverLedger } from '../../../ledger/recovery.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { segmentName } from '../../../ledger/segment.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { makeEvent } from '../../support/events.ts';
import { makeTempDir, openTestLedger } from '../../support/ledger.ts';

const MIB = 1024 * 1024;

/** Two segments of one stream. */
async function fill(dir: string): Promise<readonly string[]> {
  const ledger = await openTestLedger(dir);
  await ledger.commit([makeEvent(), makeEvent()]);
  await ledger.cut();
  const second = ledger.writer.position().records;
  await ledger.commit([makeEvent()]);
  await ledger.writer.close();
  expect(await verifyLedger(dir)).toMatchObject({ verdict: 'intact', records: 4 });
  return [0, second].map((first) => join(dir, segmentName(first)));
}

test.each<[string, (path: string) => unknown]>([
  ['a pipe', (path) => execFileSync('mkfifo', [path])],
  ['a link to what has no end', (path) => symlink('/dev/zero', path)],
])('%s in the place of a segment is not waited for', async (_, put) => {
  await using temp = await makeTempDir();
  const [first = ''] = await fill(temp.path);
  await rm(first);
  await put(first);
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'broken' });
  const recovered = await recoverLedger({
    dir: temp.path,
    filesystem: nodeFilesystem,
    batchBytesMax: MIB,
  });
  expect(recovered.ok).toBe(false);
});

/** A ledger whose first segment ends in a line of this size. */
async function fillWithLine(dir: string, bytes: number): Promise<void> {
  const [first = ''] = await fill(dir);
  // A hole on the disk, which reads as zeros.
  await truncate(first, bytes);
  await appendFile(first, '\n');
}

test('a line without an end costs no memory, is named, and leaves proven what stands before it', async () => {
  await using temp = await makeTempDir();
  await fillWithLine(temp.path, 150 * MIB);
  // What any long line takes, such as buffers, is taken by then.
  await using other = await makeTempDir();
  await fillWithLine(other.path, 20 * MIB);
  expect(await verifyLedger(other.path)).toMatchObject({ verdict: 'broken' });
  const before = process.memoryUsage().rss;
  let most = before;
  const found = await verifyLedger(temp.path, {
    onProgress: () => (most = Math.max(most, process.memoryUsage().rss)),
  });
  most = Math.max(most, process.memoryUsage().rss);
  expect(found).toMatchObject({ verdict: 'broken' });
  expect(found.findings[0]).toMatchObject({
    kind: 'malformed',
    segment: segmentName(0),
    line: 4,
  });
  expect(found.streams[0]?.verified_to).toBe(3);
  expect((most - before) / MIB).toBeLessThan(100);
});
