/** A record as an investigation has it: what it says is taken from the bytes that were hashed. Pure. */
import { hashRecord } from '../../ledger/chain.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import { memberOf, readJson } from '../../schemas/untrusted-json.ts';

/** A row of the store, found by its columns. */
export interface FoundRow {
  readonly stream: string;
  readonly seq: string;
  readonly tenant_id: string;
  readonly event_bytes: string;
  readonly prev_hash: string;
  readonly this_hash: string;
}

export interface FoundEvent {
  readonly event: SealedEvent;
  readonly this_hash: string;
  /** Whether the record's own hash is that of its bytes; its chain is for `sealtrail verify`. */
  readonly isHashRight: boolean;
}

/** The event of a row; null: its bytes are none, so that somebody changed them. */
export function readFoundEvent({ event_bytes, prev_hash, this_hash }: FoundRow): FoundEvent | null {
  const event = readJson(event_bytes);
  if (!isSealedEvent(event)) return null;
  const isHashRight = hashRecord(prev_hash as ChainHash, event_bytes) === this_hash;
  return { event, this_hash, isHashRight };
}

/** What an investigation reads of an event. */
const TEXTS = [
  ...['event_id', 'event.action', 'event.outcome', 'event.time', 'actor.type', 'actor.id'],
  ...['resource.type', 'resource.id', 'resource.tenant_id', 'source.service', 'chain.stream'],
];
const OBJECTS = ['correlation', 'metadata'];

function isSealedEvent(value: unknown): value is SealedEvent {
  const at = (path: string): unknown => path.split('.').reduce(memberOf, value);
  return (
    TEXTS.every((path) => typeof at(path) === 'string') &&
    OBJECTS.every((path) => typeof at(path) === 'object' && at(path) !== null) &&
    typeof at('chain.seq') === 'number'
  );
}

/** Each record once, by time; of an event that was recorded again word for word, the first. */
export function mergeEvents(events: readonly FoundEvent[]): readonly FoundEvent[] {
  const unique = new Map<string, FoundEvent>();
  for (const one of events) {
    // The place is not the event's: what was sent twice has two.
    const said = JSON.stringify({ ...one.event, chain: null });
    if (!unique.has(said)) unique.set(said, one);
  }
  return [...unique.values()].sort((a, b) => a.event.event.time.localeCompare(b.event.event.time));
}
