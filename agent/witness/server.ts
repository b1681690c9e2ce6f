/**
 * The witness over HTTP: C2SP tlog-witness with one prefix for submission and monitoring, and a health probe.
 *
 *   POST /add-checkpoint              cosigns
 *   GET  /<origin hash>/checkpoint    the newest cosigned note of a log
 *   GET  /healthz                     200, or 503 with the reason while the last storing failed
 *
 * Nobody is asked who he is: the log's signature is. Bodies, waiting and connections are bounded.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { ADD_CHECKPOINT_PATH, SIZE_TYPE } from '../../ledger/witness-request.ts';
import type { Trust } from '../../ledger/trust.ts';
import { messageOf, type Result } from '../../schemas/result.ts';
import { createLogLimit } from '../log-limit.ts';
import type { Logger } from '../ports.ts';
import type { Cosigning } from './cosigning.ts';
import { readSubmission } from './decide.ts';

/** 63 lines of proof and a note with a dozen signatures take a tenth of it. */
const BODY_BYTES_MAX = 64 * 1024;
const REQUEST_TIMEOUT_MS = 10_000;
const CONNECTIONS_MAX = 256;
/** A line so often for what anybody can send, or bring about. */
const TELL_MS = 1_000;
/** How often Node looks for those that are too slow; by default twice a minute. */
const LOOK_MS = 1_000;
const NEWEST_PATH = /^\/([0-9a-f]{64})\/checkpoint$/;

export interface WitnessServerOptions {
  readonly cosigning: Cosigning;
  /** Reads the trust anew, so that a key is added without a restart. */
  readonly readTrust: () => Promise<Result<Trust, string>>;
  /** PEM; absent: plain HTTP. */
  readonly tls?: Pick<ServerOptions, 'cert' | 'key'>;
  readonly log: Logger;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

/** Creates a server that does not listen yet. */
export function createWitnessServer(options: WitnessServerOptions): Server {
  const { cosigning, readTrust, tls, log } = options;
  let fault: string | null = null;
  const limit = createLogLimit(Date.now, TELL_MS);

  async function cosign(request: IncomingMessage): Promise<Answer> {
    const body = await readBody(request);
    if (body === null) return { status: 413, body: 'the body is too large\n' };
    const trust = await readTrust();
    if (!trust.ok) throw new Error(trust.error);
    const submission = readSubmission(body, trust.value);
    const cosigned = submission.ok ? await cosigning.cosign(submission.value) : submission;
    if (cosigned.ok) {
      // What is refused says nothing of the disk: anybody can have that.
      fault = null;
      return { status: 200, body: cosigned.value };
    }
    const { status, message } = cosigned.error;
    const stream = submission.ok ? submission.value.checkpoint.origin : null;
    // What no known log has signed anybody can send: it must not fill the disk with lines.
    if (submission.ok || limit('unsigned') !== null)
      log.warn({ status, stream, reason: message.trim() }, 'a checkpoint was not cosigned');
    return status === 409
      ? { status, body: message, type: SIZE_TYPE }
      : { status, body: `${message}\n` };
  }

  async function answer(request: IncomingMessage): Promise<Answer> {
    const { method = '', url = '' } = request;
    const isRead = method === 'GET' || method === 'HEAD';
    if (url === ADD_CHECKPOINT_PATH)
      return method === 'POST' ? cosign(request) : { status: 405, body: 'POST it\n' };
    if (!isRead) return { status: 404, body: 'there is nothing here\n' };
    if (url === '/healthz')
      return fault === null ? { status: 200, body: 'ok\n' } : { status: 503, body: `${fault}\n` };
    const [, originHash] = NEWEST_PATH.exec(url) ?? [];
    const note = originHash === undefined ? null : await cosigning.newest(originHash);
    return note === null
      ? { status: 404, body: 'there is nothing here\n' }
      : { status: 200, body: note };
  }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    answer(request)
      .catch((error: unknown): Answer => {
        // A disk that fails, a trust file with a fault: nothing is cosigned, and the probe says so.
        fault = messageOf(error);
        if (limit('fault') !== null) log.error({ reason: fault }, 'nothing is cosigned');
        return { status: 500, body: 'this witness cannot answer now\n' };
      })
      .then(({ status, body, type = 'text/plain; charset=utf-8' }) => {
        const isCut = status === 413;
        response.writeHead(status, {
          'content-type': type,
          'content-length': Buffer.byteLength(body),
          ...(isCut ? { connection: 'close' } : {}),
        });
        response.end(request.method === 'HEAD' ? undefined : body);
      })
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  }

  const limits = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: LOOK_MS,
  };
  const server =
    tls === undefined
      ? createServer(limits, handle)
      : createTlsServer({ ...tls, ...limits, handshakeTimeout: REQUEST_TIMEOUT_MS }, handle);
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

/** The whole body; null when it is larger than any that is right; empty when it did not come. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > BODY_BYTES_MAX) return null;
      chunks.push(chunk);
    }
  } catch {
    // Whoever goes away within it, or is too slow, is no fault of this witness.
    return '';
  }
  return Buffer.concat(chunks).toString('utf8');
}
