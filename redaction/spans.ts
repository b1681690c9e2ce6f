/**
 * Spans: places in a text that must not stay, and how overlapping ones become one.
 */
import type { RedactionKind } from './rules.ts';

/** A place [start, end) in a text, with what was recognised there, in normal form. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly kind: RedactionKind;
  /** What a token or the last four digits are made of; '' where the marker says nothing. */
  readonly value: string;
}

/** Sorts spans and joins overlapping ones; of a joined pair the longer match gives the kind. */
export function mergeSpans(spans: readonly Span[]): readonly Span[] {
  const sorted = [...spans].sort((a, b) => a.start - b.start || b.end - a.end);
  const merged: Span[] = [];
  for (const span of sorted) {
    const previous = merged.at(-1);
    if (previous === undefined || span.start >= previous.end) {
      merged.push(span);
      continue;
    }
    const longer = span.end - span.start > previous.end - previous.start ? span : previous;
    merged[merged.length - 1] = {
      ...longer,
      start: previous.start,
      end: Math.max(previous.end, span.end),
    };
  }
  return merged;
}
