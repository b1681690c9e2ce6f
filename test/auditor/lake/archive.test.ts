/** A lake out of an archive alone has the records of the ledger; one that somebody has changed gives none. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { archiveRecords, ledgerRecords } from '../../../auditor/lake/records.ts';
import { archiveTrail, writeTrail } from '../../support/archive.ts';
import { makeTempDir } from '../../support/ledger.ts';
import { archiveClient, archiveConfig } from '../../support/s3.ts';
import { startS3Peer } from '../../support/s3-peer.ts';

test('record by record, in a range as well, and nothing where an object is not what it was', async () => {
  await using temp = await makeTempDir();
  const { records } = await writeTrail(temp.path);
  await using peer = await startS3Peer();
  const writer = { user: 'w', access_key_id: 'key', secret_access_key: 's' };
  const config = archiveConfig({ endpoint: peer.url, writer }, { bucket: 'archive' });
  await archiveTrail(config, temp.path, records);
  using client = archiveClient(config);
  const ever = { since: '', until: '9999-12-31' };
  const fromArchive = async (range: typeof ever): Promise<string[]> => {
    const taken: string[] = [];
    const feed = archiveRecords({ client, trust: null, nowMs: Date.now }, range);
    await feed(({ this_hash }) => void taken.push(this_hash));
    return taken.sort();
  };
  const fromLedger = async (range: typeof ever): Promise<string[]> => {
    const taken: string[] = [];
    for await (const { this_hash } of ledgerRecords(join(temp.path, 'ledger'), range))
      taken.push(this_hash);
    return taken.sort();
  };
  const all = await fromArchive(ever);
  expect(all.length).toBeGreaterThan(300);
  expect(all).toEqual(await fromLedger(ever));
  expect(await fromArchive({ ...ever, since: '9998-01-01' })).toEqual([]);
  const [key] = [...peer.stored.keys()].filter((one) => one.includes('segments/'));
  peer.put(key ?? '', Buffer.from('nothing'));
  await expect(fromArchive(ever)).rejects.toThrow(/the archive is not told to be whole/);
});
