/**
 * What every sink over HTTP shares: requests to a cluster of endpoints, compressed where that is
 * wanted, with credentials, and what the status of an answer means where a protocol says nothing
 * else. A refusal of the credentials or the address is the operator's to end: it is tried again.
 */
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { HttpExporterConfig } from '../../../schemas/exporter-config.ts';
import { ok, type Result } from '../../../schemas/result.ts';
import type { DeliveryResult } from '../../ports.ts';
import { parseRetryAfter } from '../backoff.ts';
import { createCluster, type Answer, type PostRequest } from './cluster.ts';

const compress = promisify(gzip);

export interface HttpAnswer extends Answer {
  /** What Retry-After asks for, where it asks. */
  readonly retryAfterMs?: number;
}

export interface HttpSender {
  /** Sends a request; the error says what each endpoint said, and quotes no body. */
  send(request: PostRequest, signal: AbortSignal): Promise<Result<HttpAnswer, string>>;
  close(): Promise<void>;
}

/** Creates the sender of an exporter; `headers` go with every request. Connects at the first one. */
export function createHttpSender(
  config: Pick<HttpExporterConfig, 'endpoints' | 'gzip' | 'timeout_ms' | 'tls'>,
  headers: Readonly<Record<string, string>>,
  nowMs: () => number,
): HttpSender {
  const cluster = createCluster({
    endpoints: config.endpoints,
    ...(config.tls === undefined ? {} : { tls: config.tls }),
    timeoutMs: config.timeout_ms,
    nowMs,
  });

  async function send(
    request: PostRequest,
    signal: AbortSignal,
  ): Promise<Result<HttpAnswer, string>> {
    const zips = config.gzip && request.plain !== true && request.body.length > 0;
    // The cheapest level already takes nine tenths off; a higher one would cost a core.
    const body = zips
      ? await compress(request.body, { level: constants.Z_BEST_SPEED })
      : request.body;
    const all = {
      ...headers,
      ...request.headers,
      ...(zips ? { 'content-encoding': 'gzip' } : {}),
    };
    const answer = await cluster.post({ ...request, headers: all, body }, signal);
    if (!answer.ok) return answer;
    const retryAfterMs = parseRetryAfter(answer.value.retryAfter, nowMs());
    return ok({ ...answer.value, ...(retryAfterMs === null ? {} : { retryAfterMs }) });
  }

  return { send, close: () => cluster.close() };
}

/** The batch failed with this answer and goes again; `meaning` is the protocol's own word for it. */
export function failedBy(answer: HttpAnswer, meaning?: string): DeliveryResult {
  const { retryAfterMs, status } = answer;
  return {
    kind: 'failed',
    reason: meaning ?? describeStatus(status),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function describeStatus(status: number): string {
  if (status >= 300 && status < 400)
    return `answered with a redirect (${status}), which is not followed`;
  if (status === 401) return 'the credentials are not accepted (401)';
  if (status === 403) return 'the credentials do not allow it (403)';
  if (status === 404) return 'there is nothing at this address (404)';
  if (status === 429) return 'asks to send less (429)';
  return `answered ${status}`;
}
