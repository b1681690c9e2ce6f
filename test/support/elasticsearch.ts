/**
 * A strict stand-in for Elasticsearch's `_bulk` on 127.0.0.1, over real HTTP or TLS. It enforces the
 * documented form (NDJSON, action lines, `create` with `_id` on a data stream, `@timestamp`, content
 * type, authorization), keeps documents by `_id`, and misbehaves on request. What breaks the protocol
 * is answered as Elasticsearch does and noted in `violations`.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { filterPaths, parseBulk, type Action } from './elasticsearch-protocol.ts';

/** One misbehaviour, for one request. */
export type ElasticsearchFault =
  /** Answers with a status and nothing stored; `location` for redirects. */
  | { kind: 'status'; status: number; retryAfter?: string; location?: string }
  /** These documents are put off (429), the others stored. */
  | { kind: 'items'; status: number; type: string; reason?: string; when: (id: string) => boolean }
  /** Stores everything, then cuts the connection within the answer. */
  | { kind: 'reset' }
  /** Cuts the connection before anything is stored. */
  | { kind: 'refuse' }
  /** Stores everything and answers one byte a tick, without an end. */
  | { kind: 'trickle' }
  /** Never answers. */
  | { kind: 'silence' }
  /** Stores everything, answers half of the JSON with a length that fits. */
  | { kind: 'truncate' }
  /** Stores nothing of the last document and leaves it out of an answer that claims success. */
  | { kind: 'missing_item' }
  /** Answers in another order than was asked. */
  | { kind: 'shuffle' }
  /** 200 with a page that is no JSON, as a proxy in between may. */
  | { kind: 'page' };

export interface ElasticsearchOptions {
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  /** Whole value of the Authorization header. */
  readonly authorization?: string;
  readonly dataStream?: string;
  /** Like `http.max_content_length`: more is answered with 413. After decompression. */
  readonly contentBytesMax?: number;
  /** A document for which it returns a reason is refused with 400, as a mapping would. */
  readonly refuses?: (document: Readonly<Record<string, unknown>>) => string | null;
  /** What is refused goes to the failure store, as a data stream of logs has it since 9.2. */
  readonly hasFailureStore?: boolean;
  /** A document that a pipeline of the cluster drops. */
  readonly drops?: (document: Readonly<Record<string, unknown>>) => boolean;
  /** How long each bulk request waits for its answer. */
  readonly delayMs?: number;
  /** Chosen before each request; null: behaves. */
  readonly fault?: () => ElasticsearchFault | null;
}

export interface ElasticsearchRequest {
  readonly bytes: number;
  readonly gzip: boolean;
  readonly ids: readonly string[];
  readonly atMs: number;
}

export interface FakeElasticsearch extends AsyncDisposable {
  readonly url: string;
  /** By `_id`. */
  readonly documents: Map<string, Readonly<Record<string, unknown>>>;
  /** Of the documents in ECS, in the order they came. */
  eventIds(): readonly string[];
  /** Bulk requests that were well formed. */
  readonly requests: ElasticsearchRequest[];
  readonly violations: string[];
  /** Changes how it behaves from now on. */
  readonly options: { -readonly [name in keyof ElasticsearchOptions]: ElasticsearchOptions[name] };
  connections(): number;
}

/** Starts a server; with `await using` it is stopped. */
export async function startElasticsearch(
  initial: ElasticsearchOptions = {},
): Promise<FakeElasticsearch> {
  const options = { dataStream: 'logs-sealtrail.audit-default', ...initial };
  const state: State = { options, documents: new Map(), requests: [], violations: [] };
  const { tls } = options;
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    answer(state, request, response).catch((error: unknown) => {
      state.violations.push(`the fake failed: ${String(error)}`);
      response.destroy();
    });
  };
  const server: Server =
    tls === undefined
      ? createServer(handle)
      : createTlsServer(
          {
            cert: tls.cert,
            key: tls.key,
            ...(tls.clientCa === undefined
              ? {}
              : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
          },
          handle,
        );
  let connections = 0;
  server.on(tls === undefined ? 'connection' : 'secureConnection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    ...state,
    eventIds: () => [...state.documents.values()].map(({ event }) => (event as { id: string }).id),
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    connections: () => connections,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

interface State {
  readonly options: ElasticsearchOptions & { dataStream: string };
  readonly documents: FakeElasticsearch['documents'];
  readonly requests: ElasticsearchRequest[];
  readonly violations: string[];
}

interface Item {
  readonly create: {
    readonly _index: string;
    readonly _id: string;
    readonly status: number;
    readonly result?: string;
    readonly failure_store?: 'used' | 'not_enabled';
    readonly error?: { readonly type: string; readonly reason: string };
  };
}

async function answer(
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const raw = Buffer.concat(chunks);
  const { options } = state;
  const fault = options.fault?.() ?? null;
  if (fault?.kind === 'refuse') {
    request.socket.destroy();
    return;
  }
  if (fault?.kind === 'silence') return;
  if (fault?.kind === 'status') {
    const { status, retryAfter, location } = fault;
    send(response, status, errorBody(status, 'injected'), {
      ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
      ...(location === undefined ? {} : { location }),
    });
    return;
  }
  if (fault?.kind === 'page') {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<html><body>Welcome</body></html>');
    return;
  }
  if (
    options.authorization !== undefined &&
    request.headers.authorization !== options.authorization
  ) {
    send(response, 401, errorBody(401, 'security_exception'));
    return;
  }
  const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
  if (body.length > (options.contentBytesMax ?? Infinity)) {
    send(response, 413, '');
    return;
  }
  const actions = parseBulk(request, body.toString('utf8'), options.dataStream);
  if (typeof actions === 'string') {
    state.violations.push(actions);
    send(response, 400, errorBody(400, 'illegal_argument_exception', actions));
    return;
  }
  state.requests.push({
    bytes: raw.length,
    gzip: body !== raw,
    ids: actions.map(({ id }) => id),
    atMs: Date.now(),
  });
  const items = storeAll(state, actions, fault);
  const answerNow = (): void => reply(response, request, fault, items);
  if (options.delayMs === undefined) answerNow();
  else setTimeout(answerNow, options.delayMs);
}

function storeAll(
  state: State,
  actions: readonly Action[],
  fault: ElasticsearchFault | null,
): Item[] {
  const items: Item[] = [];
  for (const [index, action] of actions.entries()) {
    if (fault?.kind === 'missing_item' && index === actions.length - 1) break;
    const putOff = fault?.kind === 'items' && fault.when(action.id) ? fault : null;
    const _index = state.options.dataStream;
    items.push({ create: { _index, _id: action.id, ...store(state, action, putOff) } });
  }
  return items;
}

function store(
  { options, documents }: State,
  { id, document }: Action,
  fault: Extract<ElasticsearchFault, { kind: 'items' }> | null,
): Omit<Item['create'], '_index' | '_id'> & Partial<Item['create']> {
  const fail = (status: number, type: string, reason: string): ReturnType<typeof store> => ({
    status,
    error: { type, reason },
  });
  if (fault !== null) return fail(fault.status, fault.type, fault.reason ?? 'injected');
  if (documents.has(id)) {
    return fail(
      409,
      'version_conflict_engine_exception',
      `[${id}]: version conflict, document already exists (current version [1])`,
    );
  }
  const time = document['@timestamp'];
  if (typeof time !== 'string' || Number.isNaN(Date.parse(time))) {
    return fail(
      400,
      'document_parsing_exception',
      'data stream timestamp field [@timestamp] is missing',
    );
  }
  const refused = options.refuses?.(document) ?? null;
  if (refused !== null && options.hasFailureStore === true) {
    const aside = { _index: `.fs-${options.dataStream}-000001`, _id: randomUUID() };
    return { ...aside, status: 201, result: 'created', failure_store: 'used' };
  }
  if (refused !== null) return fail(400, 'document_parsing_exception', refused);
  if (options.drops?.(document) === true) return { status: 200, result: 'noop' };
  documents.set(id, document);
  return { status: 201, result: 'created' };
}

function reply(
  response: ServerResponse,
  request: IncomingMessage,
  fault: ElasticsearchFault | null,
  items: readonly Item[],
): void {
  const answered = fault?.kind === 'shuffle' ? [...items].reverse() : items;
  const errors = items.some(({ create }) => create.error !== undefined);
  const filter = new URL(request.url ?? '/', 'http://fake').searchParams.get('filter_path');
  const text = JSON.stringify(filterPaths({ took: 3, errors, items: answered }, filter));
  const head = { 'content-type': 'application/json' };
  if (fault?.kind === 'reset') {
    response.writeHead(200, { ...head, 'content-length': text.length + 1 });
    response.write(text, () => request.socket.destroy());
  } else if (fault?.kind === 'trickle') {
    response.writeHead(200, head);
    response.write(text.slice(0, 1));
    const timer = setInterval(() => response.write(' '), 5);
    response.on('close', () => clearInterval(timer));
  } else {
    const cut = fault?.kind === 'truncate' ? Math.floor(text.length / 2) : text.length;
    send(response, 200, text.slice(0, cut));
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body);
}

function errorBody(status: number, type: string, reason = type): string {
  return JSON.stringify({ error: { root_cause: [{ type, reason }], type, reason }, status });
}
