/** A checkpoint that came from somewhere, and whether it is to be believed. Pure. */
import { err, ok, type Result } from '../../schemas/result.ts';
import { parseCheckpoint } from '../checkpoint.ts';
import { parseNote } from '../note.ts';
import type { FindingKind } from '../stream-check.ts';
import { verifyTrusted, type Trust } from '../trust.ts';
import type { KnownCheckpoint } from './known.ts';

/** What a note has against itself. */
export interface NoteFault {
  readonly kind: Extract<FindingKind, 'checkpoint_unreadable' | 'bad_signature'>;
  /** '' and -1 where it cannot be read. */
  readonly stream: string;
  readonly seq: number;
  readonly message: string;
}

/** Reasons not to believe a checkpoint that are no reason to think that anybody lied. */
const UNKNOWN_KEY: ReadonlySet<string> = new Set([
  'no_known_key',
  'log_key_missing',
  'key_revoked',
]);

/** Judges a note by the keys that are trusted; null: no signature is judged. */
export function judgeNote(note: string, trust: Trust | null): Result<KnownCheckpoint, NoteFault> {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  if (checkpoint === null) {
    const message = 'this is no signed checkpoint';
    return err({ kind: 'checkpoint_unreadable', stream: '', seq: -1, message });
  }
  const { origin, size } = checkpoint;
  const said = trust === null ? null : verifyTrusted(note, origin, trust);
  if (said?.ok === false && !UNKNOWN_KEY.has(said.error.kind)) {
    const { message } = said.error;
    return err({ kind: 'bad_signature', stream: origin, seq: Number(size) - 1, message });
  }
  return ok({ ...checkpoint, note, isSigned: said?.ok === true });
}

/** Why nobody honest has signed a note of this origin so; null: it may be right, whether a trusted key has signed it or not. */
export function findForgery(note: string, origin: string, trust: Trust | null): string | null {
  const said = trust === null ? null : verifyTrusted(note, origin, trust);
  return said?.ok === false && !UNKNOWN_KEY.has(said.error.kind) ? said.error.message : null;
}
