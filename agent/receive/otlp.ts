/**
 * The OTLP/HTTP receiver: `/v1/logs` for stock OpenTelemetry exporters and `/v1/audit` of the audit
 * draft. Listens, keeps order at the door (who, what, how much, how slowly) and hands bodies to the two
 * signals. Success is answered only after the fsync.
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { OtlpReceiverConfig, TlsServerConfig } from '../../schemas/config.ts';
import { assert, err, messageOf, ok, type Result } from '../../schemas/result.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import type { Admission, Appender, Clock, Logger, Meter } from '../ports.ts';
import { createAuditHandler, type ForeignReceipts } from './otlp-audit.ts';
import { checkEndpoint, createGate, type ListenFault } from './otlp-gate.ts';
import type { IntegrityTrust } from './otlp-integrity.ts';
import { createLogsHandler } from './otlp-logs.ts';
import { admitRequest } from './otlp-records.ts';
import { createRequestHandler } from './otlp-request.ts';
import { createSequenceWatch, type SequenceWatch } from './otlp-sequence.ts';

/** How long a client may take, and how many there may be. */
export interface OtlpLimits {
  readonly headersMs: number;
  readonly requestMs: number;
  readonly keepAliveMs: number;
  readonly connectionsMax: number;
  /** How long a request waits for room in the append queue before it is sent away with 429. */
  readonly roomMs: number;
}

export const OTLP_LIMITS: OtlpLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 30_000,
  connectionsMax: 256,
  roomMs: 2_000,
};

export interface OtlpReceiverOptions {
  readonly config: OtlpReceiverConfig;
  readonly admission: Admission;
  readonly appender: Appender;
  readonly meter: Meter;
  readonly log: Logger;
  readonly vocabulary: Vocabulary;
  /**
   * Secret of 32 bytes or more that stays the same over restarts: keys the fingerprints by which a
   * resent record is told from a changed one. The redaction key serves; its use here is separated. Where
   * that was rotated, a record from before that comes again counts as changed: it is refused, and on record.
   */
  readonly payloadKey: Uint8Array;
  /** Known record ids: lets `/v1/audit` refuse a changed duplicate before anything is appended. */
  readonly receipts?: ForeignReceipts;
  /** Keys for producers' proofs; without one a proof is stored, and answered as deferred. */
  readonly trust?: IntegrityTrust;
  readonly limits?: Partial<OtlpLimits>;
  readonly clock?: Clock;
}

/** What may change while it listens. */
export type OtlpChange = Pick<OtlpReceiverOptions, 'config' | 'vocabulary' | 'trust'>;

export interface OtlpReceiver {
  /** Resolves with where it listens: `http://127.0.0.1:4318`. */
  listen(): Promise<Result<{ readonly address: string; readonly port: number }, ListenFault>>;
  /** Requests from now on are judged by this; where it listens stays as it is. */
  change(to: OtlpChange): void;
  /** Takes no more requests, lets running ones finish for up to graceMs, then cuts them. Idempotent. */
  close(graceMs: number): Promise<void>;
}

/** Creates a receiver that does not listen yet. */
export function createOtlpReceiver(options: OtlpReceiverOptions): OtlpReceiver {
  const { config, log } = options;
  const limits = { ...OTLP_LIMITS, ...options.limits };
  let server: Server | null = null;
  const state = { isClosing: false };
  const sequences = createSequenceWatch(options.meter, log);
  const handlerOf = (current: OtlpReceiverOptions): RequestHandler =>
    createHandler(current, limits, sequences, () => state.isClosing);
  let handleRequest = handlerOf(options);
  const handle: RequestHandler = (request, response) => handleRequest(request, response);

  async function listen(): ReturnType<OtlpReceiver['listen']> {
    const endpoint = checkEndpoint(config);
    if (!endpoint.ok) return endpoint;
    const created = createHttpServer(config.tls, limits);
    if (!created.ok) return created;
    const fresh = created.value;
    watchServer(fresh, options, limits);
    fresh.on('request', handle);
    fresh.on('checkContinue', handle);
    const failure = await startListening(fresh, endpoint.value.host, endpoint.value.port);
    if (failure !== null) {
      const message = `cannot listen on ${config.endpoint}: ${failure}`;
      return err({ kind: 'listen_failed', message });
    }
    // From here on an error of the listening socket is no reason to fall over.
    fresh.on('error', (error) => {
      log.error({ error: messageOf(error) }, 'the OTLP receiver has trouble with its socket');
    });
    server = fresh;
    const bound = fresh.address();
    assert(typeof bound === 'object' && bound !== null, 'a TCP server has an address');
    return ok({ address: describeAddress(config, bound), port: bound.port });
  }

  async function close(graceMs: number): Promise<void> {
    state.isClosing = true;
    const closing = server;
    if (closing === null) return;
    server = null;
    await new Promise<void>((resolve) => {
      const cut = setTimeout(() => {
        closing.closeAllConnections();
      }, graceMs);
      closing.close(() => {
        clearTimeout(cut);
        resolve();
      });
      closing.closeIdleConnections();
    });
  }

  return { listen, close, change: (to) => (handleRequest = handlerOf({ ...options, ...to })) };
}

type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

function createHandler(
  options: OtlpReceiverOptions,
  limits: OtlpLimits,
  sequences: SequenceWatch,
  isClosing: () => boolean,
): RequestHandler {
  const { config, admission, appender, meter, log, vocabulary } = options;
  const mapping = {
    vocabulary,
    defaultTenant: config.default_tenant,
    trust: options.trust ?? new Map(),
    payloadKey: options.payloadKey,
  };
  const signal = (name: 'logs' | 'audit'): Parameters<typeof createLogsHandler>[0] => ({
    appender,
    meter,
    admit: (bytes, encoding, allowed) =>
      admitRequest(bytes, encoding, { ...mapping, signal: name }, admission, allowed),
  });
  return createRequestHandler({
    appender,
    meter,
    log,
    gate: createGate(config),
    bodyBytesMax: config.body_bytes_max,
    roomMs: limits.roomMs,
    isClosing,
    logs: createLogsHandler(signal('logs')),
    audit: createAuditHandler({
      ...signal('audit'),
      receipts: options.receipts,
      sequences,
      clock: options.clock ?? { nowMs: Date.now },
    }),
  });
}

function createHttpServer(
  tls: TlsServerConfig | undefined,
  limits: OtlpLimits,
): Result<Server, ListenFault> {
  const http = {
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: Math.min(1_000, limits.headersMs),
  };
  if (tls === undefined) return ok(createServer(http));
  try {
    const clients =
      tls.client_ca_file === undefined
        ? {}
        : { ca: readFileSync(tls.client_ca_file), requestCert: true, rejectUnauthorized: true };
    const cert = readFileSync(tls.cert_file);
    const key = readFileSync(tls.key_file);
    const handshakeTimeout = limits.headersMs;
    return ok(
      createTlsServer({ ...http, ...clients, cert, key, handshakeTimeout, minVersion: 'TLSv1.2' }),
    );
  } catch (error) {
    const message = `receivers.otlp.tls: ${messageOf(error)}`;
    return err({ kind: 'tls_unreadable', message });
  }
}

/** Counts connections, and answers what never became a request. */
function watchServer(server: Server, options: OtlpReceiverOptions, limits: OtlpLimits): void {
  const { meter, log } = options;
  server.maxConnections = limits.connectionsMax;
  server.on('connection', (socket) => {
    meter.connection(1);
    socket.on('close', () => {
      meter.connection(-1);
    });
  });
  server.on('drop', () => {
    meter.nacks('too_many_connections', 1);
  });
  server.on('tlsClientError', (error) => {
    meter.nacks('tls_failed', 1);
    log.debug({ error: messageOf(error) }, 'a TLS handshake failed');
  });
  server.on('clientError', (error: Error & { readonly code?: string }, socket) => {
    const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
    if (error.code !== 'ECONNRESET') meter.nacks(isLate ? 'timeout' : 'protocol_error', 1);
    if (!socket.writable || error.code === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const status = isLate ? '408 Request Timeout' : '400 Bad Request';
    const answer = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
    // The peer may never close its side: what was answered is all it gets.
    socket.end(answer, () => {
      socket.destroy();
    });
  });
}

async function startListening(server: Server, host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      resolve(messageOf(error));
    };
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.off('error', fail);
      resolve(null);
    });
  });
}

function describeAddress(config: OtlpReceiverConfig, bound: AddressInfo): string {
  const host = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address;
  return `${config.tls === undefined ? 'http' : 'https'}://${host}:${bound.port}`;
}
