/**
 * Suspicion: one pass over a string that tells whether a detector could find anything in it.
 * Nearly every string is clean, so this is the hot path.
 */
import { compile, type Pattern } from './shift-and.ts';

const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const HEX = '0123456789abcdefABCDEF';
const WHITE = ' \t\n\r';

// A Base64 group whose three bytes are ASCII: the top bit of each byte has to be 0.
const ASCII_GROUP: Pattern = [
  `${UPPER}abcdef`,
  'ABCDEFGHQRSTUVWXghijklmnwxyz0123',
  'ABEFIJMNQRUVYZcdghklopstwx014589',
  `${UPPER}${LOWER}0123456789+/_-`,
];

/** Enough to look closer at once. */
const HARD: readonly (readonly Pattern[])[] = [
  [
    [...ASCII_GROUP, ...ASCII_GROUP, ...ASCII_GROUP],
    [...'eyJ'],
    ['A', 'KSI', 'Iz', 'Aa'],
    ['g', 'h', 'pousr', '_'],
    [...'xox'],
    ['k', '_', 'lt'],
    [...'PX-'],
  ],
  [
    ['p', 'a', 't', '-_'],
    [...'npm_'],
    [...'sec_'],
    [...'ya2'],
    [...'SG.'],
    [...'sk-'],
    [...'xapp'],
    ['%', HEX, HEX],
    [...'&#'],
    ['\\', 'ux'],
  ],
];
/** Enough only together with a telling word. */
const SOFT: readonly Pattern[] = [
  ['=:'],
  [WHITE, 'iI', 'sS'],
  [WHITE, 'wW', 'aA', 'sS'],
  ['eE', 'aA', 'rR', 'eE', 'rR', WHITE],
  ['aA', 'sS', 'iI', 'cC', WHITE],
  [...'BEGIN'],
  [...'slack'],
];
const AT_SIGN = 64;
const WORD =
  /pass|pwd|secret|token|key|cookie|auth|cvv|cvc|csc|pin|otp|ssn|social|tax|national|insur|licen|cred|sess|sid|card|pan|jwt|bearer|basic|code|answer|track|csrf|xsrf|path=|httponly|samesite|max-age|secure|cpf|bsn|nino|aadha|tin|cid|cc|personn|fiscale|nhs|medicare|identity|private|slack/i;

const HARD_A = compile(HARD[0] ?? []);
const HARD_B = compile(HARD[1] ?? []);
const SOFT_C = compile(SOFT);

/** 1: digit, 2: what may stand between digits of one number, 3: no plain ASCII text, 0: the rest. */
const CLASSES: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (character >= '0' && character <= '9') return 1;
  if (' \t.-_+'.includes(character)) return 2;
  return (code < 0x20 && !WHITE.includes(character)) || code === 0x7f ? 3 : 0;
});
/** The same for bytes of a JSON string, and what cannot be one of its plain characters. */
const ENDS = 4;
const REFUSED = 5;
const BYTE_CLASSES: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code === 0x22 || code === AT_SIGN) return ENDS;
  return code < 0x20 || code > 0x7e || code === 0x5c ? REFUSED : (CLASSES[code] ?? REFUSED);
});
const DIGITS_MIN = 9;
const SEPARATORS_MAX = 3;

export interface Suspicion {
  /**
   * Whether a text is worth a closer look; an `@` alone is not where e-mail addresses stay. A text for
   * which it returns false holds nothing that a detector would report.
   */
  isSuspicious(text: string, keepEmails: boolean): boolean;
  /**
   * The same of a JSON string in its bytes, for text of printable ASCII that needs no escape: where
   * its closing quote stands; -1 for any other text, and when it is worth a closer look or not plainly
   * none. `at` is behind the opening quote; a byte that is no such text MUST follow the string.
   */
  endOfCleanText(bytes: Buffer, at: number, keepEmails: boolean): number;
}

/** Creates the test. `names` are the application's own sensitive names: their words tell as well. */
export function createSuspicion(names: readonly string[]): Suspicion {
  const own = names.flatMap((name) => name.toLowerCase().match(/[a-z\d]{2,}/g) ?? []);
  const word = own.length === 0 ? WORD : new RegExp(`${WORD.source}|${own.join('|')}`, 'i');

  return {
    isSuspicious: (text, keepEmails) => {
      const verdict = scan(text, keepEmails);
      return verdict === HIT || (verdict === SIGN && word.test(text));
    },
    endOfCleanText: (bytes, at, keepEmails) => {
      const end = scanBytes(bytes, at, keepEmails);
      if (end >= 0 || end === NOT_CLEAN) return end;
      // Complemented: a sign was seen.
      return word.test(bytes.toString('latin1', at, ~end)) ? NOT_CLEAN : ~end;
    },
  };
}

const CLEAN = 0;
const SIGN = 1;
const HIT = 2;

function scan(text: string, keepEmails: boolean): number {
  let stateA = 0;
  let stateB = 0;
  let stateC = 0;
  let seenC = 0;
  let digits = 0;
  let separators = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // An address may also be the tail of a URL that has a password in it.
    if (code > 127 || (code === AT_SIGN && (!keepEmails || text.includes('://')))) return HIT;
    stateA = ((stateA << 1) | HARD_A.firsts) & (HARD_A.masks[code] ?? 0);
    stateB = ((stateB << 1) | HARD_B.firsts) & (HARD_B.masks[code] ?? 0);
    if (((stateA & HARD_A.lasts) | (stateB & HARD_B.lasts)) !== 0) return HIT;
    stateC = ((stateC << 1) | SOFT_C.firsts) & (SOFT_C.masks[code] ?? 0);
    seenC |= stateC;
    const kind = CLASSES[code] ?? 0;
    if (kind === 1) {
      if (++digits === DIGITS_MIN) return HIT;
      separators = 0;
    } else if (kind === 0) {
      digits = 0;
    } else if (kind === 3) {
      return HIT;
    } else if (++separators > SEPARATORS_MAX) {
      digits = 0;
    }
  }
  return (seenC & SOFT_C.lasts) === 0 ? CLEAN : SIGN;
}

const QUOTE = 0x22;
const NOT_CLEAN = -1;

/** As scan, up to the closing quote, whose place it returns: complemented when a sign was seen. */
function scanBytes(bytes: Buffer, from: number, keepEmails: boolean): number {
  let stateA = 0;
  let stateB = 0;
  let stateC = 0;
  let seenC = 0;
  let digits = 0;
  let separators = 0;
  let addresses = 0;
  for (let at = from; ; at++) {
    const code = bytes[at] ?? 0;
    const kind = BYTE_CLASSES[code] ?? REFUSED;
    if (kind >= ENDS) {
      if (code !== QUOTE) {
        if (kind === REFUSED || !keepEmails) return NOT_CLEAN;
        addresses++;
      } else {
        const hasSign = (seenC & SOFT_C.lasts) !== 0;
        if (!hasSign) return at;
        // An address may be the tail of a URL: the longer way tells.
        return addresses > 0 ? NOT_CLEAN : ~at;
      }
    }
    stateA = ((stateA << 1) | HARD_A.firsts) & (HARD_A.masks[code] ?? 0);
    stateB = ((stateB << 1) | HARD_B.firsts) & (HARD_B.masks[code] ?? 0);
    if (((stateA & HARD_A.lasts) | (stateB & HARD_B.lasts)) !== 0) return NOT_CLEAN;
    stateC = ((stateC << 1) | SOFT_C.firsts) & (SOFT_C.masks[code] ?? 0);
    seenC |= stateC;
    if (kind === 1) {
      if (++digits === DIGITS_MIN) return NOT_CLEAN;
      separators = 0;
    } else if (kind !== 2) {
      digits = 0;
    } else if (++separators > SEPARATORS_MAX) {
      digits = 0;
    }
  }
}
