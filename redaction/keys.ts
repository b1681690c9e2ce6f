/**
 * What a member's name says about its value. A name is folded, split into words (camelCase,
 * dashes, dots, digits) and compared with the tables of rules.ts; answers are kept, since an
 * application uses few names, many times.
 */
import {
  CARD_NAMES,
  FREE_TEXT_NAMES,
  HARMLESS_LAST_WORDS,
  HARMLESS_NAMES,
  NATIONAL_ID_NAMES,
  PERSONAL_TEXT_NAMES,
  SECRET_AFFIXES,
  SECRET_NAMES,
} from './rules.ts';
import { PROTECTED } from './markers.ts';
import { foldText } from './views.ts';

/** What a name announces; `national_token` is a token of a national id, or should be one. */
export type KeyClass =
  'none' | 'secret' | 'national_id' | 'national_token' | 'card' | 'free_text' | 'personal_text';

const NAMES_KEPT_MAX = 4096;
const NAME_LENGTH_KEPT_MAX = 128;
const WORDS_MAX = 64;
const PHRASE_WORDS_MAX = 5;

/** Creates the classifier of member names; `sensitiveKeys` are dropped like passwords. */
export function createKeyClassifier(sensitiveKeys: readonly string[]): (name: string) => KeyClass {
  const secrets = new Set([
    ...SECRET_NAMES,
    ...sensitiveKeys.map((name) => wordsOf(name).join('_')),
  ]);
  secrets.delete('');
  // An application's own names are matched without word breaks as well, like ours.
  const collapsed = new Map<string, KeyClass>();
  for (const name of CARD_NAMES) collapsed.set(collapse(name), 'card');
  for (const name of NATIONAL_ID_NAMES) collapsed.set(collapse(name), 'national_id');
  for (const name of secrets) collapsed.set(collapse(name), 'secret');
  const known = new Map<string, KeyClass>();

  return function classify(name) {
    const kept = known.get(name);
    if (kept !== undefined) return kept;
    const found = classifyWords(wordsOf(name), secrets, collapsed);
    if (name.length <= NAME_LENGTH_KEPT_MAX) {
      if (known.size >= NAMES_KEPT_MAX) known.clear();
      known.set(name, found);
    }
    return found;
  };
}

const NATIONAL = new Set(NATIONAL_ID_NAMES);
const CARDS = new Set(CARD_NAMES);
const FREE_TEXT = new Set(FREE_TEXT_NAMES);
const PERSONAL_TEXT = new Set(PERSONAL_TEXT_NAMES);
const HARMLESS = new Set(HARMLESS_NAMES);
const HARMLESS_LAST = new Set(HARMLESS_LAST_WORDS);
/** Too short or too common to count in the middle of a name. */
const LAST_WORD_ONLY = new Set(['pin', 'tin', 'cc', 'card', 'pan', 'cards', 'passport']);

function classifyWords(
  words: readonly string[],
  secrets: ReadonlySet<string>,
  collapsed: ReadonlyMap<string, KeyClass>,
): KeyClass {
  const whole = words.join('_');
  if (whole === '' || HARMLESS.has(whole)) return 'none';
  const direct = collapsed.get(words.join(''));
  if (direct !== undefined) return direct;
  const last = words.at(-1) ?? '';
  const national = phraseEnd(words, NATIONAL);
  if (national > 0 && (last === 'token' || last === 'tokens')) return 'national_token';
  const secret = phraseEnd(words, secrets);
  if (secret > 0 && !isHarmless(words, secret)) return 'secret';
  if (secret === 0 && hasSecretAffix(words)) return 'secret';
  if (national > 0 && !isHarmless(words, national)) return 'national_id';
  const card = phraseEnd(words, CARDS);
  if (card > 0 && !isHarmless(words, card)) return 'card';
  if (PERSONAL_TEXT.has(whole)) return 'personal_text';
  if (FREE_TEXT.has(whole) || FREE_TEXT.has(last)) return 'free_text';
  return 'none';
}

/** Where a listed phrase ends in the words, longest and last first; 0 when there is none. */
function phraseEnd(words: readonly string[], phrases: ReadonlySet<string>): number {
  for (let end = words.length; end > 0; end--) {
    for (let start = Math.max(0, end - PHRASE_WORDS_MAX); start < end; start++) {
      const phrase = words.slice(start, end).join('_');
      if (!phrases.has(phrase)) continue;
      if (LAST_WORD_ONLY.has(phrase) && end < words.length && !/^\d+$/.test(words[end] ?? '')) {
        continue;
      }
      return end;
    }
  }
  return 0;
}

function isHarmless(words: readonly string[], phraseEndsAt: number): boolean {
  return phraseEndsAt < words.length && HARMLESS_LAST.has(words.at(-1) ?? '');
}

function hasSecretAffix(words: readonly string[]): boolean {
  const last = words.at(-1) ?? '';
  return (
    !HARMLESS_LAST.has(last) &&
    words.some((word) =>
      SECRET_AFFIXES.some((affix) => word.startsWith(affix) || word.endsWith(affix)),
    )
  );
}

/** Lower-case words of a name; what redaction itself put into a name is left out. */
function wordsOf(name: string): readonly string[] {
  return foldText(name)
    .replace(PROTECTED, ' ')
    .replace(/([a-z\d])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .map((word) =>
      /^(?:track\d|cvv2|cvc2|last4|pkcs12)$/.test(word)
        ? word
        : word.replace(/(\p{L})\d{1,3}$/u, '$1'),
    )
    .slice(-WORDS_MAX);
}

function collapse(name: string): string {
  return name.replaceAll('_', '');
}
