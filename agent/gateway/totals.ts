/** What a gateway has done so far, and what it waits for: counted by its batches, read by its status. */
import type { Refused, RefusalKind } from './incoming.ts';

export const REFUSAL_KINDS: readonly RefusalKind[] = [
  'malformed',
  'altered',
  'subject_differs',
  'tenant_differs',
  'fork',
  'link_broken',
  'poison',
];

export interface GatewayCounts {
  readonly stored_total: number;
  readonly repeated_total: number;
  /** Times that a record was held or handed back because its predecessor was missing. */
  readonly early_total: number;
  readonly refused_total: Readonly<Record<RefusalKind, number>>;
  /** Streams that wait for a record. */
  readonly waiting: readonly {
    readonly stream: string;
    readonly missing: number;
    readonly seconds: number;
  }[];
  readonly last_error: string | null;
  readonly last_finding: string | null;
}

export interface GatewayTotals {
  stored(count: number): void;
  repeated(count: number): void;
  early(stream: string, missing: number): void;
  /** The record of a stream that was waited for may have come. */
  arrived(stream: string, seq: number): void;
  refused(why: Refused): void;
  failed(reason: string): void;
  /** What is waited for is another gateway's matter from here on. */
  forget(): void;
  counts(): GatewayCounts;
}

/** Streams listed; beyond them a stream is not waited for by name. */
const WAITING_MAX = 1_000;

/** Creates totals of nothing. */
export function createTotals(nowMs: () => number): GatewayTotals {
  const refused = Object.fromEntries(REFUSAL_KINDS.map((kind) => [kind, 0])) as Record<
    RefusalKind,
    number
  >;
  const waiting = new Map<string, { readonly missing: number; readonly sinceMs: number }>();
  let [stored, repeated, early] = [0, 0, 0];
  let lastError: string | null = null;
  let lastFinding: string | null = null;
  return {
    stored: (count) => {
      stored += count;
      if (count > 0) lastError = null;
    },
    repeated: (count) => void (repeated += count),
    early: (stream, missing) => {
      early += 1;
      const known = waiting.get(stream);
      if (known !== undefined && known.missing <= missing) return;
      if (known === undefined && waiting.size >= WAITING_MAX) return;
      waiting.set(stream, { missing, sinceMs: known?.sinceMs ?? nowMs() });
    },
    arrived: (stream, seq) => {
      const known = waiting.get(stream);
      if (known !== undefined && seq >= known.missing) waiting.delete(stream);
    },
    refused: ({ kind, reason }) => {
      refused[kind] += 1;
      lastFinding = `${kind}: ${reason}`;
    },
    failed: (reason) => void (lastError = reason),
    forget: () => waiting.clear(),
    counts: () => ({
      stored_total: stored,
      repeated_total: repeated,
      early_total: early,
      refused_total: { ...refused },
      waiting: [...waiting].map(([stream, { missing, sinceMs }]) => ({
        stream,
        missing,
        seconds: Math.round((nowMs() - sinceMs) / 1000),
      })),
      last_error: lastError,
      last_finding: lastFinding,
    }),
  };
}
