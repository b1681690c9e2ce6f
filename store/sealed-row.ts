/**
 * A row of audit.sealed_records as a verifier reads it, and the columns on which it must agree with
 * the event beside it. Only the event is hashed; the columns are what queries go by.
 */
import type { SealedEvent } from '../schemas/record.ts';
import { occurredAtMs, TEXT_COLUMNS } from './rows.ts';

export interface SealedRow {
  readonly seq: string;
  readonly event_bytes: string;
  readonly prev_hash: string;
  readonly this_hash: string;
  /** Milliseconds since the epoch; with a fraction where somebody put one. */
  readonly occurred_at: string;
  readonly received_at: string;
  /** `true`: another record of the event is the one that is shown; no hash says so. */
  readonly duplicate: string;
  readonly [textColumn: string]: string | null;
}

/** What to SELECT for it. */
export const SEALED_ROW_COLUMNS: string = `seq, event_bytes, prev_hash, this_hash, duplicate::text AS duplicate,
  trim_scale(extract(epoch FROM occurred_at) * 1000)::text AS occurred_at,
  trim_scale(extract(epoch FROM received_at) * 1000)::text AS received_at,
  ${[...TEXT_COLUMNS.keys()].join(', ')}`;

/** Every column and what the event says of it. */
const EXPECTED: readonly (readonly [string, (event: SealedEvent) => string | null])[] = [
  ['seq', (event) => String(event.chain.seq)],
  ['occurred_at', (event) => String(occurredAtMs(event))],
  ['received_at', (event) => String(Date.parse(event.chain.received_at))],
  ...TEXT_COLUMNS,
];

/** Names the columns that say something else than the event; an event of any form is no error. */
export function findDifferences(row: SealedRow, event: SealedEvent): string[] {
  return EXPECTED.filter(([name, of]) => row[name] !== tell(of, event)).map(([name]) => name);
}

function tell(of: (event: SealedEvent) => string | null, event: SealedEvent): unknown {
  try {
    return of(event);
  } catch {
    // A forged event may lack the member: then it says nothing that a column could agree with.
    return undefined;
  }
}
