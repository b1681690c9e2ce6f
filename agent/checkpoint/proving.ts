/**
 * Makes the proof of one record out of an agent's data directory, whether or not the agent runs: it reads what
 * is durable and changes nothing. The checkpoint is the newest that the anchor log holds, or, for a record that
 * is too young for that, the newest that was signed.
 */
import { join } from 'node:path';
import { parseCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { splitRecord } from '../../ledger/frame.ts';
import { readBlocksBackward } from '../../ledger/lines.ts';
import { hashLeaf, hashRecordLeaf, type TreeHash } from '../../ledger/merkle/hash.ts';
import { planInclusion, readProof } from '../../ledger/merkle/proof.ts';
import { parseNote } from '../../ledger/note.ts';
import { formatProof, type AnchorProof } from '../../ledger/proof-file.ts';
import { createLedgerReader } from '../../ledger/reader.ts';
import { listSegments, segmentName } from '../../ledger/segment.ts';
import { openTreeFile, type TreeFile } from '../../ledger/tree-file.ts';
import { parseJson } from '../../schemas/canonical.ts';
import type { Chain, SealedEvent } from '../../schemas/record.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { anchorPaths } from './anchor-log.ts';
import { findFirst, findLast, readLeaves, type FoundEntry } from './anchor-search.ts';
import { readEvidence, type AnchoredCheckpoint } from './anchors/evidence-file.ts';
import { proveEntry, type SignedAnchor } from './entry-proof.ts';
import { readJournal, type NewestCheckpoints } from './journal.ts';
import { readPosition, type Position } from './position.ts';
import { treePath } from './streams.ts';

/** What lies in an agent's data directory, read in this order: trees hold what the position names. */
export interface Sources {
  readonly dir: string;
  readonly ledgerDir: string;
  readonly position: Position;
  readonly newest: NewestCheckpoints;
}

/** The checkpoint that a proof is made to. */
export interface Chosen {
  readonly checkpoint: Checkpoint;
  readonly note: string;
  /** Its place in the anchor log, null where it is not there yet. */
  readonly anchor: {
    /** Of the anchor log: the earliest that a quorum of anchors has, else the newest. */
    readonly signed: SignedAnchor;
    readonly index: bigint;
    /** The round's heartbeat. */
    readonly beat: FoundEntry['beat'];
    /** Size up to which its tree has to be grown. */
    readonly size: bigint;
  } | null;
}

const READ = { recordsMax: 1_024, bytesMax: 4 * 1024 * 1024 };

/** The text of the proof; an error says what there is no proof for, or what is missing. Rejects with the system's error. */
export async function proveEvent(
  dataDir: string,
  eventId: string,
): Promise<Result<string, string>> {
  const ledgerDir = join(dataDir, 'ledger');
  const found = await findRecord(ledgerDir, eventId);
  if (found === null) {
    const [first = 0] = listSegments(await nodeFilesystem.list(ledgerDir));
    const rest =
      first === 0 ? '' : `, which begins with record ${first}: earlier ones were removed`;
    return err(`no event ${eventId} is in ${ledgerDir}${rest}`);
  }
  const { stream, seq } = found.chain;
  const read = await readSources(dataDir);
  if (!read.ok) return read;
  const sources = read.value;
  const chosen = await choose(sources, stream, BigInt(seq));
  if (chosen === null)
    return err(`event ${eventId} is under no signed checkpoint yet; ask again in a second`);
  const tree = await openStreamTree(sources, stream, chosen.checkpoint.size);
  if (!tree.ok) return tree;
  const inclusion = await proveLeaf(tree.value, BigInt(seq), chosen.checkpoint.size);
  const anchor = await proveAnchor(sources, stream, chosen);
  if (!anchor.ok) return anchor;
  const proof = { record: found.line, checkpoint: chosen.note, inclusion, anchor: anchor.value };
  return ok(formatProof(proof));
}

/** Reads where the checkpoints are. Rejects with the system's error. */
export async function readSources(dataDir: string): Promise<Result<Sources, string>> {
  const dir = join(dataDir, 'checkpoints');
  // In this order: what the position names is in the trees, and what they hold was read before.
  const position = await readPosition(nodeFilesystem, dir);
  const journal = await readJournal(nodeFilesystem, dir);
  if (!journal.ok) return journal;
  if (position === null) return err(`${dir} holds no checkpoints yet`);
  return ok({ dir, ledgerDir: join(dataDir, 'ledger'), position, newest: journal.value });
}

async function proveLeaf(
  tree: TreeFile,
  index: bigint,
  size: bigint,
): Promise<readonly TreeHash[]> {
  return readProof(planInclusion(index, size) ?? [], tree.read);
}

/** The newest record with this id; an event that was sent twice is in the ledger once a stream. */
async function findRecord(
  ledgerDir: string,
  eventId: string,
): Promise<{ readonly line: string; readonly chain: Chain } | null> {
  for (const first of listSegments(await nodeFilesystem.list(ledgerDir)).reverse()) {
    const file = await nodeFilesystem.openRead(join(ledgerDir, segmentName(first)));
    try {
      for await (const block of readBlocksBackward(file)) {
        for (
          let at = block.lastIndexOf(eventId);
          at !== -1;
          at = block.lastIndexOf(eventId, at - 1)
        ) {
          const start = block.lastIndexOf('\n', at) + 1;
          const line = block.toString('utf8', start, block.indexOf('\n', at));
          const text = splitRecord(line);
          // It may be named by another event.
          const event = text && (parseJson(text.eventText) as unknown as SealedEvent);
          if (event?.event_id === eventId) return { line, chain: event.chain };
          if (at === 0) break;
        }
      }
    } finally {
      await file.close();
    }
  }
  return null;
}

/**
 * A checkpoint in the anchor log that covers the record, of those the first that anchors have, since it bounds the time
 * best; else the newest that was signed; null: none.
 */
export async function choose(
  { dir, position, newest }: Sources,
  stream: string,
  seq: bigint,
): Promise<Chosen | null> {
  const signed = newest.get(stream);
  if (signed === undefined || signed.size <= seq) return null;
  const young = { checkpoint: signed, note: signed.note, anchor: null };
  const [, , incarnation = ''] = stream.split('/');
  const anchored = newest.get(anchorOriginOf(stream));
  if (anchored === undefined || position.anchor?.incarnation !== incarnation) return young;
  const path = anchorPaths(dir, incarnation).entries;
  const question = { stream, seq, size: anchored.size };
  const first = await findFirst(nodeFilesystem, path, question);
  if (first === null) return young;
  const outside = await readEvidence(nodeFilesystem, dir, incarnation, {
    above: first.index,
  });
  const toward = choosePublished(outside) ?? { ...anchored, evidence: [] };
  // Where anchors say when they had it, the newest that they had; else the one whose time the log itself bounds best.
  const entry =
    toward.evidence.length === 0
      ? first
      : await findLast(nodeFilesystem, path, { ...question, size: toward.size });
  if (entry === null) return young;
  const { note, index, beat } = entry;
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  if (checkpoint === null || checkpoint.size <= seq) return young;
  return { checkpoint, note, anchor: { signed: toward, index, beat, size: anchored.size } };
}

/**
 * Of what anchors have that holds the entry: the earliest that a quorum has, since it bounds the time best; where
 * none has, the one that most have.
 */
export function choosePublished(covering: readonly AnchoredCheckpoint[]): SignedAnchor | null {
  const reached = covering.find(({ evidence, quorum }) => evidence.length >= quorum);
  const most = [...covering].sort((one, other) => other.evidence.length - one.evidence.length);
  return reached ?? most[0] ?? null;
}

/** Origin of the anchor log that a stream's checkpoints go into. */
function anchorOriginOf(stream: string): string {
  return stream.split('/').slice(0, 3).join('/');
}

/** The stream's tree with at least `size` leaves: what is saved, and the rest from the ledger. */
export async function openStreamTree(
  { dir, ledgerDir, position }: Sources,
  stream: string,
  size: bigint,
): Promise<Result<TreeFile, string>> {
  const saved = position.streams.find(({ origin }) => origin === stream)?.size ?? 0n;
  const path = treePath(dir, stream);
  const tree = await openTreeFile({ filesystem: nodeFilesystem, path, size: saved });
  if (!tree.ok) return tree;
  const reader = createLedgerReader({ dir: ledgerDir, from: position.next });
  try {
    while (tree.value.size() < size) {
      const read = await reader.read({ ...READ, upTo: Number.MAX_SAFE_INTEGER });
      if (!read.ok)
        return err(`the ledger ends before seq ${size} of ${stream}: ${read.error.message}`);
      for (const { eventText, this_hash } of read.value) {
        const { chain } = parseJson(eventText) as unknown as SealedEvent;
        if (chain.stream === stream && tree.value.size() < size)
          tree.value.append(hashRecordLeaf(this_hash));
      }
    }
  } finally {
    await reader.close();
  }
  return tree;
}

async function proveAnchor(
  { dir, position }: Sources,
  stream: string,
  { anchor }: Chosen,
): Promise<Result<AnchorProof | null, string>> {
  if (anchor === null || position.anchor === null) return ok(null);
  const { incarnation, size } = position.anchor;
  const paths = anchorPaths(dir, incarnation);
  const tree = await openTreeFile({ filesystem: nodeFilesystem, path: paths.tree, size });
  if (!tree.ok) return tree;
  const late = { from: size, to: anchor.size };
  for (const leaf of await readLeaves(nodeFilesystem, paths.entries, late))
    tree.value.append(hashLeaf(Buffer.from(leaf)));
  const { signed } = anchor;
  const proveLeafOf = (leaf: bigint): ReturnType<typeof proveLeaf> =>
    proveLeaf(tree.value, leaf, signed.size);
  return ok(
    await proveEntry({
      ...{ dir, entries: paths.entries, stream, entry: anchor, signed },
      proveLeaf: proveLeafOf,
    }),
  );
}
