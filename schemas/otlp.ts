/**
 * OTLP logs, as much of them as the receiver reads (opentelemetry-proto 1.x, collector/logs/v1 and
 * logs/v1). Protobuf and JSON bodies both become this form, whose values look like OTLP/JSON: 64-bit
 * integers as decimal text, ids as lower-case hex, bytes as base64.
 */
import type { Refusal } from './refusal.ts';
import type { Result } from './result.ts';

/** Deepest nesting of an attribute's value, the value itself being level 1. */
export const ANY_VALUE_DEPTH_MAX = 16;
/** Most records one request may carry. */
export const OTLP_RECORDS_MAX = 4096;
/** Most values (attributes, array items, members) one request may carry. */
export const OTLP_VALUES_MAX = 262_144;

export type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  /** Decimal text of a signed 64-bit integer. */
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: readonly AnyValue[] }
  | { readonly kvlistValue: Attributes }
  /** Base64. */
  | { readonly bytesValue: string }
  /** The empty value. */
  | { readonly empty: true };

/** By name; a name that came twice was refused. */
export type Attributes = ReadonlyMap<string, AnyValue>;

export interface OtlpRecord {
  /** Nanoseconds since the epoch; 0 when unset. */
  readonly timeUnixNano: bigint;
  readonly observedTimeUnixNano: bigint;
  /** Empty when unset. */
  readonly eventName: string;
  readonly body: AnyValue | null;
  readonly attributes: Attributes;
  /** 32 lower-case hex digits, or null. */
  readonly traceId: string | null;
  /** 16 lower-case hex digits, or null. */
  readonly spanId: string | null;
}

/** A record with the resource that sent it, or why it cannot be read. */
export interface ReceivedRecord {
  readonly resource: Attributes;
  readonly record: Result<OtlpRecord, Refusal>;
}

/** Numbers of google.rpc.Code that the receiver answers with. */
export const RpcCode = {
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;
export type RpcCode = (typeof RpcCode)[keyof typeof RpcCode];
