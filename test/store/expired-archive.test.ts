/** An archive whose oldest objects went when their retention ended: a purge explains that, and nothing else does. */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import { createRange, type CompactRange } from '../../ledger/merkle/range.ts';
import { signNote } from '../../ledger/note.ts';
import { describePurge, digestKept, PURGE_ACTION } from '../../ledger/purge-record.ts';
import { createLogSigner, publicBytesOf, signWithKey } from '../../ledger/signing.ts';
import { parseTrust } from '../../ledger/trust.ts';
import type { NumberedRecord } from '../../store/archive/writer.ts';
import { createArchiveWriter } from '../../store/archive/writer.ts';
import type { Restoration } from '../../store/archive/restoration.ts';
import { restoreArchive } from '../../store/archive/restore.ts';
import type { StoredRecord } from '../../store/store.ts';
import { archiveClient, archiveConfig } from '../support/s3.ts';
import { startS3Peer, type S3Peer } from '../support/s3-peer.ts';
import { createSealer } from './sealed.ts';

const key = generateKeyPairSync('ed25519').privateKey;
const signer = createLogSigner('sealtrail/host-1', publicBytesOf(key), signWithKey(key));
const BATCH = 64;
const SIZE = 256;

function rangeOf(records: readonly StoredRecord[]): CompactRange {
  const range = createRange();
  for (const { this_hash } of records) range.append(hashRecordLeaf(this_hash));
  return range.range();
}

const sign = (origin: string, records: readonly StoredRecord[]): Promise<string> =>
  signNote(
    formatCheckpoint({
      origin,
      size: BigInt(records.length),
      root: createRange(rangeOf(records)).root(),
    }),
    [signer],
  );

/** Archives a stream of 400 records and the next incarnation's, which ends with the record of a purge, if there is one. */
async function archive(peer: S3Peer, purgeOf: 'all' | 'another root' | null): Promise<void> {
  const stream = createSealer('sealtrail/host-1/01INC/t1/standard');
  const own = createSealer('sealtrail/host-1/02INC/t1/standard');
  const records = Array.from({ length: 400 }, () => stream.seal());
  const genesis = own.seal({ action: 'ledger.genesis' });
  const shown = purgeOf === 'another root' ? [...records].reverse() : records;
  const head = records[SIZE - 1]?.this_hash ?? '';
  const purge = own.seal({
    action: PURGE_ACTION,
    metadata: describePurge(
      {
        ...{ stream: stream.stream, size: SIZE, base: SIZE, kept: 0 },
        ...{ head_hash: head, base_hash: head, kept_sha256: digestKept([]) },
      },
      {
        range: rangeOf(shown.slice(0, SIZE)),
        base_range: rangeOf(shown.slice(0, SIZE)),
        checkpoint: await sign(stream.stream, records),
      },
    ),
  });
  const owns = purgeOf === null ? [genesis] : [genesis, purge];
  const all = [genesis, ...records, ...owns.slice(1)].map((record, number) => ({
    ...record,
    number,
  }));
  const config = configOf(peer);
  using client = archiveClient(config);
  const writer = createArchiveWriter({
    client,
    lock: config,
    retainDays: config.retain_days,
    nowMs: Date.now,
    checkpointsOf: (streams) =>
      Promise.all(
        streams.map(({ stream: name, to }) =>
          sign(name, (name === stream.stream ? records : owns).slice(0, to)),
        ),
      ),
  });
  for (let from = 0; from < all.length; from += BATCH)
    await writer.archive(all.slice(from, from + BATCH) as readonly NumberedRecord[]);
}

const configOf = (peer: S3Peer): ReturnType<typeof archiveConfig> =>
  archiveConfig(
    { endpoint: peer.url, writer: { user: 'w', access_key_id: 'key', secret_access_key: 's' } },
    { bucket: 'archive' },
  );

/** Takes away what begins below a record: with its manifest, or without. The first holds what ends later. */
function expire(peer: S3Peer, below: number, folders: readonly string[]): void {
  for (const name of peer.stored.keys()) {
    const [, first = ''] = /\/(\d{20})-/.exec(name) ?? [];
    const isGone =
      folders.some((folder) => name.includes(`/${folder}/`)) && !name.includes('/02INC/');
    const isKept = name.includes('/manifests/') && Number(first) === 0;
    if (isGone && !isKept && Number(first) < below) peer.put(name, null);
  }
}

async function judge(peer: S3Peer): Promise<Restoration> {
  const trust = parseTrust(signer.vkey);
  if (!trust.ok) throw new Error(trust.error);
  using client = archiveClient(configOf(peer));
  // Long after: what was locked is over.
  const nowMs = (): number => Date.now() + 9_999 * 86_400_000;
  return await restoreArchive({ client, trust: trust.value, target: null, nowMs });
}

test('what expired under a purge is told as that, and the rest is proven to the roots that were signed', async () => {
  await using peer = await startS3Peer();
  await archive(peer, 'all');
  expect(await judge(peer)).toMatchObject({ verdict: 'intact', records: 402, notes: [] });
  // In the middle of what the purge took, as objects end where they end; their manifests stay a while, or do not.
  for (const [below, folders] of [
    [129, ['segments']],
    [193, ['segments', 'manifests']],
  ] as const) {
    expire(peer, below, folders);
    const found = await judge(peer);
    expect(found.findings, `below ${below}`).toEqual([]);
    expect(found.verdict).toBe('intact');
    expect(found.notes.join('\n')).toMatch(
      /t1\/standard: records 0 to \d+ expired under purge, record 1 of sealtrail\/host-1\/02INC\/t1\/standard/,
    );
    for (const { records, checkpointed } of found.streams) expect(checkpointed).toBe(records);
  }
  // Beyond what the purge took: that was somebody else.
  expire(peer, 321, ['segments', 'manifests']);
  const beyond = await judge(peer);
  expect(beyond.verdict).toBe('broken');
  expect(beyond.findings.map(({ kind }) => kind)).toContain('deleted');
});

test('without a purge, or with one whose hashes are others, what is missing was deleted', async () => {
  await using none = await startS3Peer();
  await archive(none, null);
  expire(none, 193, ['segments', 'manifests']);
  const found = await judge(none);
  expect(found.findings.map(({ kind }) => kind)).toEqual(['deleted']);
  await using forged = await startS3Peer();
  await archive(forged, 'another root');
  expire(forged, 193, ['segments', 'manifests']);
  const judged = await judge(forged);
  expect(judged.verdict).toBe('broken');
  expect(judged.findings.map(({ kind }) => kind)).toEqual(['root_differs']);
});
