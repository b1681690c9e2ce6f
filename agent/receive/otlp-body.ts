/**
 * Request bodies, bounded on the wire, while inflating and over all connections together.
 * A refused body is drained up to a limit before the answer: a client that is still writing when the
 * connection closes would see a reset instead of the reason.
 */
import type { IncomingMessage } from 'node:http';
import { createGunzip } from 'node:zlib';
import { createByteGatherer } from '../../schemas/byte-gatherer.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { HttpFault } from './otlp-answer.ts';

/** Bodies of all connections held at one time. */
export const BUFFERED_BYTES_MAX: number = 64 * 1024 * 1024;
/** Most of a refused body that is read and thrown away. */
const DRAIN_BYTES_MAX = 32 * 1024 * 1024;

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

/** Reads a body and inflates it; an error leaves what the client still sends unread. */
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
  const pieces = request.iterator({ destroyOnReturn: false });
  const raw = await gather(pieces, bytesMax, lease, ENDED_EARLY);
  if (!raw.ok || encoding === 'identity') return raw;
  const inflating = createGunzip();
  inflating.end(raw.value);
  return gather(inflating, bytesMax, lease, NOT_GZIP);
}

/** Joins pieces, each of which is paid for before it is kept. */
async function gather(
  pieces: AsyncIterable<unknown>,
  bytesMax: number,
  lease: Lease,
  broken: HttpFault,
): Promise<Result<Buffer, HttpFault>> {
  const gatherer = createByteGatherer();
  try {
    for await (const piece of pieces) {
      // Nobody sets an encoding, so these streams yield nothing else.
      const bytes = piece as Buffer;
      if (gatherer.size() + bytes.length > bytesMax) return err(tooLarge(bytesMax));
      if (!lease.take(bytes.length)) return err(busy());
      gatherer.add(bytes);
    }
  } catch {
    // A client that went away, or bytes that are no gzip: the caller says which.
    return err(broken);
  }
  return ok(gatherer.take());
}

/** Reads and forgets what is left of a body, up to a limit; false when there is still more. */
export async function drainBody(request: IncomingMessage): Promise<boolean> {
  if (request.readableEnded || request.destroyed) return true;
  if (Number(request.headers['content-length'] ?? 0) > DRAIN_BYTES_MAX) return false;
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      bytes += (chunk as Buffer).length;
      if (bytes > DRAIN_BYTES_MAX) return false;
    }
    return true;
  } catch {
    // The client went away: nobody is left to answer.
    return false;
  }
}

const ENDED_EARLY: HttpFault = { status: 400, kind: 'aborted', message: 'the body ended early' };
const NOT_GZIP: HttpFault = { status: 400, kind: 'malformed', message: 'the body is not gzip' };

function tooLarge(bytesMax: number): HttpFault {
  const message = `the body is larger than ${bytesMax} bytes; send smaller batches`;
  return { status: 413, kind: 'too_large', message };
}

function busy(): HttpFault {
  const message = 'too many requests at one time; send it again later';
  return { status: 429, kind: 'backpressure', message, retryAfterSeconds: 1 };
}
