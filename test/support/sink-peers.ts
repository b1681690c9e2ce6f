/**
 * Strict peers for each sink over HTTP: they enforce the documented protocol and keep what came, by
 * event id and in order, repeats included. `refuses` and `puts off` single out records, by event id.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { decodeLogsRequest } from '../../agent/receive/otlp-protobuf.ts';
import { parseLogsRequest } from '../../agent/receive/otlp-parse.ts';
import { AUDIT } from '../../schemas/otel-audit.ts';
import { parseBulk } from './elasticsearch-protocol.ts';
import {
  startHttpPeer,
  type Certificate,
  type HttpPeer,
  type PeerAnswer,
  type PeerRequest,
} from './http-peer.ts';

export interface SinkPeer extends HttpPeer {
  /** Event ids of what was stored, in order, repeats included. */
  readonly stored: string[];
  /** Records that are never taken. */
  readonly refused: Set<string>;
  /** Records that are put off, where the protocol can say so. */
  readonly putOff: Set<string>;
}

interface Kept {
  readonly stored: string[];
  readonly refused: Set<string>;
  readonly putOff: Set<string>;
}

type Handle = (request: PeerRequest, kept: Kept) => PeerAnswer | string;

async function startPeer(
  handle: Handle,
  tls: Certificate | undefined,
  refusal?: (status: number) => PeerAnswer,
): Promise<SinkPeer> {
  const kept: Kept = { stored: [], refused: new Set(), putOff: new Set() };
  const peer = await startHttpPeer({
    ...(tls === undefined ? {} : { tls }),
    ...(refusal === undefined ? {} : { refusal }),
    handle: (request) => handle(request, kept),
  });
  return { ...peer, ...kept };
}

const json = (status: number, value: unknown): PeerAnswer => ({
  status,
  body: JSON.stringify(value),
});

function idOfDocument(value: unknown): string {
  const document = value as {
    event?: { id?: string; event_id?: string };
    event_id?: string;
    metadata?: { uid?: string };
  };
  return (
    document.event?.id ??
    document.event?.event_id ??
    document.event_id ??
    document.metadata?.uid ??
    ''
  );
}

const tenantOfDocument = (value: unknown): unknown =>
  (value as { organization?: { id?: string } }).organization?.id;

/** Elasticsearch's `_bulk` into a data stream: a document per id. */
export function startElasticsearchPeer(tls?: Certificate): Promise<SinkPeer> {
  return startPeer((request, kept) => {
    const actions = parseBulk(
      request.message,
      request.body.toString('utf8'),
      'logs-sealtrail.audit-default',
    );
    if (typeof actions === 'string') return actions;
    const items = actions.map(({ id: _id, document }) => {
      const id = idOfDocument(document);
      const fail = (status: number, type: string): object => ({
        create: { _id, status, error: { type, reason: 'x' } },
      });
      if (document['@timestamp'] === undefined) return fail(400, 'document_parsing_exception');
      if (kept.refused.has(id)) return fail(400, 'document_parsing_exception');
      if (kept.putOff.has(id)) return fail(429, 'es_rejected_execution_exception');
      if (kept.stored.includes(id)) return fail(409, 'version_conflict_engine_exception');
      kept.stored.push(id);
      return { create: { _id, status: 201 } };
    });
    return json(200, { items });
  }, tls);
}

export const HEC_TOKEN = '11111111-2222-3333-4444-555555555555';

export interface SplunkPeer extends SinkPeer {
  /** Channels on which events came. */
  readonly channels: Set<string>;
  /** Questions for acknowledgements. */
  polls(): number;
  /** Whether indexers have what was taken; while false, answers say so. */
  setIndexing(indexing: boolean): void;
  /** Forgets all acknowledgements, as a restart does. */
  restart(): void;
}

/** Splunk's HTTP Event Collector with indexer acknowledgement. */
export async function startSplunkPeer(tls?: Certificate): Promise<SplunkPeer> {
  const channels = new Set<string>();
  /** Events by channel and number that are in the queue, and not asked for yet. */
  const waiting = new Map<string, readonly string[]>();
  let nextAck = 0;
  let polls = 0;
  let isIndexing = true;

  function takeEvents(request: PeerRequest, channel: string, kept: Kept): PeerAnswer | string {
    const text = request.body.toString('utf8');
    if (text.trim() === '') return json(400, { text: 'No data', code: 5 });
    const ids: string[] = [];
    for (const [at, line] of text.trimEnd().split('\n').entries()) {
      const envelope = JSON.parse(line) as Record<string, unknown>;
      const known = ['time', 'host', 'source', 'sourcetype', 'index', 'fields', 'event'];
      const unknown = Object.keys(envelope).find((name) => !known.includes(name));
      if (unknown !== undefined) return `unknown member ${unknown} of an event`;
      if (!/^\d+\.\d{3}$/.test(String(envelope['time']))) return 'time is not epoch seconds';
      const id = idOfDocument(envelope['event']);
      const fields = envelope['fields'] as Record<string, unknown>;
      if (id === '' || fields['event_id'] !== id) return 'the indexed event_id is not the event’s';
      if (fields['tenant'] !== tenantOfDocument(envelope['event']))
        return 'the indexed tenant is not the event’s';
      if (kept.refused.has(id))
        return json(400, { text: 'Invalid data format', code: 6, 'invalid-event-number': at });
      ids.push(id);
    }
    const ackId = nextAck++;
    waiting.set(`${channel}/${ackId}`, ids);
    channels.add(channel);
    return json(200, { text: 'Success', code: 0, ackId });
  }

  function tellAcks(request: PeerRequest, channel: string, kept: Kept): PeerAnswer | string {
    polls += 1;
    if (!channels.has(channel)) return json(400, { text: 'Invalid data channel', code: 11 });
    const { acks } = JSON.parse(request.body.toString('utf8')) as { acks: readonly number[] };
    const told = acks.map((id): [string, boolean] => {
      const ids = waiting.get(`${channel}/${id}`);
      if (!isIndexing || ids === undefined) return [String(id), false];
      // Told once: what is acknowledged is forgotten.
      waiting.delete(`${channel}/${id}`);
      kept.stored.push(...ids);
      return [String(id), true];
    });
    return json(200, { acks: Object.fromEntries(told) });
  }

  const peer = await startPeer(
    (request, kept) => {
      if (request.method !== 'POST') return `method ${request.method}`;
      if (request.headers.authorization === undefined)
        return json(401, { text: 'Token is required', code: 2 });
      if (request.headers.authorization !== `Splunk ${HEC_TOKEN}`)
        return json(403, { text: 'Invalid token', code: 4 });
      const channel =
        request.headers['x-splunk-request-channel'] ?? request.url.searchParams.get('channel');
      if (typeof channel !== 'string') return json(400, { text: 'Channel is missing', code: 10 });
      if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(channel))
        return json(400, { text: 'Invalid data channel', code: 11 });
      if (request.url.pathname === '/services/collector/event')
        return takeEvents(request, channel, kept);
      if (request.url.pathname === '/services/collector/ack')
        return tellAcks(request, channel, kept);
      return `path ${request.url.pathname}`;
    },
    tls,
    (status) => {
      if (status === 503) return json(503, { text: 'Server is busy', code: 9 });
      if (status === 401) return json(401, { text: 'Invalid authorization', code: 3 });
      if (status === 403) return json(403, { text: 'Invalid token', code: 4 });
      return { status, body: 'injected' };
    },
  );
  return {
    ...peer,
    channels,
    polls: () => polls,
    setIndexing: (indexing) => (isIndexing = indexing),
    restart: () => {
      waiting.clear();
      nextAck = 0;
    },
  };
}

/** Record ids of a request; a text says what is wrong with it. */
function idsOfLogs(body: Buffer, type: string | undefined): readonly string[] | string {
  if (type !== 'application/json' && type !== 'application/x-protobuf') return `type ${type}`;
  const decoded =
    type === 'application/json'
      ? { ok: true as const, value: JSON.parse(body.toString('utf8')) as unknown }
      : decodeLogsRequest(body);
  if (!decoded.ok) return decoded.error.message;
  const parsed = parseLogsRequest(decoded.value);
  if (!parsed.ok) return parsed.error.message;
  const ids: string[] = [];
  for (const { record, resource } of parsed.value) {
    if (!record.ok) return record.error.message;
    if (!resource.has('service.name')) return 'service.name';
    const id = record.value.attributes.get(AUDIT.recordId);
    if (id === undefined || !('stringValue' in id)) return 'audit.record.id';
    if (record.value.eventName === '' || record.value.body === null) return 'eventName, body';
    ids.push(id.stringValue);
  }
  return ids;
}

/** An OTLP receiver of logs, protobuf or JSON; rejected records are counted in a partial success. */
export function startOtlpPeer(tls?: Certificate): Promise<SinkPeer> {
  return startPeer((request, kept) => {
    if (request.method !== 'POST' || request.url.pathname !== '/v1/logs')
      return `${request.method} ${request.url.pathname}`;
    const type = request.headers['content-type'];
    const ids = idsOfLogs(request.body, type);
    if (typeof ids === 'string') return ids;
    let rejected = 0;
    for (const id of ids) {
      if (kept.refused.has(id)) rejected += 1;
      else kept.stored.push(id);
    }
    if (type === 'application/json')
      return json(
        200,
        rejected === 0 ? {} : { partialSuccess: { rejectedLogRecords: String(rejected) } },
      );
    const partial = rejected === 0 ? [] : [0x0a, 2, 0x08, rejected];
    return { status: 200, type: 'application/x-protobuf', body: Buffer.from(partial) };
  }, tls);
}

export const WEBHOOK_KEY: Buffer = Buffer.from('a key of 32 bytes for signatures');
export const WEBHOOK_SECRET: string = `whsec_${WEBHOOK_KEY.toString('base64')}`;
const TOLERANCE_S = 300;

/** A webhook receiver that verifies signature and timestamp before it looks at anything. */
export function startWebhookPeer(tls?: Certificate): Promise<SinkPeer> {
  return startPeer((request, kept) => {
    const header = (name: string): string => String(request.headers[name] ?? '');
    const id = header('webhook-id');
    const timestamp = header('webhook-timestamp');
    if (!/^msg_[0-9a-f]{32}$/.test(id)) return 'webhook-id';
    if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_S) return 'webhook-timestamp';
    const expected = createHmac('sha256', WEBHOOK_KEY)
      .update(`${id}.${timestamp}.`)
      .update(request.body)
      .digest();
    const [version, signature = ''] = header('webhook-signature').split(',');
    const given = Buffer.from(signature, 'base64');
    if (version !== 'v1' || given.length !== 32 || !timingSafeEqual(given, expected))
      return 'webhook-signature';
    const text = request.body.toString('utf8');
    const documents = (
      header('content-type') === 'application/x-ndjson'
        ? text
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line) as unknown)
        : JSON.parse(text)
    ) as readonly unknown[];
    const ids = documents.map(idOfDocument);
    if (ids.some((one) => one === '')) return 'a record without its id';
    const rejected = ids.flatMap((one, index) =>
      kept.refused.has(one) ? [{ index, code: 'not_wanted' }] : [],
    );
    if (rejected.length > 0) return json(422, { rejected });
    const retry = ids.flatMap((one, index) => (kept.putOff.has(one) ? [index] : []));
    kept.stored.push(...ids.filter((one) => !kept.putOff.has(one)));
    return json(200, retry.length === 0 ? {} : { retry });
  }, tls);
}
