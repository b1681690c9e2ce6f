/**
 * A message as a sealed record, by itself: whole, hashed as it states, and from whom it may come from.
 * Pure. What it says of its place in the chain is link.ts's to judge.
 */
import { hashRecord } from '../../ledger/chain.ts';
import { splitRecord } from '../../ledger/frame.ts';
import { CHAIN_VERSION, type Chain, type SealedEvent } from '../../schemas/record.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { memberOf, readJson } from '../../schemas/untrusted-json.ts';
import type { StoredRecord } from '../../store/store.ts';
import { subjectOf } from '../nats-subject.ts';

export type RefusalKind =
  /** No sealed record at all. */
  | 'malformed'
  /** The bytes do not have the hash that they state. */
  | 'altered'
  /** On the subject of another tenant or stream. */
  | 'subject_differs'
  /** The stream belongs to another tenant in the store. */
  | 'tenant_differs'
  /** Stream and number are taken by a record with another hash. */
  | 'fork'
  /** It links to another record than its neighbour in the store. */
  | 'link_broken'
  /** The database will never take it. */
  | 'poison';

/** A message of a JetStream consumer. */
export interface GatewayMessage {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Its number in the JetStream stream. */
  readonly number: number;
  /** How often it was handed out, this time counted. */
  readonly deliveries: number;
  ack(): void;
  /** Hands it back, to come again after so many milliseconds. */
  nak(delayMs: number): void;
  /** Gives it up. */
  term(): void;
}

/** A message with the record that it is. */
export interface Incoming {
  readonly message: GatewayMessage;
  readonly record: StoredRecord;
}

/** Why a message is never stored as a record. */
export interface Refused {
  readonly kind: RefusalKind;
  /** Without event contents. */
  readonly reason: string;
}

const STREAM = /^[A-Za-z0-9._/-]{1,512}$/;

/** Reads a message; the error says why it is no genuine record. */
export function readIncoming(
  subject: string,
  data: Uint8Array,
  prefix: string,
): Result<StoredRecord, Refused> {
  const text = decode(data);
  const parts = text === null ? null : splitRecord(text);
  if (parts === null) return refuse('malformed', 'the message is no sealed record');
  const { eventText, prev_hash, this_hash } = parts;
  if (hashRecord(prev_hash, eventText) !== this_hash)
    return refuse('altered', 'the event does not have the hash that the record states');
  const event = parseSealed(eventText);
  if (event === null) return refuse('malformed', 'the event has not the form of a sealed event');
  const { stream, seq } = event.chain;
  if (subjectOf(prefix, event.resource.tenant_id, stream) !== subject)
    return refuse(
      'subject_differs',
      `stream ${stream} seq ${seq} came on another subject than its tenant's`,
    );
  return ok({ event, eventText, prev_hash, this_hash });
}

function refuse(kind: RefusalKind, reason: string): Result<never, Refused> {
  return err({ kind, reason });
}

/** Bytes that are no UTF-8 would be stored as others than were hashed. */
function decode(data: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(data);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

/** Enough for the store to file it: the rest is as sealed, and a later version may have more. */
function parseSealed(text: string): SealedEvent | null {
  const value = readJson(text);
  const texts = [
    ...['event_id'].map((name) => memberOf(value, name)),
    ...['type', 'id'].map((name) => memberOf(memberOf(value, 'actor'), name)),
    ...['action', 'category', 'outcome', 'time'].map((name) =>
      memberOf(memberOf(value, 'event'), name),
    ),
    ...['type', 'id', 'tenant_id'].map((name) => memberOf(memberOf(value, 'resource'), name)),
  ];
  const orNull = ['request_id', 'trace_id'].map((name) =>
    memberOf(memberOf(value, 'correlation'), name),
  );
  const isWhole =
    texts.every((one) => typeof one === 'string') &&
    orNull.every((one) => one === null || typeof one === 'string') &&
    isChain(memberOf(value, 'chain'));
  return isWhole ? (value as SealedEvent) : null;
}

function isChain(value: unknown): value is Chain {
  const [v, stream, seq] = ['v', 'stream', 'seq'].map((name) => memberOf(value, name));
  const receivedAt = memberOf(value, 'received_at');
  return (
    v === CHAIN_VERSION &&
    typeof stream === 'string' &&
    STREAM.test(stream) &&
    Number.isSafeInteger(seq) &&
    Number(seq) >= 0 &&
    typeof receivedAt === 'string' &&
    !Number.isNaN(Date.parse(receivedAt))
  );
}
