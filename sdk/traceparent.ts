/**
 * The traceparent header of W3C Trace Context (level 1, section 3.2), read strictly: what is not
 * exactly right is treated as absent, as the recommendation asks. Pure, but for random ids.
 */
import { randomBytes } from 'node:crypto';

export interface TraceParent {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lower-case hex digits, not all zero: the caller's span. */
  readonly parentId: string;
  /** Two hex digits; bit 0 says "sampled". */
  readonly flags: string;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads the header; null where it is absent, repeated or malformed. */
export function parseTraceparent(header: unknown): TraceParent | null {
  if (typeof header !== 'string') return null;
  const match = FORM.exec(header);
  if (match === null) return null;
  const [, version, traceId, parentId, flags, rest] = match;
  if (traceId === undefined || parentId === undefined || flags === undefined) return null;
  // Version ff is forbidden; version 00 has exactly four fields, later ones may append some.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return null;
  return { traceId, parentId, flags };
}

/** Writes the header, version 00. */
export function formatTraceparent(parent: TraceParent): string {
  return `00-${parent.traceId}-${parent.parentId}-${parent.flags}`;
}

/** A random trace id. */
export function randomTraceId(): string {
  return randomBytes(16).toString('hex');
}

/** A random span id; never digits alone, which could be taken for a card number. */
export function randomSpanId(): string {
  for (;;) {
    const id = randomBytes(8).toString('hex');
    if (/[a-f]/.test(id)) return id;
  }
}
