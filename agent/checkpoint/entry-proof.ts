/** The proof that an entry is in an anchor log, with the heartbeats around it, as proofs and bundles carry it. */
import { join } from 'node:path';
import type { AnchorEvidence } from '../../ledger/anchor-evidence.ts';
import { streamKey } from '../../ledger/anchor-leaf.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import type { AnchorProof, Heartbeat } from '../../ledger/proof-file.ts';
import { findBeatBehind, type FoundEntry } from './anchor-search.ts';

/** A checkpoint of an anchor log, and what anchors gave for it. */
export interface SignedAnchor {
  readonly size: bigint;
  readonly note: string;
  readonly evidence: readonly AnchorEvidence[];
}

export interface EntrySource {
  /** The folder of checkpoints, and the entries of the incarnation's log. */
  readonly dir: string;
  readonly entries: string;
  readonly stream: string;
  readonly entry: Pick<FoundEntry, 'index' | 'beat'>;
  /** Of the log: it covers the entry. */
  readonly signed: SignedAnchor;
  /** The nodes that lead from a leaf to that checkpoint's root. */
  readonly proveLeaf: (leaf: bigint) => Promise<AnchorProof['inclusion']>;
}

/** Proves an entry. Rejects with the system's error. */
export async function proveEntry(source: EntrySource): Promise<AnchorProof> {
  const { dir, entries, stream, signed, proveLeaf } = source;
  const { index, beat } = source.entry;
  const secret = await nodeFilesystem.readFile(join(dir, 'blinding.key'));
  const key = streamKey(Buffer.from(secret.toString('utf8').trim(), 'hex'), stream);
  const later = await findBeatBehind(nodeFilesystem, entries, { index, size: signed.size });
  const proveBeat = async (of: FoundEntry['beat']): Promise<Heartbeat> => ({
    ...of,
    inclusion: await proveLeaf(of.index),
  });
  return {
    stream_key: key.toString('hex'),
    index,
    inclusion: await proveLeaf(index),
    checkpoint: signed.note,
    heartbeat: await proveBeat(beat),
    later: later && (await proveBeat(later)),
    evidence: signed.evidence,
  };
}
