/**
 * Ports: the types through which the stages meet. Stages import these and never one another;
 * agent.ts hands each stage what it needs.
 */
import type { ChainHash } from '../schemas/brand.ts';
import type { CanonicalEvent } from '../schemas/canonical-event.ts';
import type { AuditEvent, Origin } from '../schemas/event.ts';
import type { Receipt, SealedEvent } from '../schemas/record.ts';
import type { Refusal } from '../schemas/refusal.ts';
import type { Result } from '../schemas/result.ts';

/** An event that has passed admission: checked, redacted, in canonical form, ready to seal. */
export interface AdmittedEvent {
  readonly tenant: string;
  readonly retention_class: string;
  /** The redacted event. */
  readonly canonical: CanonicalEvent;
  readonly origin?: Origin;
}

/** Decides whether an event may enter. Pure: no I/O, no state. */
export interface Admission {
  /** A line of JSON as it came off a socket: bytes [start, end), before its newline. */
  admitLine(
    bytes: Buffer,
    start: number,
    end: number,
    allowed: TenantAllowList,
  ): Result<AdmittedEvent, Refusal>;
  /** An event a receiver built itself (OTLP). */
  admitEvent(event: AuditEvent, allowed: TenantAllowList): Result<AdmittedEvent, Refusal>;
}

/** Tenants a connection may write for. */
export interface TenantAllowList {
  has(tenant: string): boolean;
}

/**
 * Most bytes that the events of one request may take in the ledger; a larger one is refused whole. It
 * bounds memory, and with it recovery tells the torn tail of one commit from corruption.
 */
export const APPEND_BYTES_MAX: number = 16 * 1024 * 1024;

export interface AppendRequest {
  readonly producer: string;
  /** Producer number of each event; a foreign client (OTLP) has none: null. */
  readonly firstSeq: number | null;
  /** In order; a refused event keeps its place, so that numbers stay right. */
  readonly events: readonly Result<AdmittedEvent, Refusal>[];
}

export type AppendOutcome =
  | { readonly kind: 'appended'; readonly receipt: Receipt }
  /** Acked before: nothing was appended. */
  | { readonly kind: 'duplicate'; readonly receipt: Receipt }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

export interface Appender {
  /**
   * Seals and stores a batch; resolves after the fsync, one outcome per event, in order.
   * One promise a batch. MUST NOT reject for anything a disk can cause.
   */
  append(request: AppendRequest): Promise<readonly AppendOutcome[]>;
  /** Notes numbers that the producer says were refused (HELLO): they are no gap. */
  noteRefused(producer: string, seqs: readonly number[]): void;
  /** False while the queue is full: receivers stop reading until `whenRoom` resolves. */
  hasRoom(): boolean;
  /** All who wait are told at once, so ask again before taking the room. */
  whenRoom(): Promise<void>;
}

/** A sealed record on its way to a sink. */
export interface DeliveryRecord {
  /** Place in the ledger, 0-based over all streams. */
  readonly number: number;
  readonly event: SealedEvent;
  /** The bytes that were hashed, verbatim. */
  readonly eventText: string;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

/** What a sink says of a batch. Anything not named as retry or poison is confirmed durable there. */
export type DeliveryResult =
  | {
      readonly kind: 'delivered';
      /** Indexes to send again, at once or after retryAfterMs. */
      readonly retry: readonly number[];
      /** Records the sink will never take, each with its reason. */
      readonly poison: readonly { readonly index: number; readonly reason: string }[];
      /** Why records are to be sent again, where there are any. */
      readonly reason?: string;
      readonly retryAfterMs?: number;
    }
  /** The whole batch failed and may be sent again. */
  | { readonly kind: 'failed'; readonly reason: string; readonly retryAfterMs?: number }
  /** The batch was too large for the sink: send it in halves; a single record becomes poison. */
  | { readonly kind: 'too_large'; readonly reason: string };

/** A place of the chain that another agent has filled, from a copy of this ledger. */
export interface Fork {
  readonly stream: string;
  /** Without event contents. */
  readonly reason: string;
}

/** Where a ledger ends. */
export interface LastIncarnation {
  readonly incarnation: string;
  /** Its last start was followed by a stop. */
  readonly isClean: boolean;
}

/** Why a ledger must not go on where it ends. */
export interface StartDoubt {
  /** unconfirmed: nobody shows that there was more of it, and nobody could say that there was not. */
  readonly kind: 'rollback' | 'fork' | 'unconfirmed';
  /** In a sentence, with the log and the checkpoint that was seen. */
  readonly reason: string;
}

export interface Sink {
  readonly name: string;
  /**
   * Sends a batch; idempotent per record. One call at a time. Never throws for what a peer or network
   * can cause.
   */
  deliver(records: readonly DeliveryRecord[], signal: AbortSignal): Promise<DeliveryResult>;
  /** Only of a sink that cannot tell a repeated record by itself. */
  readonly place?: SinkPlace;
  /** So long records gather for a batch that is not full; absent: what there is goes at once. */
  readonly gatherMs?: number;
  close(): Promise<void>;
}

/** How far a sink like a file has come; plain numbers, kept beside the cursor. */
export type SinkMark = Readonly<Record<string, number>>;

/** Lets cursor and sink go back together after a crash: what was not kept is written over. */
export interface SinkPlace {
  /** Takes up the mark kept with the cursor (null: a new sink); resolves with where the sink is. */
  restore(kept: SinkMark | null): Promise<Result<SinkMark, string>>;
  /** After the last confirmed batch. */
  current(): SinkMark;
}

/** One delivery of a batch, for metrics and traces. */
export interface DeliveryReport {
  readonly sink: string;
  readonly records: number;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
  readonly durationMs: number;
  readonly outcome: 'delivered' | 'partial' | 'failed';
}

/** Records that a best-effort sink with a bound does not get; some of them may have arrived before. */
export interface SkippedRecords {
  readonly sink: string;
  /** Numbers of the first and the last. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** The limit of the bound that was passed. */
  readonly limit: 'records' | 'bytes' | 'age_ms';
}

/** A record that a sink will not take. */
export interface DeadLetter {
  /** When it was set aside, ISO 8601. */
  readonly at: string;
  readonly sink: string;
  readonly number: number;
  readonly stream: string;
  readonly seq: number;
  readonly event_id: string;
  /** Without event contents. */
  readonly reason: string;
  readonly attempts: number;
}

/** What came of sending dead letters again. */
export interface DeadLetterRetry {
  readonly delivered: number;
  readonly remaining: number;
}

/** What a reload did, or would do. Names of sections, never values. */
export interface ReloadReport {
  /** False: nothing was, or would be, changed; `faults` says why. */
  readonly ok: boolean;
  readonly faults: readonly string[];
  readonly applied: readonly string[];
  /** Changed in the file, and in force only after a restart. */
  readonly needs_restart: readonly string[];
}

/** What an operator did to the trail itself, as it was recorded: redacted, chained, fsynced. */
export interface RecordedOperation extends Receipt {
  readonly event_id: string;
  readonly metadata: AuditEvent['metadata'];
}

/** Counters and histograms, called once a batch, never once an event. */
export interface Meter {
  acks(count: number): void;
  nacks(kind: string, count: number): void;
  commit(records: number, bytes: number, fsyncSeconds: number): void;
  producerGap(count: number): void;
  connection(change: 1 | -1): void;
}

/** App log. MUST NOT be given event contents. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Time, so that tests can move it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
}
