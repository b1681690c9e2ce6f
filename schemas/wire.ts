/**
 * The socket protocol's frames, version 1.
 *
 *   u32 BE  length of what follows (type and payload)
 *   u8      type: 1 HELLO, 2 BATCH, 3 ACK, 4 ERROR
 *   bytes   payload, UTF-8
 *
 * HELLO  both ways, JSON; the client speaks first.
 * BATCH  client -> agent: one line of JSON (BatchHeader), then one event a line (NDJSON,
 *        every line ended by \n). Events carry the producer numbers first_seq, +1, +1, …
 * ACK    agent -> client, JSON, one per BATCH, in the order of the batches. Everything not
 *        in `rejected` is fsynced.
 * ERROR  agent -> client, JSON Refusal; the connection ends after it.
 */
import type { ChainHash } from './brand.ts';
import type { Refusal } from './refusal.ts';
import type { Result } from './result.ts';

export const WIRE_VERSION = 1;
export const FRAME_HEADER_BYTES = 5;
/** Largest frame (type and payload) either side takes. */
export const FRAME_BYTES_MAX: number = 4 * 1024 * 1024;
/** Largest event, as JSON text in UTF-8. */
export const EVENT_BYTES_MAX: number = 64 * 1024;
export const BATCH_EVENTS_MAX = 4096;

export const FrameType = { hello: 1, batch: 2, ack: 3, error: 4 } as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export interface ClientHello {
  readonly version: number;
  readonly service: string;
  /** Producer id: 26 characters (ULID), new for each SDK instance. */
  readonly producer: string;
  /** Numbers refused since the last accepted one: they are no gap. */
  readonly refused?: readonly number[];
}

export interface AgentHello {
  readonly version: number;
  readonly agent: string;
  readonly software_version: string;
  readonly frame_bytes_max: number;
  readonly batch_events_max: number;
  readonly event_bytes_max: number;
}

export interface BatchHeader {
  /** Rises by one per connection, from 1. */
  readonly batch: number;
  /** Producer number of the first event; a resent event keeps its number. */
  readonly first_seq: number;
}

export interface Rejection extends Refusal {
  /** 0-based place in the batch. */
  readonly index: number;
}

/** [index into streams, seq, this_hash, 1 when it had been acked before]. */
export type ReceiptTuple =
  readonly [number, number, ChainHash] | readonly [number, number, ChainHash, 1];

export interface Ack {
  readonly batch: number;
  readonly streams: readonly string[];
  /** One place per event of the batch; null where it was rejected. */
  readonly receipts: readonly (ReceiptTuple | null)[];
  readonly rejected: readonly Rejection[];
}

export interface Frame {
  readonly type: number;
  readonly payload: Uint8Array;
}

/** Splits a byte stream into frames; keeps an incomplete one until its rest arrives. */
export interface FrameDecoder {
  /** Feeds bytes; returns whole frames, or the refusal that ends the connection. */
  push(bytes: Uint8Array): Result<readonly Frame[], Refusal>;
}
