/** The archive's sink waits for the checkpoints of what it archives: by looks, since a process that stood still has not looked. */
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createS3Sink } from '../../../../agent/deliver/sinks/s3.ts';
import { realTiming, type Timing } from '../../../../agent/deliver/timing.ts';
import { restoreArchive } from '../../../../store/archive/restore.ts';
import { silentLog } from '../../../support/append-stage.ts';
import { DELIVERED, writeTrail } from '../../../support/archive.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { archiveClient, archiveConfig } from '../../../support/s3.ts';
import { startS3Peer } from '../../../support/s3-peer.ts';
import { send } from '../../../support/sinks.ts';

test('checkpoints that are signed while the process stands still go along with the records', async () => {
  await using temp = await makeTempDir();
  const { records, trust } = await writeTrail(temp.path);
  const journal = join(temp.path, 'checkpoints', 'journal.ndjson');
  const signed = await readFile(journal, 'utf8');
  writeFileSync(journal, '');
  await using peer = await startS3Peer();
  const writer = { user: 'w', access_key_id: 'key', secret_access_key: 's' };
  const config = archiveConfig({ endpoint: peer.url, writer }, { bucket: 'archive' });
  let nowMs = Date.now();
  const timing: Timing = {
    ...realTiming,
    nowMs: () => nowMs,
    after: (_, run) => {
      nowMs += 60_000;
      writeFileSync(journal, signed);
      const timer = setImmediate(run);
      return () => clearImmediate(timer);
    },
  };
  const sink = createS3Sink(config, { dataDir: temp.path, log: silentLog, timing });
  expect(await send(sink, records)).toEqual(DELIVERED);
  await sink.close();
  using client = archiveClient(config);
  const found = await restoreArchive({ client, trust, target: null, nowMs: Date.now });
  expect(found.verdict).toBe('intact');
  for (const { records: all, checkpointed } of found.streams) expect(checkpointed).toBe(all);
});
