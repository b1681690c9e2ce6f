/**
 * Makes the proof that a checkpoint of a stream is in the anchor log of its agent, and what anchors gave for that log, out of
 * a folder of checkpoints: of any incarnation, and without the ledger.
 */
import { join } from 'node:path';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { planInclusion, readProof } from '../../ledger/merkle/proof.ts';
import type { AnchorProof } from '../../ledger/proof-file.ts';
import { anchorPaths, readAnchorTree } from './anchor-log.ts';
import { findFirst } from './anchor-search.ts';
import { readEvidence } from './anchors/evidence-file.ts';
import { proveEntry, type SignedAnchor } from './entry-proof.ts';
import { readJournal } from './journal.ts';
import { readPosition } from './position.ts';
import { choosePublished } from './proving.ts';

/** Null: no checkpoint of that size is in the log, or the folder lacks what it takes. Rejects with the system's error. */
export async function proveAnchored(
  dir: string,
  stream: string,
  size: bigint,
): Promise<AnchorProof | null> {
  const [agent = '', name = '', incarnation = ''] = stream.split('/');
  const { entries } = anchorPaths(dir, incarnation);
  for (const path of [entries, join(dir, 'blinding.key')])
    if (!(await nodeFilesystem.exists(path))) return null;
  const question = { stream, seq: size - 1n, size: BigInt(Number.MAX_SAFE_INTEGER) };
  const entry = await findFirst(nodeFilesystem, entries, question);
  if (entry === null || entry.note.split('\n')[1] !== String(size)) return null;
  const { index } = entry;
  if (entry.beat.index < 0n) return null;
  const published = await readEvidence(nodeFilesystem, dir, incarnation, { above: index });
  const signed =
    choosePublished(published) ?? (await readNewest(dir, `${agent}/${name}/${incarnation}`));
  if (signed === null || signed.size <= index) return null;
  // First the position: what it names is in the files.
  const { anchor: position = null } = (await readPosition(nodeFilesystem, dir)) ?? {};
  const log = { dir, filesystem: nodeFilesystem, incarnation, position };
  const tree = await readAnchorTree(log);
  if (!tree.ok || tree.value.size() < signed.size) return null;
  const { read } = tree.value;
  return proveEntry({
    ...{ dir, entries, stream, entry, signed },
    proveLeaf: (leaf) => readProof(planInclusion(leaf, signed.size) ?? [], read),
  });
}

/** The newest checkpoint of an anchor log that the agent itself has. */
async function readNewest(dir: string, origin: string): Promise<SignedAnchor | null> {
  const journal = await readJournal(nodeFilesystem, dir);
  const newest = journal.ok ? journal.value.get(origin) : undefined;
  return newest === undefined ? null : { size: newest.size, note: newest.note, evidence: [] };
}
