/**
 * Signed notes (C2SP signed-note): a text, an empty line, and a line for each signature.
 *
 *   <text, lines ending in a newline>
 *   <empty line>
 *   — <key name> <base64 of: key id, 4 bytes; signature>
 *
 * Stricter than the page in one place: a known key that fails refuses the note. Unknown keys are ignored,
 * as they must be for rotation. Pure.
 */
import { err, ok, type Result } from '../schemas/result.ts';
import { decodeBase64 } from './base64.ts';
import { isKeyName, type NoteSigner, type NoteVerifier } from './signing.ts';

export interface NoteSignature {
  readonly name: string;
  /** 8 lower-case hex digits. */
  readonly id: string;
  /** What follows the key id. */
  readonly bytes: Uint8Array;
}

export interface SignedNote {
  /** The signed text, its last newline included. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface OpenedNote {
  readonly text: string;
  /** Each key once. */
  readonly verified: readonly (NoteSignature & { readonly key: NoteVerifier })[];
  /** Of unknown keys, each line once. */
  readonly unverified: readonly NoteSignature[];
}

export interface NoteError {
  readonly kind: 'malformed' | 'ambiguous_key' | 'bad_signature' | 'no_known_key';
  readonly message: string;
}

const NOTE_BYTES_MAX = 1_000_000;
const SIGNATURES_MAX = 100;
const KEY_ID_BYTES = 4;
const DASH = '\u2014 ';
/** Control characters but the newline. */
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Takes a note apart. Says nothing of its signatures. */
export function parseNote(note: Uint8Array | string): Result<SignedNote, NoteError> {
  const said = decode(note);
  if (said === null || CONTROL.test(said)) return malformed('it is no text');
  const split = said.lastIndexOf('\n\n');
  if (split === -1) return malformed('it has no empty line before its signatures');
  const lines = said.slice(split + 2).split('\n');
  if (lines.pop() !== '' || lines.length === 0)
    return malformed('it does not end in a whole signature line');
  if (lines.length > SIGNATURES_MAX) return malformed(`it has more than ${SIGNATURES_MAX}`);
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignature(line);
    if (signature === null) return malformed('a line after the text is no signature');
    signatures.push(signature);
  }
  return ok({ text: said.slice(0, split + 1), signatures });
}

/** Opens a note: at least one of the keys MUST have signed it, and none of them wrongly. */
export function openNote(
  note: Uint8Array | string,
  keys: readonly NoteVerifier[],
): Result<OpenedNote, NoteError> {
  const parsed = parseNote(note);
  if (!parsed.ok) return parsed;
  const { text, signatures } = parsed.value;
  const verified: (NoteSignature & { readonly key: NoteVerifier })[] = [];
  const unverified = new Map<string, NoteSignature>();
  for (const signature of signatures) {
    const named = `${signature.name}+${signature.id}`;
    const known = keys.filter((one) => `${one.name}+${one.id}` === named);
    const [key] = known;
    if (known.length > 1)
      return err({ kind: 'ambiguous_key', message: `the key ${named} is given twice` });
    if (key === undefined) {
      unverified.set(formatSignature(signature), signature);
    } else if (!verified.some(({ key: before }) => before === key)) {
      if (!key.verify(text, signature.bytes))
        return err({ kind: 'bad_signature', message: `the signature of ${named} is wrong` });
      verified.push({ ...signature, key });
    }
  }
  if (verified.length === 0)
    return err({ kind: 'no_known_key', message: 'no known key has signed the note' });
  return ok({ text, verified, unverified: [...unverified.values()] });
}

/** Signs a text, which MUST end in a newline and hold no other control character. */
export async function signNote(text: string, signers: readonly NoteSigner[]): Promise<string> {
  const lines: string[] = [];
  for (const signer of signers) {
    const { name, id } = signer;
    lines.push(formatSignature({ name, id, bytes: await signer.sign(text) }));
  }
  return `${text}\n${lines.join('')}`;
}

/** Writes a signature line, as it stands in a note. */
export function formatSignature({ name, id, bytes }: NoteSignature): string {
  const signed = Buffer.concat([Buffer.from(id, 'hex'), bytes]);
  return `${DASH}${name} ${signed.toString('base64')}\n`;
}

function parseSignature(line: string): NoteSignature | null {
  if (!line.startsWith(DASH)) return null;
  const space = line.indexOf(' ', DASH.length);
  const name = line.slice(DASH.length, space);
  const bytes = decodeBase64(line.slice(space + 1));
  if (space === -1 || !isKeyName(name) || bytes === null || bytes.length <= KEY_ID_BYTES)
    return null;
  const id = bytes.toString('hex', 0, KEY_ID_BYTES);
  return { name, id, bytes: bytes.subarray(KEY_ID_BYTES) };
}

function decode(note: Uint8Array | string): string | null {
  // Half a character has no bytes: others would be verified in its place.
  if (typeof note === 'string' && !note.isWellFormed()) return null;
  const bytes = typeof note === 'string' ? Buffer.from(note) : note;
  if (bytes.length > NOTE_BYTES_MAX) return null;
  try {
    return UTF8.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

function malformed(what: string): Result<never, NoteError> {
  return err({ kind: 'malformed', message: `malformed note: ${what}` });
}
