/**
 * Who a person is, before a token stands for it: the text by which an application knows someone, in one form
 * for all its spellings, and the form of the tokens. Pure, but for the randomness of a new token.
 */
import { randomBytes } from 'node:crypto';
import { err, ok, type Result } from '../../schemas/result.ts';
import { base32 } from '../base32.ts';

/** In which part a person appears. Each has tokens and keys of its own (docs/ERASURE.md). */
export const SUBJECT_PURPOSES = ['actor', 'subject'] as const;
/** `actor`: who acts. `subject`: on whom, or on whose behalf. */
export type SubjectPurpose = (typeof SUBJECT_PURPOSES)[number];

/** What a token is bound to. */
export interface SubjectBinding {
  readonly tenant: string;
  readonly purpose: SubjectPurpose;
}

/** Longest identity, in UTF-16 units: as long as an actor's id may be. */
export const IDENTITY_LENGTH_MAX = 512;
/** Stands in an event for a person whose token could not be had in time. */
export const UNRESOLVED_SUBJECT = '[subject:unresolved]';

const TOKEN = /^sub_[a-z2-7]{26}$/;
/** A run that could be taken for an official number, or for a card. */
const DIGIT_RUN = /[0-9]{9}/;

/** Whether the text is a subject token and nothing else. */
export function isSubjectToken(text: string): boolean {
  return TOKEN.test(text);
}

/** A new token: 130 random bits, which say nothing of whom they stand for. */
export function createSubjectToken(random: (bytes: number) => Uint8Array = randomBytes): string {
  for (;;) {
    const token = `sub_${base32(random(17), 26)}`;
    if (!DIGIT_RUN.test(token)) return token;
  }
}

/**
 * One form for all spellings of an identity: NFC, no blanks around it, and A to Z in lower case where it is an
 * e-mail address. Look-alike letters are NOT folded: whoever registers as `аlice@…` with a Cyrillic letter is
 * somebody else, and must not get the token of the one he imitates. The error never quotes it.
 */
export function normalizeIdentity(identity: unknown): Result<string, string> {
  if (typeof identity !== 'string') return err('must be a text');
  if (identity.length > IDENTITY_LENGTH_MAX)
    return err(`must have at most ${IDENTITY_LENGTH_MAX} characters`);
  // A lone surrogate is no character; U+0000 has no place in an event either.
  if (identity.includes('\u0000') || !identity.isWellFormed())
    return err('must have neither U+0000 nor half a surrogate pair');
  const text = identity.normalize('NFC').trim();
  if (text === '') return err('must not be empty');
  // A few letters grow by it; the vault has no place for a longer one.
  if (text.length > IDENTITY_LENGTH_MAX)
    return err(`must have at most ${IDENTITY_LENGTH_MAX} characters, as it is normalized`);
  return ok(text.includes('@') ? text.replace(/[A-Z]/g, (letter) => letter.toLowerCase()) : text);
}
