/** An archive whose oldest objects went when their retention ended: a purge explains that, and nothing else does. */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import { createRange, type CompactRange } from '../../ledger/merkle/range.ts';
import { signNote } from '../../ledger/note.ts';
import { describePurge, digestKept, PURGE_ACTION } from '../../ledger/purge-record.ts';
import {
  createLogSigner,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../../ledger/signing.ts';
import { parseTrust, type Trust } from '../../ledger/trust.ts';
import type { NumberedRecord } from '../../store/archive/writer.ts';
import { createArchiveWriter } from '../../store/archive/writer.ts';
import type { Restoration, RestoreTarget } from '../../store/archive/restoration.ts';
import { restoreArchive } from '../../store/archive/restore.ts';
import { createFolderTarget, createStoreTarget } from '../../store/archive/restore-targets.ts';
import type { StoredRecord } from '../../store/store.ts';
import { verifyStore } from '../../store/verify-store.ts';
import { makeMemoryDir } from '../support/ledger.ts';
import { startPostgres } from '../support/postgres.ts';
import { archiveClient, archiveConfig } from '../support/s3.ts';
import { startS3Peer, type S3Peer } from '../support/s3-peer.ts';
import { createSealer } from './sealed.ts';

function createSigner(): NoteSigner {
  const key = generateKeyPairSync('ed25519').privateKey;
  return createLogSigner('sealtrail/host-1', publicBytesOf(key), signWithKey(key));
}

const signer = createSigner();
const next = createSigner();
/** Who has signed so many records of a stream. */
type SignersOf = (origin: string, size: number) => readonly NoteSigner[];
const BATCH = 64;
const SIZE = 256;
/** As many as the checkpoint covers that the purge carries. */
const SIGNED = 300;

function rangeOf(records: readonly StoredRecord[]): CompactRange {
  const range = createRange();
  for (const { this_hash } of records) range.append(hashRecordLeaf(this_hash));
  return range.range();
}

const sign = (
  origin: string,
  records: readonly StoredRecord[],
  signersOf: SignersOf,
): Promise<string> =>
  signNote(
    formatCheckpoint({
      origin,
      size: BigInt(records.length),
      root: createRange(rangeOf(records)).root(),
    }),
    signersOf(origin, records.length),
  );

/** Archives a stream of 400 records and the next incarnation's, which ends with the record of a purge, if there is one. */
async function archive(
  peer: S3Peer,
  purgeOf: 'all' | 'another root' | null,
  signersOf: SignersOf = () => [signer],
): Promise<void> {
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
        checkpoint: await sign(stream.stream, records.slice(0, SIGNED), signersOf),
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
          sign(name, (name === stream.stream ? records : owns).slice(0, to), signersOf),
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

async function judge(
  peer: S3Peer,
  keys = signer.vkey,
  revoked: Trust['revoked'] = [],
  target: RestoreTarget | null = null,
): Promise<Restoration> {
  const read = parseTrust(keys);
  if (!read.ok) throw new Error(read.error);
  const trust = { ...read.value, revoked };
  using client = archiveClient(configOf(peer));
  // Long after: what was locked is over.
  const nowMs = (): number => Date.now() + 9_999 * 86_400_000;
  return await restoreArchive({ client, trust, target, nowMs });
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

test('a key that was replaced, and then revoked, breaks no archive that the next one has signed to its end', async () => {
  // The first key signed the beginning, the purge among it; the archive keeps that.
  await using peer = await startS3Peer();
  await archive(peer, 'all', (origin, size) =>
    size <= (origin.includes('/02INC/') ? 1 : SIGNED) ? [signer] : [next],
  );
  const windows = ['01INC', '02INC'].flatMap((incarnation, at) => {
    const origin = `sealtrail/host-1/${incarnation}/t1/standard`;
    const size = [SIGNED, 1][at]! + 1;
    return [`${signer.vkey} ${origin} 0 ${size}`, `${next.vkey} ${origin} ${size} -`];
  });
  const revoked = [{ vkey: signer.vkey, time: '2026-01-01T00:00:00.000Z', reason: 'stolen' }];
  const all = windows.join('\n');
  const left = windows.filter((line) => line.startsWith(next.vkey)).join('\n');
  const expired = async (): Promise<void> => {
    expect(await judge(peer, all)).toMatchObject({ verdict: 'intact', findings: [] });
    // `keys list` leaves it out; a keys note names it.
    for (const found of [await judge(peer, left), await judge(peer, all, revoked)]) {
      expect(found).toMatchObject({ verdict: 'intact', findings: [] });
      expect(found.notes.join()).toContain('signed by no key that is trusted');
    }
  };
  await expired();
  expire(peer, 193, ['segments', 'manifests']);
  await expired();
  // Of a key that has signed none of it nobody can tell, and nothing is broken.
  expect(await judge(peer, createSigner().vkey)).toMatchObject({
    verdict: 'cannot_tell',
    findings: [],
  });
});

test('what the purge took is put back into no store, where its objects have not expired: it would have more than the record of the purge says', async () => {
  await using peer = await startS3Peer();
  await archive(peer, 'all');
  // In the middle of a tile, from which no record of a purge lets a stream begin.
  expire(peer, 129, ['segments', 'manifests']);
  const server = await startPostgres();
  try {
    const urls = { url: server.url('writer'), ownerUrl: server.url('owner') };
    const restored = await judge(peer, signer.vkey, [], createStoreTarget(urls));
    expect(restored).toMatchObject({ verdict: 'intact', findings: [] });
    expect(restored.notes.join()).toMatch(/records 1\d\d to 255 have not expired yet/);
    const verified = await verifyStore({ url: server.url('auditor') });
    expect(verified).toMatchObject({ verdict: 'intact', findings: [], records: 400 - SIZE + 2 });
  } finally {
    await server.stop();
  }
  // A folder is for whoever wants to read what there is.
  await using dir = await makeMemoryDir();
  const folder = createFolderTarget(nodeFilesystem, dir.path);
  const { records, restored } = await judge(peer, signer.vkey, [], folder);
  expect(restored).toBe(records);
});
