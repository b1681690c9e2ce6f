/**
 * The way of one record to the root of a signed tree, step by step, out of a proof file (RFC 9162, 2.1.3.2): what
 * verifyInclusion does, with each step kept to be drawn. Pure.
 */
import type { RecordOfRow } from '../answer.ts';
import { parseCheckpoint } from '../../ledger/checkpoint.ts';
import { splitRecord } from '../../ledger/frame.ts';
import { hashNode, hashRecordLeaf, type TreeHash } from '../../ledger/merkle/hash.ts';
import { verifyInclusion } from '../../ledger/merkle/verify-proof.ts';
import { parseNote } from '../../ledger/note.ts';
import { parseProof, verifyProof } from '../../ledger/proof-file.ts';
import type { Trust } from '../../ledger/trust.ts';
import { memberOf, readJson } from '../../schemas/untrusted-json.ts';

export interface Step {
  /** On which side of ours the other hash stands. */
  readonly side: 'left' | 'right';
  /** Hexadecimal. */
  readonly sibling: string;
  readonly hash: string;
}

export interface ProofPath {
  readonly kind: 'path';
  readonly leaf: string;
  readonly steps: readonly Step[];
  readonly root: string;
  readonly origin: string;
  readonly size: string;
  readonly index: number;
  /** proven: a trusted key has signed the root that the steps lead to; reached: nobody was named to trust. */
  /** What was sealed, by the ledger, where the store has something else; else null. */
  readonly sealed: string | null;
  readonly verdict: 'proven' | 'reached' | 'broken' | 'cannot_tell';
  readonly sentence: string;
}

export type ProofView = ProofPath | { readonly kind: 'none'; readonly sentence: string };

const ELSEWHERE =
  'The agent’s files prove this event at another place than the store has it: it was recorded twice, or moved. Ask the operator of the agent.';

/** Reads a proof for a record of the store; `trust` null: signatures are not judged. */
export function readProofPath(text: string, record: RecordOfRow, trust: Trust | null): ProofView {
  const proof = parseProof(text);
  const proved = proof === null ? null : splitRecord(proof.record);
  const note = proof === null ? null : parseNote(proof.checkpoint);
  const checkpoint = note?.ok === true ? parseCheckpoint(note.value.text) : null;
  if (proof === null || proved === null || checkpoint === null)
    return { kind: 'none', sentence: 'The proof that the agent’s files gave cannot be read.' };
  const { inclusion } = proof;
  const { size, root, origin } = checkpoint;
  const index = BigInt(record.seq);
  const leaf = hashRecordLeaf(proved.this_hash);
  const path = {
    kind: 'path',
    leaf: hex(leaf),
    steps: stepsOf(index, size, leaf, inclusion),
    root: hex(root),
    ...{ origin, size: String(size), index: record.seq },
  } as const;
  const isSame = proved.eventText === record.event_bytes && proved.this_hash === record.this_hash;
  const says = (verdict: ProofPath['verdict'], sentence: string): ProofPath => ({
    ...path,
    sealed: isSame ? null : proved.eventText,
    verdict,
    sentence,
  });
  const chain = memberOf(readJson(proved.eventText), 'chain');
  if (memberOf(chain, 'stream') !== record.stream || memberOf(chain, 'seq') !== record.seq)
    return { kind: 'none', sentence: ELSEWHERE };
  if (!verifyInclusion({ index, size, root, leaf, proof: inclusion }))
    return says('broken', 'The steps do not lead to the root of the checkpoint.');
  if (!isSame)
    return says(
      'broken',
      'What stands above is not what was sealed: the agent’s ledger has another text for this record, and it is that one which the steps lead from.',
    );
  if (trust === null)
    return says(
      'reached',
      'The steps lead to the root of the checkpoint. Whose signature is below it was not judged: no keys were named to trust.',
    );
  const judged = verifyProof(text, trust);
  if (judged.ok)
    return says(
      'proven',
      'The record is in the stream, unchanged, at this place: the steps lead to a root that a trusted key has signed.',
    );
  const { kind, message } = judged.error;
  return says(kind === 'invalid' ? 'broken' : 'cannot_tell', `${message}.`);
}

function stepsOf(index: bigint, size: bigint, leaf: TreeHash, proof: readonly TreeHash[]): Step[] {
  let at = index;
  let last = size - 1n;
  let hash = leaf;
  return proof.map((sibling) => {
    const isRight = (at & 1n) === 1n || at === last;
    hash = isRight ? hashNode(sibling, hash) : hashNode(hash, sibling);
    // At the right edge the levels without a sibling take nothing from the proof.
    while (isRight && (at & 1n) === 0n && at !== 0n) {
      at >>= 1n;
      last >>= 1n;
    }
    at >>= 1n;
    last >>= 1n;
    return { side: isRight ? 'left' : 'right', sibling: hex(sibling), hash: hex(hash) };
  });
}

function hex(hash: TreeHash): string {
  return Buffer.from(hash).toString('hex');
}
