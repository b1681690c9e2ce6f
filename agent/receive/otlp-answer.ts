/**
 * Answers of the OTLP receiver: `/v1/logs` in the request's own encoding with google.rpc.Status for
 * errors (OTLP 1.x, "OTLP/HTTP Response"), `/v1/audit` in JSON with the draft's status words.
 */
import type { ServerResponse } from 'node:http';
import type { AuditAnswer, AuditBatchAnswer, AuditStatus } from '../../schemas/otel-audit.ts';
import { RpcCode } from '../../schemas/otlp.ts';
import { encodeLogsResponse, encodeStatus } from './otlp-protobuf.ts';

export type Encoding = 'json' | 'protobuf';

/** A whole request refused. `kind` is what the nack metric counts. */
export interface HttpFault {
  readonly status: number;
  readonly kind: string;
  /** Names what to do about it; never quotes event contents. */
  readonly message: string;
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What is sent back. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

const CONTENT_TYPES: Readonly<Record<Encoding, string>> = {
  json: 'application/json',
  protobuf: 'application/x-protobuf',
};

const RPC_CODES: ReadonlyMap<number, number> = new Map([
  [400, RpcCode.invalidArgument],
  [401, RpcCode.unauthenticated],
  [403, RpcCode.permissionDenied],
  [404, RpcCode.notFound],
  [405, RpcCode.unimplemented],
  [408, RpcCode.aborted],
  [413, RpcCode.invalidArgument],
  [415, RpcCode.invalidArgument],
  [429, RpcCode.resourceExhausted],
  [503, RpcCode.unavailable],
]);

const AUDIT_STATUSES: ReadonlyMap<number, AuditStatus> = new Map<number, AuditStatus>([
  [401, 'rejected_authz'],
  [403, 'rejected_authz'],
  [429, 'failed_internal'],
  [500, 'failed_internal'],
  [503, 'failed_internal'],
]);

/** Builds the success answer of `/v1/logs`, partial when records were rejected. */
export function answerLogs(encoding: Encoding, rejected: number, message: string): Answer {
  const json =
    rejected === 0
      ? {}
      : { partialSuccess: { rejectedLogRecords: String(rejected), errorMessage: message } };
  const body = encoding === 'json' ? toJsonBytes(json) : encodeLogsResponse(rejected, message);
  return { status: 200, contentType: CONTENT_TYPES[encoding], body, headers: {} };
}

/** Builds the error answer of `/v1/logs` and of unknown paths. */
export function answerFault(encoding: Encoding, fault: HttpFault): Answer {
  const code = RPC_CODES.get(fault.status) ?? RpcCode.internal;
  const { message } = fault;
  const body = encoding === 'json' ? toJsonBytes({ code, message }) : encodeStatus(code, message);
  return {
    status: fault.status,
    contentType: CONTENT_TYPES[encoding],
    body,
    headers: headersOf(fault),
  };
}

/** Builds the error answer of `/v1/audit` for a request that never became records. */
export function answerAuditFault(fault: HttpFault): Answer {
  const retry = fault.retryAfterSeconds;
  const answer: AuditAnswer = {
    status: AUDIT_STATUSES.get(fault.status) ?? 'rejected_schema_invalid',
    reason: fault.message,
    ...(retry === undefined ? {} : { retry_after: retry }),
  };
  return { ...answerAudit(fault.status, answer), headers: headersOf(fault) };
}

/** Builds an answer of `/v1/audit`. */
export function answerAudit(status: number, answer: AuditAnswer | AuditBatchAnswer): Answer {
  const retry = answer.retry_after;
  const headers: Record<string, string> = {};
  if (retry !== undefined) headers['Retry-After'] = String(retry);
  return { status, contentType: CONTENT_TYPES.json, body: toJsonBytes(answer), headers };
}

function headersOf(fault: HttpFault): Readonly<Record<string, string>> {
  const retry = fault.retryAfterSeconds;
  return { ...fault.headers, ...(retry === undefined ? {} : { 'Retry-After': String(retry) }) };
}

function toJsonBytes(value: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Sends an answer; `last` also ends the connection. */
export function sendAnswer(response: ServerResponse, answer: Answer, last: boolean): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(last ? { Connection: 'close' } : {}),
    'Content-Type': answer.contentType,
    'Content-Length': String(answer.body.length),
  });
  response.end(answer.body);
}
