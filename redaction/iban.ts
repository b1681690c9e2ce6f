/**
 * IBANs in text (ISO 13616): country, length of that country, two check digits. Written together or in
 * groups, in either case; also with letters before it that do not belong to it.
 */
import { IBAN_LENGTHS } from './rules.ts';
import type { Span } from './spans.ts';

const IBAN = /[A-Za-z]{2}\d{2}(?:[ \t.\-_]{0,2}[A-Za-z0-9]){11,30}/;

/** Finds the IBANs of a text. */
export function addIbans(text: string, spans: Span[]): void {
  const pattern = new RegExp(IBAN.source, 'g');
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const found = findIban(text, match.index, match[0]);
    if (found !== null) spans.push(found);
    // What only begins like one may have run into one.
    pattern.lastIndex = found?.end ?? match.index + 1;
  }
}

/** The IBAN that a candidate, which begins at `start` of the text, begins with; null if it does not. */
export function findIban(text: string, start: number, candidate: string): Span | null {
  const length = IBAN_LENGTHS.get(candidate.slice(0, 2).toUpperCase());
  if (length === undefined) return null;
  let value = '';
  let end = start;
  while (value.length < length && end < start + candidate.length) {
    const character = text.charAt(end++);
    if (/[A-Za-z0-9]/.test(character)) value += character.toUpperCase();
  }
  if (value.length !== length || /[A-Za-z0-9]/.test(text.charAt(end))) return null;
  return passesMod97(value) ? { start, end, kind: 'iban', value } : null;
}

function passesMod97(iban: string): boolean {
  let rest = 0;
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}
