/**
 * A peer over real HTTP or TLS on 127.0.0.1 that sinks are tested against. What it does with a request is
 * the protocol's (`handle`); how it misbehaves is the same for all: statuses, cuts, trickles, certificates,
 * credentials. What breaks the protocol is noted in `violations`.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface PeerRequest {
  readonly message: IncomingMessage;
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage['headers'];
  /** After decompression. */
  readonly body: Buffer;
}

export interface PeerAnswer {
  readonly status: number;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

export type PeerFault =
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly retryAfter?: string;
      readonly location?: string;
    }
  /** Takes everything, then cuts the connection within the answer. */
  | { readonly kind: 'reset' }
  /** Cuts the connection before anything is taken. */
  | { readonly kind: 'refuse' }
  /** Takes everything and answers a byte a tick, without an end. */
  | { readonly kind: 'trickle' }
  /** More than so many bytes is answered with 413. */
  | { readonly kind: 'limit'; readonly bytes: number }
  /** The credentials do not count. */
  | { readonly kind: 'revoked'; readonly status: 401 | 403 };

export interface HttpPeer extends AsyncDisposable {
  readonly url: string;
  readonly violations: string[];
  /** Requests that came, well-formed or not. */
  requests(): number;
  /** How it misbehaves from now on; null: not at all. */
  setFault(fault: PeerFault | null): void;
  /** Shows another certificate from the next connection on. */
  setCertificate(certificate: Certificate): void;
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface PeerOptions {
  readonly tls?: Certificate;
  /** Null: what was asked breaks the protocol; the text says how. */
  handle(request: PeerRequest): PeerAnswer | string;
  /** The answer when credentials do not count. */
  refusal?(status: number): PeerAnswer;
}

/** Starts a peer; with `await using` it is stopped. */
export async function startHttpPeer(options: PeerOptions): Promise<HttpPeer> {
  const { tls } = options;
  const violations: string[] = [];
  let fault: PeerFault | null = null;
  let requests = 0;

  async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    requests += 1;
    const now = fault;
    if (now?.kind === 'refuse') {
      message.socket.destroy();
      return;
    }
    if (now?.kind === 'status' || now?.kind === 'revoked') {
      const said = options.refusal?.(now.status) ?? { status: now.status, body: 'injected' };
      const { retryAfter, location }: { retryAfter?: string; location?: string } =
        now.kind === 'status' ? now : {};
      response.writeHead(said.status, {
        'content-type': said.type ?? 'text/plain',
        ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
        ...(location === undefined ? {} : { location }),
      });
      response.end(said.body);
      return;
    }
    const body = message.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
    if (now?.kind === 'limit' && body.length > now.bytes) {
      response.writeHead(413).end();
      return;
    }
    const handled = options.handle({
      message,
      method: message.method ?? '',
      url: new URL(message.url ?? '/', 'http://peer'),
      headers: message.headers,
      body,
    });
    if (typeof handled === 'string') violations.push(handled);
    const said = typeof handled === 'string' ? { status: 400, body: handled } : handled;
    reply(message, response, said, now);
  }

  const listener = (message: IncomingMessage, response: ServerResponse): void => {
    answer(message, response).catch((error: unknown) => {
      violations.push(`the peer failed: ${String(error)}`);
      response.destroy();
    });
  };
  const tlsServer: TlsServer | null = tls === undefined ? null : createTlsServer(tls, listener);
  const server = tlsServer ?? createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    violations,
    requests: () => requests,
    setFault: (next) => (fault = next),
    setCertificate: (certificate) => tlsServer?.setSecureContext(certificate),
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function reply(
  message: IncomingMessage,
  response: ServerResponse,
  { status, type = 'application/json', headers = {}, body }: PeerAnswer,
  fault: PeerFault | null,
): void {
  const bytes = Buffer.from(body);
  if (fault?.kind === 'reset') {
    response.writeHead(status, { 'content-type': type, 'content-length': bytes.length + 1 });
    response.write(bytes, () => message.socket.destroy());
  } else if (fault?.kind === 'trickle') {
    response.writeHead(status, { 'content-type': type });
    response.write(' ');
    const timer = setInterval(() => response.write(' '), 5);
    response.on('close', () => clearInterval(timer));
  } else {
    // The length of a body that is not sent: HEAD.
    response.writeHead(status, {
      'content-type': type,
      'content-length': bytes.length,
      ...headers,
    });
    response.end(message.method === 'HEAD' ? undefined : bytes);
  }
}
