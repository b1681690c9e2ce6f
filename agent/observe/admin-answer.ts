/** Answers of the admin server, and the faults it gives: always JSON, always final. */
import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';

export interface AdminAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Goes on writing after the head, and ends the answer; there is no `body` then. */
  readonly stream?: (out: Writable) => void;
}

/** A JSON answer, with a line end for people with curl. */
export function jsonAnswer(status: number, value: unknown): AdminAnswer {
  return { status, type: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}

/** A fault; the message says what to do. */
export function faultAnswer(
  status: number,
  kind: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): AdminAnswer {
  return { ...jsonAnswer(status, { error: { kind, message } }), headers };
}

/**
 * Sends an answer and ends the connection: scrapes are seconds apart, and a connection that is kept
 * would only stand in the way of a stop.
 */
export function sendAnswer(response: ServerResponse, answer: AdminAnswer): void {
  response.writeHead(answer.status, {
    'Content-Type': answer.type,
    ...(answer.stream === undefined && { 'Content-Length': Buffer.byteLength(answer.body) }),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
    ...answer.headers,
  });
  if (answer.stream === undefined || response.req.method === 'HEAD') response.end(answer.body);
  else answer.stream(response);
}
