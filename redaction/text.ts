/**
 * Redaction of one string: detectors look at it as it stands, folded, unescaped and decoded from
 * Base64, and whatever any reading shows is replaced in the source. Repeated until nothing more
 * is found, which is what makes a second pass over the result find nothing.
 */
import { ASCII_BASE64, detect, type DetectOptions } from './detectors.ts';
import { marker, maskProtected, panMarker } from './markers.ts';
import { findPersonal } from './personal.ts';
import type { RedactionKind } from './rules.ts';
import { mergeSpans, type Span } from './spans.ts';
import {
  foldView,
  hasEscapes,
  hasInvisibleBetweenDigits,
  needsFolding,
  plainView,
  unescapeView,
  type View,
} from './views.ts';

/** A string after redaction; `kinds` is empty when it was clean. */
export interface RedactedText {
  readonly text: string;
  readonly kinds: readonly RedactionKind[];
}

/** Makes the token of a value; bound to a tenant. */
export type Tokenize = (kind: RedactionKind, normalized: string) => string;

const PASSES_MAX = 6;
const DECODE_DEPTH_MAX = 3;
const TOKEN_KINDS: ReadonlySet<RedactionKind> = new Set(['ssn', 'national_id', 'iban', 'email']);

/** Redacts a string; null when it is clean, which one pass of a few tests usually tells. */
export function redactText(
  text: string,
  options: DetectOptions,
  tokenize: Tokenize,
): RedactedText | null {
  const isSuspicious = options.suspicion.isSuspicious(text, options.keepEmails);
  if (!isSuspicious && !(options.isOpaque === true && findPersonal(text).length > 0)) return null;
  const kinds = new Set<RedactionKind>();
  let current = text;
  for (let pass = 0; pass < PASSES_MAX; pass++) {
    const spans = mergeSpans(findSpans(maskProtected(current), options, 0));
    if (spans.length === 0) break;
    for (const span of spans) kinds.add(span.kind);
    const next = replaceSpans(current, spans, options.isOpaque === true ? null : tokenize);
    if (next === current) break;
    // What is still changing after so many passes is written to confuse: nothing of it stays.
    current = pass === PASSES_MAX - 1 ? marker('secret') : next;
  }
  return current === text ? null : { text: current, kinds: [...kinds].sort() };
}

/** Spans in the text, whichever reading shows them. */
function findSpans(text: string, options: DetectOptions, depth: number): readonly Span[] {
  const spans: Span[] = [...findEncoded(text, options, depth)];
  if (!needsFolding(text) && !hasEscapes(text)) return [...spans, ...detect(text, options)];
  const plain = plainView(text);
  const folded = foldView(plain);
  const unescaped = hasEscapes(folded.text) ? unescapeView(folded) : null;
  for (const view of readingsOf(folded, unescaped, plain))
    spans.push(...onView(view, (reading) => detect(reading, options)));
  if (unescaped !== null)
    spans.push(...onView(foldView(unescaped), (reading) => findEncoded(reading, options, depth)));
  return spans;
}

/** Without escapes and look-alikes; and once more where what nobody sees may stand for dashes. */
function readingsOf(folded: View, unescaped: View | null, plain: View): readonly View[] {
  const sources = unescaped === null ? [plain] : [plain, unescapeView(plain)];
  const dashed = sources
    .filter((view) => hasInvisibleBetweenDigits(view.text))
    .map((view) => foldView(view, '-'));
  return [folded, ...(unescaped === null ? [] : [foldView(unescaped)]), ...dashed];
}

function onView(view: View, find: (text: string) => readonly Span[]): readonly Span[] {
  return find(view.text).map((span) => ({
    ...span,
    start: view.starts[span.start] ?? 0,
    end: view.ends[span.end - 1] ?? 0,
  }));
}

const BASE64_RUN = /[A-Za-z0-9+/_-]{12,}={0,2}/g;

/** Base64 runs, at any of the four alignments, whose decoded text holds something. */
function findEncoded(text: string, options: DetectOptions, depth: number): readonly Span[] {
  const spans: Span[] = [];
  if (depth >= DECODE_DEPTH_MAX || !ASCII_BASE64.test(text)) return spans;
  for (const match of text.matchAll(BASE64_RUN)) {
    if (!ASCII_BASE64.test(match[0])) continue;
    for (let shift = 0; shift < 4; shift++) {
      const decoded = Buffer.from(match[0].slice(shift), 'base64').toString('utf8');
      if (
        !options.suspicion.isSuspicious(decoded, options.keepEmails) ||
        findSpans(decoded, options, depth + 1).length === 0
      )
        continue;
      const end = match.index + match[0].length;
      spans.push({ start: match.index, end, kind: 'encoded', value: '' });
      break;
    }
  }
  return spans;
}

/** `tokenize` is null where not even a token of a person may stay. */
function replaceSpans(text: string, spans: readonly Span[], tokenize: Tokenize | null): string {
  let result = '';
  let at = 0;
  for (const span of spans) {
    result += text.slice(at, span.start) + replacement(span, tokenize);
    at = span.end;
  }
  return result + text.slice(at);
}

function replacement(span: Span, tokenize: Tokenize | null): string {
  if (span.kind === 'pan') return panMarker(span.value.slice(-4));
  if (!TOKEN_KINDS.has(span.kind)) return marker(span.kind);
  return tokenize === null ? marker('personal') : tokenize(span.kind, span.value);
}
