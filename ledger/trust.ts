/**
 * What a verifier believes: which keys, for which sizes of which logs. As a trust file, a key a line, `#` begins
 * a comment (a keys note that a root key has signed says the same, keys-note.ts):
 *
 *   <vkey>                               for every log of its agent and every size
 *   <vkey> <origin, or *> <from> <to>    sizes [from, to) only; `-` for no end
 *
 * `*` is every origin below the name of an agent's key that no other line names. Windows keep a newer key from vouching for
 * what was signed before it was there: whoever steals it could otherwise seal an old history again. Pure.
 */
import { err, ok, type Result } from '../schemas/result.ts';
import { verifyCheckpoint, type CheckpointError, type VerifiedCheckpoint } from './checkpoint.ts';
import { parseNote, type NoteSignature } from './note.ts';
import { KEY_TYPE, parseVkey, type NoteVerifier } from './signing.ts';

export interface KeyWindow {
  readonly vkey: string;
  /** `*`: every origin below the key's name that is named nowhere. */
  readonly origin: string;
  readonly from: bigint;
  /** Null: no end. */
  readonly to: bigint | null;
}

/** A key that is not to be believed any more, whatever it signed and when. */
export interface Revocation {
  readonly vkey: string;
  /** ISO 8601: when it was said. */
  readonly time: string;
  readonly reason: string;
}

export interface Trust {
  readonly keys: readonly NoteVerifier[];
  readonly windows: readonly KeyWindow[];
  readonly revoked: readonly Revocation[];
}

export interface TrustError {
  readonly kind: CheckpointError['kind'] | 'key_window' | 'key_revoked';
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
    const key = parseLogKey(vkey);
    if (!key.ok) return err(`line ${at + 1}: ${key.error}`);
    const window = words.length > 4 ? null : parseWindow(vkey, origin, from, to);
    if (window === null)
      return err(`line ${at + 1}: after the key come an origin and two sizes, or nothing`);
    if (!keys.has(vkey)) keys.set(vkey, key.value);
    windows.push(window);
  }
  if (keys.size === 0) return err('it names no key');
  return ok({ keys: [...keys.values()], windows, revoked: [] });
}

/** Reads a window out of its words; null when they are none. */
export function parseWindow(
  vkey: string,
  origin: string,
  from: string,
  to: string,
): KeyWindow | null {
  if (!SIZE.test(from) || !(to === '-' || SIZE.test(to))) return null;
  return { vkey, origin, from: BigInt(from), to: to === '-' ? null : BigInt(to) };
}

/** Writes a window as a line of a trust file. */
export function formatWindow({ vkey, origin, from, to }: KeyWindow): string {
  return `${vkey} ${origin} ${from} ${to ?? '-'}\n`;
}

/** Windows of the keys that are not revoked. */
export function windowsOf({ windows, revoked }: Trust): readonly KeyWindow[] {
  return windows.filter(({ vkey }) => !revoked.some((one) => one.vkey === vkey));
}

/** Whether it is a key of an agent, which signs logs alone; all others sign certificates, and no log. */
export function isAgentKey({ name }: Pick<NoteVerifier, 'name'>): boolean {
  return name.startsWith('sealtrail/');
}

/** Reads a key that may sign checkpoints. */
export function parseLogKey(vkey: string): Result<NoteVerifier, string> {
  const key = parseVkey(vkey);
  return key.ok && key.value.type !== KEY_TYPE.log ? err('no key of a log') : key;
}

/** Verifies a checkpoint of a log: a trusted key MUST have signed it within its window. */
export function verifyTrusted(
  note: string,
  origin: string,
  trust: Trust,
): Result<VerifiedCheckpoint, TrustError> {
  const verified = verifyCheckpoint(note, { origin, logKeys: trust.keys });
  if (!verified.ok) return verified;
  const { size, signedBy } = verified.value;
  const within = signedBy.filter((key) => maySign(key, origin, size, trust.windows));
  const believed = within.filter(({ vkey }) => findRevocation(vkey, trust) === undefined);
  if (believed.length > 0) return verified;
  const [revoked] = within;
  if (revoked !== undefined) return err(describeRevoked(revoked, trust));
  const names = signedBy.map(nameOf).join(', ');
  // While keys take over both sign; the one whose window it is may be named no longer, since it was revoked.
  const parsed = parseNote(note);
  const isOfOthers = ({ name, id }: NoteSignature): boolean =>
    signedBy.some((key) => key.name === name) && !signedBy.some((key) => key.id === id);
  if (parsed.ok && parsed.value.signatures.some(isOfOthers)) {
    const message = `${names} may not sign size ${size} of ${origin}, and no known key of the others that have may either`;
    return err({ kind: 'no_known_key', message });
  }
  const message = `${names} may not sign size ${size} of ${origin}: it is outside the key's window`;
  return err({ kind: 'key_window', message });
}

/** Whether a window lets the key sign this size of this log. */
export function maySign(
  { vkey, name }: Pick<NoteVerifier, 'vkey' | 'name'>,
  origin: string,
  size: bigint,
  windows: readonly KeyWindow[],
): boolean {
  const isNamed = windows.some((window) => window.origin === origin);
  const covers = (window: KeyWindow): boolean =>
    window.origin === origin ||
    (window.origin === '*' && !isNamed && isAgentKey({ name }) && origin.startsWith(`${name}/`));
  return windows.some(
    (window) =>
      window.vkey === vkey &&
      covers(window) &&
      window.from <= size &&
      (window.to === null || size < window.to),
  );
}

function findRevocation(vkey: string, { revoked }: Trust): Revocation | undefined {
  return revoked.find((one) => one.vkey === vkey);
}

function describeRevoked(key: NoteVerifier, trust: Trust): TrustError {
  const { time = '', reason = '' } = findRevocation(key.vkey, trust) ?? {};
  const message =
    `the key ${nameOf(key)} was revoked at ${time} (${reason}): its signature proves nothing any more, since whoever ` +
    'holds the key can sign any history. Trust in what it signed rests on cosignatures and time-stamps made before ' +
    'it was stolen; look for the checkpoint at your witnesses and anchors';
  return { kind: 'key_revoked', message };
}

function nameOf({ name, id }: NoteVerifier): string {
  return `${name}+${id}`;
}
