/**
 * Requests to a cluster of equal endpoints: in turn, and past those that do not answer. Connections
 * are kept in an undici pool an endpoint; the files of TLS are read when a pool is made, and a pool is
 * made anew after a failure, so that renewed certificates are taken up.
 */
import { Pool } from 'undici';
import type { TlsClientConfig } from '../../../schemas/exporter-config.ts';
import { codeOf, err, messageOf, ok, type Result } from '../../../schemas/result.ts';
import { readTls } from '../../../store/tls-files.ts';

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
  /** The same before it was decoded. */
  readonly bytes: Buffer;
  /** Which of the endpoints answered, for requests that must go there again. */
  readonly endpoint: number;
}

export interface PostRequest {
  /** Below the endpoint's own path; begins with a slash, or is empty for the endpoint itself. */
  readonly path: string;
  /** Default: POST. */
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
  /** Not to be compressed, whatever the exporter says. */
  readonly plain?: boolean;
  /** Only this endpoint will do; default: the next one. */
  readonly endpoint?: number;
}

export interface Cluster {
  /**
   * Posts to the next endpoint, or the one after it when that cannot be reached. Redirects are not
   * followed. The error says what each endpoint said.
   */
  post(request: PostRequest, signal: AbortSignal): Promise<Result<Answer, string>>;
  close(): Promise<void>;
}

export interface ClusterOptions {
  readonly endpoints: readonly string[];
  readonly tls?: TlsClientConfig;
  /** For one request as a whole, from the connection to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly nowMs: () => number;
}

/** How long an endpoint that did not answer comes last. */
const DOWN_MS = 10_000;
/** No answer to a batch is this large; one that is comes from something else. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** A sink sends one batch at a time; the second connection is there while the first one closes. */
const CONNECTIONS = 2;

interface Endpoint {
  readonly index: number;
  readonly url: URL;
  pool: Pool | null;
  downUntilMs: number;
}

/** Creates a cluster; connects at the first request. */
export function createCluster(options: ClusterOptions): Cluster {
  const { timeoutMs, nowMs } = options;
  const endpoints: readonly Endpoint[] = options.endpoints.map((text, index) => ({
    index,
    url: new URL(text),
    pool: null,
    downUntilMs: 0,
  }));
  let turn = 0;

  /** All of them, the next one in turn first, those that were down last; or the only one that will do. */
  function inOrder(only: number | undefined): Endpoint[] {
    if (only !== undefined) return endpoints.filter(({ index }) => index === only);
    const first = turn++ % endpoints.length;
    const rotated = [...endpoints.slice(first), ...endpoints.slice(0, first)];
    const isDown = (endpoint: Endpoint): number => Number(endpoint.downUntilMs > nowMs());
    return rotated.sort((one, other) => isDown(one) - isDown(other));
  }

  async function poolOf(endpoint: Endpoint): Promise<Pool> {
    endpoint.pool ??= new Pool(endpoint.url.origin, {
      connections: CONNECTIONS,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connect: { timeout: timeoutMs, ...(await readTls(options.tls)) },
    });
    return endpoint.pool;
  }

  async function dropPool(endpoint: Endpoint): Promise<void> {
    const { pool } = endpoint;
    endpoint.pool = null;
    await pool?.destroy();
  }

  async function postTo(
    endpoint: Endpoint,
    { path, method = 'POST', headers, body }: PostRequest,
    signal: AbortSignal,
  ): Promise<Answer> {
    const pool = await poolOf(endpoint);
    const { pathname } = endpoint.url;
    const response = await pool.request({
      path: path === '' ? pathname : pathname.replace(/\/$/, '') + path,
      method,
      headers,
      ...(method === 'GET' ? {} : { body }),
      signal,
    });
    const { 'retry-after': retryAfter } = response.headers;
    const bytes = await readAll(response.body);
    return {
      status: response.statusCode,
      retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
      text: bytes.toString('utf8'),
      bytes,
      endpoint: endpoint.index,
    };
  }

  return {
    post: async (request, signal) => {
      const failures: string[] = [];
      for (const endpoint of inOrder(request.endpoint)) {
        if (signal.aborted) break;
        const deadline = createDeadline(timeoutMs, signal);
        try {
          const answer = await postTo(endpoint, request, deadline.signal);
          endpoint.downUntilMs = 0;
          return ok(answer);
        } catch (error) {
          endpoint.downUntilMs = nowMs() + DOWN_MS;
          failures.push(`${endpoint.url.host}: ${deadline.isOver() ? 'timeout' : reasonOf(error)}`);
          await dropPool(endpoint);
        } finally {
          deadline.end();
        }
      }
      return err(failures.length === 0 ? 'stopped' : failures.join('; '));
    },
    close: async () => {
      await Promise.all(endpoints.map(dropPool));
    },
  };
}

interface Deadline {
  readonly signal: AbortSignal;
  isOver(): boolean;
  end(): void;
}

/** A signal that aborts after a time or with another one: an answer that trickles must end too. */
function createDeadline(timeoutMs: number, signal: AbortSignal): Deadline {
  const controller = new AbortController();
  let isOver = false;
  const abort = (): void => controller.abort();
  const timer = setTimeout(() => {
    isOver = true;
    abort();
  }, timeoutMs);
  signal.addEventListener('abort', abort, { once: true });
  return {
    signal: controller.signal,
    isOver: () => isOver,
    end: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    },
  };
}

async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** System and TLS errors say what is wrong by code; undici wraps the reason of a lost connection. */
function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const message = messageOf(error);
  return code === '' || message.includes(code) ? message : `${message} (${code})`;
}
