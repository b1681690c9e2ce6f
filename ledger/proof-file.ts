/**
 * The proof file: all that shows that one record is in its stream, unchanged, and since when at the latest.
 * One JSON object that needs nothing beside it but a trusted key (trust.ts). Pure.
 *
 *   {"_v":"sealtrail/proof/v1",
 *    "record":"<the line of the ledger>", "checkpoint":"<note of the stream>", "inclusion":["<base64>", …],
 *    "anchor":{"stream_key":"<hex>", "index":"<n>", "inclusion":[…], "checkpoint":"<note of the anchor log>",
 *              "heartbeat":{"leaf":"<leaf>", "index":"<n>", "inclusion":[…]}, "later":{<the same>} or null,
 *              "evidence":[<what anchors gave for that checkpoint, anchor-evidence.ts>, …]} or null}
 */
import { err, ok, type Result } from '../schemas/result.ts';
import type { SealedEvent } from '../schemas/record.ts';
import { parseJson } from '../schemas/canonical.ts';
import { memberOf } from '../schemas/untrusted-json.ts';
import { parseEvidence, type AnchorEvidence } from './anchor-evidence.ts';
import { formatStreamHead } from './anchor-leaf.ts';
import { decodeBase64 } from './base64.ts';
import type { VerifiedCheckpoint } from './checkpoint.ts';
import { splitRecord } from './frame.ts';
import { hashLeaf, hashRecordLeaf, type TreeHash } from './merkle/hash.ts';
import { verifyInclusion } from './merkle/verify-proof.ts';
import { isCanonical, rehash } from './content-check.ts';
import { verifyTrusted, type Trust } from './trust.ts';

export const PROOF_VERSION = 'sealtrail/proof/v1';
export const ANCHOR_VERSION = 'sealtrail/anchor/v1';

export interface LeafProof {
  readonly index: bigint;
  readonly inclusion: readonly TreeHash[];
}

export interface Heartbeat extends LeafProof {
  readonly leaf: string;
}

export interface AnchorProof extends LeafProof {
  readonly stream_key: string;
  readonly checkpoint: string;
  /** The round in which the stream's checkpoint came into the anchor log. */
  readonly heartbeat: Heartbeat;
  /** The heartbeat of a later round, if one is under the same checkpoint. */
  readonly later: Heartbeat | null;
  /** What anchors gave for the checkpoint; judging it takes a policy. */
  readonly evidence: readonly AnchorEvidence[];
}

export interface Proof {
  readonly record: string;
  readonly checkpoint: string;
  readonly inclusion: readonly TreeHash[];
  /** Null: the checkpoint is not in the anchor log yet. */
  readonly anchor: AnchorProof | null;
}

/** What a proof shows. */
export interface Proven {
  readonly event: SealedEvent;
  readonly stream: string;
  readonly seq: number;
  /** Size of the stream's checkpoint: how much is fixed by it. */
  readonly size: bigint;
  readonly anchor: {
    readonly origin: string;
    readonly size: bigint;
    /** Of a heartbeat before it in the log: it was not put there earlier. */
    readonly time: string;
    /** Of a heartbeat behind it: by then it was there, by the agent's clock. Null: the proof holds none. */
    readonly by: string | null;
    /** The anchor log's checkpoint, and what anchors gave for it, not judged yet. */
    readonly note: string;
    readonly evidence: readonly AnchorEvidence[];
  } | null;
}

/** invalid: it is refuted. cannot_tell: it is no proof file, or no trusted key has signed. */
export interface ProofError {
  readonly kind: 'invalid' | 'cannot_tell';
  readonly message: string;
}

const HEARTBEAT = /^sealtrail\/heartbeat\/v1\n([0-9TZ:.-]{20,30})\n$/;
const NUMBER = /^(0|[1-9][0-9]{0,19})$/;
const HEX_32 = /^[0-9a-f]{64}$/;

/** Writes a proof. */
export function formatProof({ record, checkpoint, inclusion, anchor }: Proof): string {
  return format({
    _v: PROOF_VERSION,
    record,
    checkpoint,
    inclusion: inclusion.map(toBase64),
    anchor: anchor && anchorObject(anchor),
  });
}

/** Writes what shows that a stream's checkpoint was anchored, by itself. */
export function formatAnchor(anchor: AnchorProof): string {
  return format({ _v: ANCHOR_VERSION, anchor: anchorObject(anchor) });
}

/** Reads that; null when the text is none. Says nothing of its truth. */
export function parseAnchor(text: string): AnchorProof | null {
  const value = asObject(parse(text));
  return value?.['_v'] === ANCHOR_VERSION ? asAnchor(asObject(value['anchor'])) : null;
}

/** Verifies that a stream's checkpoint is in its agent's anchor log, by the keys that are trusted. */
export function verifyAnchorOf(
  checkpoint: string,
  stream: string,
  anchor: AnchorProof,
  trust: Trust,
): Result<NonNullable<Proven['anchor']>, ProofError> {
  const verified = verifyNote(checkpoint, stream, trust);
  return verified.ok ? verifyAnchor(anchor, stream, verified.value, trust) : verified;
}

const format = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;

function anchorObject({
  stream_key,
  checkpoint,
  heartbeat,
  later,
  evidence,
  ...here
}: AnchorProof): object {
  const leaf = (one: LeafProof): object => ({
    index: String(one.index),
    inclusion: one.inclusion.map(toBase64),
  });
  return {
    ...{ stream_key, ...leaf(here), checkpoint },
    heartbeat: { leaf: heartbeat.leaf, ...leaf(heartbeat) },
    later: later && { leaf: later.leaf, ...leaf(later) },
    evidence,
  };
}

/** Reads a proof; null when the text is none. Says nothing of its truth. */
export function parseProof(text: string): Proof | null {
  const value = asObject(parse(text));
  if (value?.['_v'] !== PROOF_VERSION) return null;
  const { record, checkpoint } = value;
  const inclusion = asHashes(value['inclusion']);
  if (typeof record !== 'string' || typeof checkpoint !== 'string' || inclusion === null)
    return null;
  if (value['anchor'] === null) return { record, checkpoint, inclusion, anchor: null };
  const anchor = asAnchor(asObject(value['anchor']));
  return anchor === null ? null : { record, checkpoint, inclusion, anchor };
}

/** Verifies a proof against the keys that are trusted. */
export function verifyProof(text: string, trust: Trust): Result<Proven, ProofError> {
  const proof = parseProof(text);
  const record = proof === null ? null : splitRecord(proof.record);
  if (proof === null || record === null)
    return err({ kind: 'cannot_tell', message: 'the file is no proof' });
  if (rehash(record.prev_hash, record.eventText) !== record.this_hash)
    return invalid('the record does not have the hash that it states');
  if (!isCanonical(record.eventText)) return invalid('the event is not in canonical form');
  const event = parseJson(record.eventText);
  const chain = memberOf(event, 'chain');
  const [stream, seq] = [memberOf(chain, 'stream'), memberOf(chain, 'seq')];
  // Anybody can give any text a hash that fits.
  if (typeof stream !== 'string' || typeof seq !== 'number' || !Number.isSafeInteger(seq))
    return err({ kind: 'cannot_tell', message: 'what the file proves is no record of a stream' });

  const checkpoint = verifyNote(proof.checkpoint, stream, trust);
  if (!checkpoint.ok) return checkpoint;
  const leaf = hashRecordLeaf(record.this_hash);
  const here = { index: BigInt(seq), inclusion: proof.inclusion };
  if (!isIncluded(here, leaf, checkpoint.value))
    return invalid('the record is not in the tree that was signed');
  const { size } = checkpoint.value;
  // It is in a tree that the agent has signed, which holds sealed events alone.
  const proven = { event: event as unknown as SealedEvent, stream, seq, size };
  if (proof.anchor === null) return ok({ ...proven, anchor: null });
  const anchor = verifyAnchor(proof.anchor, stream, checkpoint.value, trust);
  return anchor.ok ? ok({ ...proven, anchor: anchor.value }) : anchor;
}

function verifyAnchor(
  anchor: AnchorProof,
  stream: string,
  { text }: VerifiedCheckpoint,
  trust: Trust,
): Result<NonNullable<Proven['anchor']>, ProofError> {
  // sealtrail/<agent>/<incarnation>: what the stream's name begins with.
  const origin = stream.split('/').slice(0, 3).join('/');
  const checkpoint = verifyNote(anchor.checkpoint, origin, trust);
  if (!checkpoint.ok) return checkpoint;
  const head = formatStreamHead(Buffer.from(anchor.stream_key, 'hex'), stream, text);
  if (!isIncluded(anchor, hashLeaf(Buffer.from(head)), checkpoint.value))
    return invalid('the checkpoint of the stream is not in the anchor log that was signed');
  const { heartbeat, later } = anchor;
  const time = heartbeat.index < anchor.index ? timeOf(heartbeat, checkpoint.value) : null;
  const by = later !== null && later.index > anchor.index ? timeOf(later, checkpoint.value) : null;
  if (time === null || (later !== null && by === null))
    return invalid('the time of the anchor round is not in the anchor log that was signed');
  const { checkpoint: note, evidence } = anchor;
  return ok({ origin, size: checkpoint.value.size, time, by, note, evidence });
}

/** The time of a heartbeat; null where it is none, or not in the log that was signed. */
function timeOf(heartbeat: Heartbeat, checkpoint: VerifiedCheckpoint): string | null {
  const [, time = ''] = HEARTBEAT.exec(heartbeat.leaf) ?? [];
  if (Number.isNaN(Date.parse(time))) return null;
  return isIncluded(heartbeat, hashLeaf(Buffer.from(heartbeat.leaf)), checkpoint) ? time : null;
}

function verifyNote(
  note: string,
  origin: string,
  trust: Trust,
): Result<VerifiedCheckpoint, ProofError> {
  const verified = verifyTrusted(note, origin, trust);
  if (verified.ok) return verified;
  const { kind, message } = verified.error;
  const isUnknown = ['no_known_key', 'key_revoked', 'ambiguous_key'].includes(kind);
  return err({ kind: isUnknown ? 'cannot_tell' : 'invalid', message });
}

function isIncluded(
  { index, inclusion }: LeafProof,
  leaf: TreeHash,
  { size, root }: VerifiedCheckpoint,
): boolean {
  return verifyInclusion({ index, size, root, leaf, proof: inclusion });
}

function invalid(message: string): Result<never, ProofError> {
  return err({ kind: 'invalid', message });
}

const toBase64 = (hash: TreeHash): string => Buffer.from(hash).toString('base64');

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof Error) return null;
    throw error;
  }
}

function asObject(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}

function asHashes(value: unknown): readonly TreeHash[] | null {
  if (!Array.isArray(value)) return null;
  const hashes = value.map((one: unknown) => (typeof one === 'string' ? decodeBase64(one) : null));
  return hashes.some((hash) => hash === null) ? null : hashes.filter((hash) => hash !== null);
}

function asLeaf(value: Record<string, unknown> | null): LeafProof | null {
  const inclusion = asHashes(value?.['inclusion']);
  const index = value?.['index'];
  if (inclusion === null || typeof index !== 'string' || !NUMBER.test(index)) return null;
  return { index: BigInt(index), inclusion };
}

function asBeat(value: unknown): Heartbeat | null {
  const beat = asObject(value);
  const [at, leaf] = [asLeaf(beat), beat?.['leaf']];
  return at === null || typeof leaf !== 'string' ? null : { ...at, leaf };
}

function asAnchor(value: Record<string, unknown> | null): AnchorProof | null {
  const [here, heartbeat] = [asLeaf(value), asBeat(value?.['heartbeat'])];
  const said = value?.['later'] ?? null;
  const later = said === null ? null : asBeat(said);
  if (here === null || heartbeat === null || (said !== null && later === null)) return null;
  const { stream_key, checkpoint } = value ?? {};
  if (typeof stream_key !== 'string' || !HEX_32.test(stream_key)) return null;
  if (typeof checkpoint !== 'string') return null;
  const given = value?.['evidence'] ?? [];
  const evidence = Array.isArray(given) ? given.map(parseEvidence) : [null];
  const known = evidence.filter((one) => one !== null);
  if (known.length < evidence.length) return null;
  return { ...here, stream_key, checkpoint, heartbeat, later, evidence: known };
}
