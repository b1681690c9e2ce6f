/**
 * The request by which a log asks a witness to cosign a checkpoint (C2SP tlog-witness, add-checkpoint):
 *
 *   old <size, decimal>
 *   <base64 of a hash of the consistency proof>      0 to 63 lines
 *   <empty line>
 *   <the signed checkpoint>
 *
 * Pure.
 */
import { decodeBase64 } from './base64.ts';
import { HASH_BYTES, type TreeHash } from './merkle/hash.ts';

export interface WitnessRequest {
  /** Size of the checkpoint that the witness has cosigned last; 0: none. */
  readonly oldSize: bigint;
  /** From the old size to that of the checkpoint. */
  readonly proof: readonly TreeHash[];
  readonly note: string;
}

/** Path of the call below a witness's submission prefix. */
export const ADD_CHECKPOINT_PATH = '/add-checkpoint';
/** Media type of the size in the answer 409. */
export const SIZE_TYPE = 'text/x.tlog.size';

const PROOF_LINES_MAX = 63;
const OLD = /^old (0|[1-9][0-9]{0,19})$/;
const SIZE = /^(0|[1-9][0-9]{0,19})\n$/;

/** Writes the body. */
export function formatWitnessRequest({ oldSize, proof, note }: WitnessRequest): string {
  const lines = proof.map((hash) => `${Buffer.from(hash).toString('base64')}\n`);
  return `old ${oldSize}\n${lines.join('')}\n${note}`;
}

/** Reads a body; null when it has another form. Says nothing of the checkpoint. */
export function parseWitnessRequest(body: string): WitnessRequest | null {
  const split = body.indexOf('\n\n');
  const [first = '', ...lines] = body.slice(0, Math.max(0, split)).split('\n');
  const [, oldSize] = OLD.exec(first) ?? [];
  if (oldSize === undefined || lines.length > PROOF_LINES_MAX) return null;
  const proof = lines.map(decodeBase64).filter((hash) => hash?.length === HASH_BYTES);
  if (proof.length < lines.length) return null;
  return {
    oldSize: BigInt(oldSize),
    proof: proof.filter((hash) => hash !== null),
    note: body.slice(split + 2),
  };
}

/** Reads the body of an answer 409; null when it is no size. */
export function parseWitnessSize(body: string): bigint | null {
  const [, size] = SIZE.exec(body) ?? [];
  return size === undefined ? null : BigInt(size);
}
