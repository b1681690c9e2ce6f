/**
 * From an HTTP request to the context that record() and the logger read, and from the context to
 * the headers of a call downstream. Shared by the Fastify plugin and the Express middleware.
 */
import { isIP } from 'node:net';
import { ulid } from 'ulid';
import { findPersonal } from '../redaction/personal.ts';
import { activeSpan, currentContext, currentCorrelation, type AuditContext } from './context.ts';
import { formatTraceparent, parseTraceparent, randomSpanId, randomTraceId } from './traceparent.ts';

/** What is needed of a request; Fastify's and Express's both have it. */
export interface HttpRequest {
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined };
  /** The client's address, as the framework (and its proxy setting) understands it. */
  readonly ip?: string | undefined;
  readonly socket?: { readonly remoteAddress?: string | undefined };
}

export interface HttpContextOptions {
  /** Header that carries the request id in and out. Default: `x-request-id`. */
  readonly requestIdHeader?: string;
  /** False: an inbound request id is replaced. Default: true. */
  readonly trustRequestId?: boolean;
}

/** The context of one HTTP request. */
export interface HttpContext extends AuditContext {
  readonly request_id: string;
  readonly trace_id: string;
}

export const REQUEST_ID_HEADER = 'x-request-id';
/** Visible, harmless in logs and shells, and short. */
const SANE_REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}$/;
/** `first.last`: more likely a person's name than an id. */
const DOTTED_WORDS = /^[A-Za-z]+(?:[._][A-Za-z]+)+$/;
const USER_AGENT_MAX = 512;

/**
 * Reads a request. Trace: a valid traceparent, else the active span, else a new id. Request id:
 * a sane inbound one in which nobody is named, else a new ULID: application log and audit event then share that.
 */
export function readHttpContext(request: HttpRequest, options: HttpContextOptions): HttpContext {
  // Node gives header names in lower case.
  const inboundId = request.headers[(options.requestIdHeader ?? REQUEST_ID_HEADER).toLowerCase()];
  const parent = parseTraceparent(request.headers['traceparent']);
  const span = activeSpan();
  const spanId = parent?.parentId ?? span?.spanId;
  const userAgent = request.headers['user-agent'];
  return {
    request_id:
      options.trustRequestId !== false && typeof inboundId === 'string' && isOpaqueId(inboundId)
        ? inboundId
        : ulid(),
    trace_id: parent?.traceId ?? span?.traceId ?? randomTraceId(),
    ...(spanId === undefined ? {} : { span_id: spanId }),
    ...(parent === null ? {} : { trace_flags: parent.flags }),
    source: {
      ip: readAddress(request.ip ?? request.socket?.remoteAddress),
      user_agent: typeof userAgent === 'string' ? cleanText(userAgent) : null,
    },
  };
}

/** Nobody is named in it, as far as its form tells. */
function isOpaqueId(id: string): boolean {
  return SANE_REQUEST_ID.test(id) && !DOTTED_WORDS.test(id) && findPersonal(id).length === 0;
}

/** An IPv6 zone is local to the host, and no part of an address in an event. */
function readAddress(address: string | undefined): string | null {
  const bare = address?.split('%')[0] ?? '';
  return isIP(bare) === 0 ? null : bare;
}

/** A header is not to make an event invalid. */
function cleanText(text: string): string {
  return text.replaceAll('\u0000', '').slice(0, USER_AGENT_MAX).toWellFormed();
}

/**
 * Headers for a call to another service, so that its trace and logs join this request:
 * traceparent and x-request-id. Empty outside of any context.
 */
export function downstreamHeaders(): { [name: string]: string } {
  const { request_id: requestId, trace_id: traceId } = currentCorrelation();
  const headers: { [name: string]: string } = {};
  if (requestId !== undefined) headers[REQUEST_ID_HEADER] = requestId;
  if (traceId === undefined) return headers;
  const span = activeSpan();
  const ours = span?.traceId === traceId ? span : null;
  headers['traceparent'] = formatTraceparent({
    traceId,
    // The callee's parent is our span; without one, a fresh id stands for this hop.
    parentId: ours?.spanId ?? randomSpanId(),
    flags: ours?.traceFlags.toString(16).padStart(2, '0') ?? currentContext().trace_flags ?? '01',
  });
  return headers;
}
