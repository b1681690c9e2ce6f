/**
 * One HTTP request from its head to its answer: path, method, who, encoding, room, body, signal. Each
 * check costs less than the next; a refusal is counted and says what to do. Never throws.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { Appender, Logger, Meter } from '../ports.ts';
import {
  answerAuditFault,
  answerFault,
  sendAnswer,
  type Answer,
  type Encoding,
  type HttpFault,
} from './otlp-answer.ts';
import { createBodyBudget, drainBody, readBody, type BodyBudget } from './otlp-body.ts';
import type { Gate } from './otlp-gate.ts';
import type { SignalHandler } from './otlp-logs.ts';

export interface RequestOptions {
  readonly appender: Appender;
  readonly meter: Meter;
  readonly log: Logger;
  readonly gate: Gate;
  readonly bodyBytesMax: number;
  readonly roomMs: number;
  readonly isClosing: () => boolean;
  readonly logs: SignalHandler;
  readonly audit: SignalHandler;
}

/** Requests under way at one time. Pipelined, a single connection could hold any number. */
const REQUESTS_MAX = 1024;

/** Creates the listener of `request` and `checkContinue`. */
export function createRequestHandler(
  options: RequestOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const budget = createBodyBudget();
  let underWay = 0;
  const isBusy = (): boolean => underWay > REQUESTS_MAX;

  return (request, response) => {
    // A client that goes away mid-answer is not our fault, and must not become an exception.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    underWay += 1;
    const handled = handleRequest(request, response, options, budget, isBusy);
    void handled
      .catch((error: unknown) => {
        // The message might quote event contents; the place in the code does not.
        const stack = error instanceof Error ? (error.stack ?? '').split('\n').slice(1, 4) : [];
        options.log.error({ stack }, 'the OTLP receiver failed on a request');
        options.meter.nacks('internal', 1);
        const fault = {
          status: 500,
          kind: 'internal',
          message: 'internal error; see the agent log',
        };
        sendAnswer(response, refuseAs(request, fault), true);
      })
      .finally(() => (underWay -= 1));
  };
}

async function handleRequest(
  request: IncomingMessage,
  response: ServerResponse,
  options: RequestOptions,
  budget: BodyBudget,
  isBusy: () => boolean,
): Promise<void> {
  const head = isBusy() ? err(TOO_MANY) : checkHead(request, options);
  if (!head.ok) {
    await refuseUnread(request, response, head.error, options.meter);
    return;
  }
  const full = await awaitRoom(options);
  if (full !== null) {
    await refuseUnread(request, response, full, options.meter);
    return;
  }
  const awaitsContinue = expectsContinue(request);
  if (awaitsContinue && declaredBytes(request) <= options.bodyBytesMax) response.writeContinue();
  const lease = budget.lease();
  try {
    const body = await readBody(request, options.bodyBytesMax, lease);
    if (!body.ok) {
      await refuseUnread(request, response, body.error, options.meter);
      return;
    }
    const { signal, encoding, allowed } = head.value;
    const answer = await options[signal](body.value, encoding, allowed);
    sendAnswer(response, answer, options.isClosing());
  } finally {
    lease.release();
  }
}

const TOO_MANY: HttpFault = {
  status: 429,
  kind: 'backpressure',
  message: 'too many requests at one time; send it again later',
  retryAfterSeconds: 1,
};

interface Head {
  readonly signal: 'logs' | 'audit';
  readonly encoding: Encoding;
  readonly allowed: Parameters<SignalHandler>[2];
}

function checkHead(request: IncomingMessage, options: RequestOptions): Result<Head, HttpFault> {
  const signal = signalOf(request);
  if (signal === null) {
    const message = 'no such path; send to /v1/logs or /v1/audit';
    return err({ status: 404, kind: 'not_found', message });
  }
  if (request.method !== 'POST') {
    const headers = { Allow: 'POST' };
    return err({ status: 405, kind: 'method_not_allowed', message: 'use POST', headers });
  }
  if (options.isClosing()) {
    const message = 'the agent is shutting down; send it again';
    return err({ status: 503, kind: 'shutting_down', message, retryAfterSeconds: 5 });
  }
  const allowed = options.gate.check(request);
  if (!allowed.ok) return allowed;
  const encoding = encodingOf(request);
  if (encoding === null) {
    const message = 'Content-Type must be application/x-protobuf or application/json';
    return err({ status: 415, kind: 'unsupported_media_type', message });
  }
  return ok({ signal, encoding, allowed: allowed.value });
}

function signalOf(request: IncomingMessage): 'logs' | 'audit' | null {
  const path = (request.url ?? '').split('?', 1)[0];
  if (path === '/v1/logs') return 'logs';
  return path === '/v1/audit' ? 'audit' : null;
}

function encodingOf(request: IncomingMessage): Encoding | null {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type === 'application/json') return 'json';
  return type === 'application/x-protobuf' ? 'protobuf' : null;
}

/** A full queue is mostly a matter of milliseconds: wait a little before sending the client away. */
async function awaitRoom(options: RequestOptions): Promise<HttpFault | null> {
  const { appender, roomMs } = options;
  if (appender.hasRoom()) return null;
  let isLate = false;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(() => resolve(void (isLate = true)), roomMs);
  });
  while (!appender.hasRoom() && !isLate) await Promise.race([appender.whenRoom(), late]);
  clearTimeout(timer);
  if (appender.hasRoom()) return null;
  const message = 'the append queue is full; send it again later';
  return { status: 429, kind: 'backpressure', message, retryAfterSeconds: 1 };
}

/** Refuses before the body was read: what the client still sends is thrown away first. */
async function refuseUnread(
  request: IncomingMessage,
  response: ServerResponse,
  fault: HttpFault,
  meter: Meter,
): Promise<void> {
  meter.nacks(fault.kind, 1);
  // Who waits for `100 Continue` has not sent the body and will not.
  const isDrained = !expectsContinue(request) && (await drainBody(request));
  sendAnswer(response, refuseAs(request, fault), !isDrained);
}

function refuseAs(request: IncomingMessage, fault: HttpFault): Answer {
  if (signalOf(request) === 'audit') return answerAuditFault(fault);
  return answerFault(encodingOf(request) ?? 'json', fault);
}

function expectsContinue(request: IncomingMessage): boolean {
  return request.headers.expect?.toLowerCase() === '100-continue';
}

function declaredBytes(request: IncomingMessage): number {
  return Number(request.headers['content-length'] ?? 0);
}
