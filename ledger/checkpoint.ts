/**
 * Checkpoints (C2SP tlog-checkpoint): the size and root of a tree under the name of its log, as the text of
 * a signed note. Ours have three lines; extension lines of others are read and mean nothing. Pure.
 *
 *   <origin>
 *   <number of leaves, decimal>
 *   <base64 of the 32 bytes of the root>
 */
import { err, ok, type Result } from '../schemas/result.ts';
import { decodeBase64 } from './base64.ts';
import { EMPTY_ROOT, HASH_BYTES, isSameHash, type TreeHash } from './merkle/hash.ts';
import { openNote, type NoteError, type OpenedNote } from './note.ts';
import { KEY_TYPE, readTime, type NoteVerifier } from './signing.ts';

export interface Checkpoint {
  readonly origin: string;
  readonly size: bigint;
  readonly root: TreeHash;
}

/** What a verifier asks of a checkpoint. */
export interface CheckpointPolicy {
  readonly origin: string;
  /** One of them at least MUST have signed. */
  readonly logKeys: readonly NoteVerifier[];
  /** Keys of other administrators; of one name they are one witness. */
  readonly witnessKeys?: readonly NoteVerifier[];
  /** How many of the witnesses MUST have signed; default 0. */
  readonly quorum?: number;
}

export interface Cosignature {
  readonly witness: string;
  /** Seconds since the epoch, as the witness says. */
  readonly time: bigint;
}

export interface VerifiedCheckpoint extends Checkpoint {
  /** The signed text. */
  readonly text: string;
  readonly signedBy: readonly NoteVerifier[];
  readonly cosignatures: readonly Cosignature[];
}

export interface CheckpointError {
  readonly kind:
    NoteError['kind'] | 'malformed_checkpoint' | 'wrong_origin' | 'log_key_missing' | 'quorum';
  readonly message: string;
}

const SIZE = /^(0|[1-9][0-9]{0,19})$/;
const SIZE_MAX = 2n ** 64n - 1n;

/** Writes a checkpoint's text. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${Buffer.from(root).toString('base64')}\n`;
}

/** Reads a checkpoint's text; null when it is none, or when it gives a tree without leaves a root of its own. */
export function parseCheckpoint(text: string): Checkpoint | null {
  const [origin = '', sizeText = '', rootText = '', ...rest] = text.split('\n');
  // The last newline ends the last line; an extension line is not empty.
  if (rest.pop() !== '' || rest.includes('')) return null;
  if (origin === '' || !SIZE.test(sizeText) || BigInt(sizeText) > SIZE_MAX) return null;
  const size = BigInt(sizeText);
  const root = decodeBase64(rootText);
  if (root?.length !== HASH_BYTES) return null;
  if (size === 0n && !isSameHash(root, EMPTY_ROOT)) return null;
  return { origin, size, root };
}

/** Verifies a signed checkpoint against a policy. */
export function verifyCheckpoint(
  note: Uint8Array | string,
  { origin, logKeys, witnessKeys = [], quorum = 0 }: CheckpointPolicy,
): Result<VerifiedCheckpoint, CheckpointError> {
  const opened = openNote(note, [...logKeys, ...witnessKeys]);
  if (!opened.ok) return opened;
  const { text } = opened.value;
  const checkpoint = parseCheckpoint(text);
  if (checkpoint === null)
    return err({ kind: 'malformed_checkpoint', message: 'the note is no checkpoint' });
  if (checkpoint.origin !== origin) {
    const message = `the checkpoint is of ${checkpoint.origin}, not of ${origin}`;
    return err({ kind: 'wrong_origin', message });
  }
  const signedBy = signersOf(opened.value, logKeys, KEY_TYPE.log).map(({ key }) => key);
  if (signedBy.length === 0)
    return err({ kind: 'log_key_missing', message: 'no key of the log has signed' });
  const witnessed = signersOf(opened.value, witnessKeys, KEY_TYPE.witness);
  const cosignatures = witnessed.map(({ name, bytes }) => ({
    witness: name,
    time: readTime(bytes),
  }));
  const witnesses = new Set(cosignatures.map(({ witness }) => witness)).size;
  if (witnesses < quorum) {
    const message = `${witnesses} of the witnesses have signed, ${quorum} must`;
    return err({ kind: 'quorum', message });
  }
  return ok({ ...checkpoint, text, signedBy, cosignatures });
}

/** Whether two verified checkpoints show that the log told two stories: one size, two roots. */
export function isFork(one: Checkpoint, other: Checkpoint): boolean {
  return (
    one.origin === other.origin && one.size === other.size && !isSameHash(one.root, other.root)
  );
}

function signersOf(
  { verified }: OpenedNote,
  keys: readonly NoteVerifier[],
  type: number,
): OpenedNote['verified'] {
  return verified.filter(({ key }) => key.type === type && keys.includes(key));
}
