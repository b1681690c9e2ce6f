/**
 * The trust file: which keys a verifier believes, and for which sizes. Text, a key a line, `#` begins a comment:
 *
 *   <vkey>                               for every stream and size
 *   <vkey> <origin, or *> <from> <to>    sizes [from, to) only; `-` for no end
 *
 * Windows keep a newer key from vouching for what was signed before it was there: whoever steals it could
 * otherwise seal an old history again. Pure.
 */
import { err, ok, type Result } from '../schemas/result.ts';
import { verifyCheckpoint, type CheckpointError, type VerifiedCheckpoint } from './checkpoint.ts';
import { KEY_TYPE, parseVkey, type NoteVerifier } from './signing.ts';

interface KeyWindow {
  readonly vkey: string;
  /** `*`: every origin. */
  readonly origin: string;
  readonly from: bigint;
  /** Null: no end. */
  readonly to: bigint | null;
}

export interface Trust {
  readonly keys: readonly NoteVerifier[];
  readonly windows: readonly KeyWindow[];
}

export interface TrustError {
  readonly kind: CheckpointError['kind'] | 'key_window';
  readonly message: string;
}

const SIZE = /^(0|[1-9][0-9]{0,19})$/;

/** Reads a trust file; the error names the line. */
export function parseTrust(text: string): Result<Trust, string> {
  const keys = new Map<string, NoteVerifier>();
  const windows: KeyWindow[] = [];
  for (const [at, line] of text.split('\n').entries()) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    const [vkey = '', origin = '*', from = '0', to = '-'] = words;
    if (vkey === '') continue;
    const key = parseVkey(vkey);
    if (!key.ok) return err(`line ${at + 1}: ${key.error}`);
    if (key.value.type !== KEY_TYPE.log) return err(`line ${at + 1}: no key of a log`);
    if (words.length > 4 || !SIZE.test(from) || !(to === '-' || SIZE.test(to)))
      return err(`line ${at + 1}: after the key come an origin and two sizes, or nothing`);
    if (!keys.has(vkey)) keys.set(vkey, key.value);
    windows.push({ vkey, origin, from: BigInt(from), to: to === '-' ? null : BigInt(to) });
  }
  if (keys.size === 0) return err('it names no key');
  return ok({ keys: [...keys.values()], windows });
}

/** Verifies a checkpoint of a log: a trusted key MUST have signed it within its window. */
export function verifyTrusted(
  note: string,
  origin: string,
  { keys, windows }: Trust,
): Result<VerifiedCheckpoint, TrustError> {
  const verified = verifyCheckpoint(note, { origin, logKeys: keys });
  if (!verified.ok) return verified;
  const { size, signedBy } = verified.value;
  const isWithin = ({ vkey, from, to, ...window }: KeyWindow): boolean =>
    signedBy.some((key) => key.vkey === vkey) &&
    (window.origin === '*' || window.origin === origin) &&
    from <= size &&
    (to === null || size < to);
  if (windows.some(isWithin)) return verified;
  const names = signedBy.map(({ name, id }) => `${name}+${id}`).join(', ');
  const message = `${names} may not sign size ${size} of ${origin}: it is outside the key's window`;
  return err({ kind: 'key_window', message });
}
