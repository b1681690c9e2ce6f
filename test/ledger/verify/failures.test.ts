/** What becomes of a verification when the disk or a thread fails in the middle of it. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeFilesystem, type Filesystem } from '../../../ledger/filesystem.ts';
import { segmentName } from '../../../ledger/segment.ts';
import { startThreads } from '../../../ledger/verify/threads.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { makeEvent } from '../../support/events.ts';
import { makeTempDir, openTestLedger } from '../../support/ledger.ts';

test('a segment that cannot be read leaves "cannot tell"; what was found before stays found', async () => {
  await using temp = await makeTempDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent({ metadata: { amount: 4 } })]);
  await ledger.cut();
  const second = segmentName(ledger.writer.position().records);
  await ledger.commit([makeEvent()]);
  await ledger.writer.close();
  const filesystem: Filesystem = {
    ...nodeFilesystem,
    openRead: async (path) => {
      const file = await nodeFilesystem.openRead(path);
      const fail = (): Promise<never> => Promise.reject(new Error('EIO: i/o error, read'));
      return path.endsWith(second) ? { ...file, read: fail } : file;
    },
  };
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact' });
  const whole = await verifyLedger(temp.path, { filesystem });
  expect(whole).toMatchObject({ verdict: 'cannot_tell', findings: [] });
  expect(whole.notes.join()).toContain('EIO');

  const first = join(temp.path, segmentName(0));
  const text = await readFile(first, 'utf8');
  await writeFile(first, text.replace('"amount":4', '"amount":9'));
  const broken = await verifyLedger(temp.path, { filesystem });
  expect(broken).toMatchObject({ verdict: 'broken', findings: [{ kind: 'modified' }] });
});

test('a thread of the verifier that ends is told to whoever waits for it, and to whoever asks it later', async () => {
  const ends = new URL(
    `data:text/javascript,${encodeURIComponent(
      "import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => process.exit(1));",
    )}`,
  );
  const threads = startThreads(1, ends, null);
  await expect(threads.run('task')).rejects.toThrow('has ended');
  await expect(threads.run('another')).rejects.toThrow('has ended');
  await threads.close();
});
