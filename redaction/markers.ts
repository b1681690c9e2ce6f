/**
 * Markers: what a redacted string says in place of what it held. Their grammar is closed, so that
 * a second pass leaves them alone and nobody can hide a value in a forged one.
 */
import { REDACTION_KINDS, type RedactionKind } from './rules.ts';

const DIGIT_RUN_MAX = /[0-9]{13}/;

/** Every marker and token in a text. */
export const PROTECTED: RegExp = new RegExp(
  `\\[redacted:(?:pan:last4=[0-9]{4}|${REDACTION_KINDS.join('|')})\\]|tok_[a-z2-7]{8}_[a-z2-7]{26}`,
  'g',
);

/** Stands for a protected place while detectors look at the rest; no detector matches it. */
const FILLER = '\u0001';

/** The marker of a kind. */
export function marker(kind: RedactionKind): string {
  return `[redacted:${kind}]`;
}

/** The marker of a card number: its last four digits stay. */
export function panMarker(last4: string): string {
  return `[redacted:pan:last4=${last4}]`;
}

/** Blanks out markers and tokens; the length stays. */
export function maskProtected(text: string): string {
  if (!text.includes('[redacted:') && !text.includes('tok_')) return text;
  return text.replace(PROTECTED, (found) =>
    found.startsWith('tok_') && DIGIT_RUN_MAX.test(found) ? found : FILLER.repeat(found.length),
  );
}
