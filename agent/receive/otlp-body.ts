/**
 * Request bodies, bounded on the wire, while inflating and over all connections together.
 * A refused body is drained up to a limit before the answer: a client that is still writing when the
 * connection closes would see a reset instead of the reason.
 */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { codeOf, err, ok, type Result } from '../../schemas/result.ts';
import type { HttpFault } from './otlp-answer.ts';

/** Bodies of all connections held at one time. */
export const BUFFERED_BYTES_MAX: number = 64 * 1024 * 1024;
/** Most of a refused body that is read and thrown away. */
const DRAIN_BYTES_MAX = 32 * 1024 * 1024;

const inflateGzip = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

/** Bytes one request holds of what all requests may hold. */
export interface Lease {
  /** False when the bytes are not to be had now. */
  take(bytes: number): boolean;
  release(): void;
}

export interface BodyBudget {
  lease(): Lease;
}

/** Creates the budget that all requests share. */
export function createBodyBudget(bytesMax: number = BUFFERED_BYTES_MAX): BodyBudget {
  let held = 0;
  return {
    lease: () => {
      let own = 0;
      return {
        take: (bytes) => {
          if (held + bytes > bytesMax) return false;
          held += bytes;
          own += bytes;
          return true;
        },
        release: () => {
          held -= own;
          own = 0;
        },
      };
    },
  };
}

/** Reads a body, inflated; `unread` says whether the client may still be sending. */
export async function readBody(
  request: IncomingMessage,
  bytesMax: number,
  lease: Lease,
): Promise<Result<Buffer, HttpFault>> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').toLowerCase();
  if (encoding !== 'gzip' && encoding !== 'identity') {
    const message = 'Content-Encoding must be gzip or identity';
    const headers = { 'Accept-Encoding': 'gzip' };
    return err({ status: 415, kind: 'unsupported_encoding', message, headers });
  }
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return err(tooLarge(bytesMax));
  const raw = await readRaw(request, bytesMax, lease);
  if (!raw.ok || encoding === 'identity') return raw;
  try {
    const body = await inflateGzip(raw.value, { maxOutputLength: bytesMax });
    return lease.take(body.length) ? ok(body) : err(busy());
  } catch (error) {
    if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') return err(tooLarge(bytesMax));
    return err({ status: 400, kind: 'malformed', message: 'the body is not gzip' });
  }
}

async function readRaw(
  request: IncomingMessage,
  bytesMax: number,
  lease: Lease,
): Promise<Result<Buffer, HttpFault>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      const piece = Buffer.from(chunk);
      bytes += piece.length;
      if (bytes > bytesMax) return err(tooLarge(bytesMax));
      if (!lease.take(piece.length)) return err(busy());
      chunks.push(piece);
    }
  } catch {
    return err({ status: 400, kind: 'aborted', message: 'the body ended early' });
  }
  return ok(Buffer.concat(chunks, bytes));
}

/** Reads and forgets what is left of a body, up to a limit; false when there is still more. */
export async function drainBody(request: IncomingMessage): Promise<boolean> {
  if (request.readableEnded || request.destroyed) return true;
  if (Number(request.headers['content-length'] ?? 0) > DRAIN_BYTES_MAX) return false;
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      bytes += Buffer.from(chunk).length;
      if (bytes > DRAIN_BYTES_MAX) return false;
    }
    return true;
  } catch {
    // The client went away: nobody is left to answer.
    return false;
  }
}

function tooLarge(bytesMax: number): HttpFault {
  const message = `the body is larger than ${bytesMax} bytes; send smaller batches`;
  return { status: 413, kind: 'too_large', message };
}

function busy(): HttpFault {
  const message = 'too many requests at one time; send it again later';
  return { status: 429, kind: 'backpressure', message, retryAfterSeconds: 1 };
}
