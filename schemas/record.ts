/**
 * The record: an event sealed into its stream, one line of NDJSON in the ledger.
 *
 *   {"event":E,"prev_hash":"<64 hex>","this_hash":"<64 hex>"}\n
 *
 * E is the RFC 8785 form of the event with the member `chain` added by the agent;
 * this_hash = hex(SHA-256(ascii(prev_hash) || utf8(E))). See docs/FORMAT.md.
 */
import type { ChainHash } from './brand.ts';
import type { AuditEvent } from './event.ts';

/** The record format this build writes. */
export const CHAIN_VERSION = 'sealtrail/1';

/** Where a record sits in its stream. */
export interface Chain {
  readonly v: typeof CHAIN_VERSION;
  readonly stream: string;
  /** 0-based, +1 within the stream. */
  readonly seq: number;
  /** Agent's clock, never falling within a stream; same form as event.time. */
  readonly received_at: string;
  /** 16 random bytes in hex: the hash cannot be guessed back from a known event. */
  readonly salt: string;
  readonly producer: {
    readonly id: string;
    readonly seq: number;
    /** How many numbers right before this one were refused, when any: no gap. */
    readonly refused?: number;
  };
}

export interface SealedEvent extends AuditEvent {
  readonly chain: Chain;
}

export interface SealedRecord {
  readonly event: SealedEvent;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

/** What a client gets back for an acked event. */
export interface Receipt {
  readonly stream: string;
  readonly seq: number;
  readonly this_hash: ChainHash;
}
