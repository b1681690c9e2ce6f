/**
 * Strict stand-ins for the HTTP APIs that hold traces and logs: Jaeger's query service, Tempo, and the search of
 * Elasticsearch with a point in time. They answer what is documented, and refuse anything else.
 */
import type { Span } from '../../auditor/join/span.ts';
import { toOtlp } from '../auditor/join/spans.ts';
import { startHttpPeer, type HttpPeer, type PeerAnswer } from './http-peer.ts';

const json = (status: number, value: unknown): PeerAnswer => ({
  status,
  body: JSON.stringify(value),
});

/** Jaeger with these spans. Ids lose their leading zeros, as there. */
export function startJaeger(spans: readonly Span[]): Promise<HttpPeer> {
  const bare = (id: string): string => id.replace(/^0+/, '');
  const traceOf = (traceID: string, own: readonly Span[]): object => ({
    traceID: bare(traceID),
    spans: own.map((one) => ({
      traceID: bare(one.traceId),
      spanID: bare(one.spanId),
      flags: 1,
      operationName: one.name,
      references:
        one.parentId === null
          ? []
          : [{ refType: 'CHILD_OF', traceID: bare(one.traceId), spanID: bare(one.parentId) }],
      startTime: Number(one.startNs / 1_000n),
      duration: Number((one.endNs - one.startNs) / 1_000n),
      tags: [
        ...Object.entries(one.attributes).map(([key, value]) => ({ key, type: 'string', value })),
        ...(one.isServer ? [{ key: 'span.kind', type: 'string', value: 'server' }] : []),
      ],
      logs: [],
      processID: one.service,
      warnings: null,
    })),
    processes: Object.fromEntries(
      own.map(({ service }) => [service, { serviceName: service, tags: [] }]),
    ),
    warnings: null,
  });
  const answer = (ids: readonly string[]): PeerAnswer =>
    json(200, {
      data: ids.map((id) =>
        traceOf(
          id,
          spans.filter(({ traceId }) => traceId === id),
        ),
      ),
      total: 0,
      limit: 0,
      offset: 0,
      errors: null,
    });
  return startHttpPeer({
    handle: ({ method, url }) => {
      if (method !== 'GET') return `${method} is no request of Jaeger's`;
      const id = /^\/api\/traces\/([0-9a-f]{1,32})$/.exec(url.pathname)?.[1]?.padStart(32, '0');
      if (id !== undefined) {
        if (spans.some(({ traceId }) => traceId === id)) return answer([id]);
        const errors = [{ code: 404, msg: 'trace not found' }];
        return json(404, { data: null, total: 0, limit: 0, offset: 0, errors });
      }
      if (url.pathname !== '/api/traces') return `there is no ${url.pathname}`;
      const service = url.searchParams.get('service');
      if (service === null) return "parameter 'service' is required";
      const tags = JSON.parse(url.searchParams.get('tags') ?? '{}') as Record<string, string>;
      const found = spans.filter(
        (one) =>
          one.service === service &&
          Object.entries(tags).every(([name, value]) => one.attributes[name] === value),
      );
      return answer([...new Set(found.map(({ traceId }) => traceId))]);
    },
  });
}

/** Tempo with these spans: one batch a span, ids in base64. */
export function startTempo(spans: readonly Span[]): Promise<HttpPeer> {
  const toBase64 = (_key: string, value: unknown): unknown =>
    typeof value === 'string' && /^([0-9a-f]{16}|[0-9a-f]{32})$/.test(value)
      ? Buffer.from(value, 'hex').toString('base64')
      : value;
  return startHttpPeer({
    handle: ({ method, url }) => {
      if (method !== 'GET') return `${method} is no request of Tempo's`;
      const id = /^\/api\/traces\/([0-9a-f]{32})$/.exec(url.pathname)?.[1];
      if (id !== undefined) {
        const own = spans.filter(({ traceId }) => traceId === id);
        if (own.length === 0) return { status: 404, type: 'text/plain', body: '' };
        const batches = own.flatMap(
          (one) => (toOtlp(one) as { resourceSpans: object[] }).resourceSpans,
        );
        return { status: 200, body: JSON.stringify({ batches }, toBase64) };
      }
      if (url.pathname !== '/api/search') return `there is no ${url.pathname}`;
      const [name = '', value = ''] = (url.searchParams.get('tags') ?? '').split('=');
      const found = spans.filter(({ attributes }) => attributes[name] === value);
      const ids = [...new Set(found.map(({ traceId }) => traceId))];
      return json(200, {
        traces: ids.map((traceID) => ({
          traceID: traceID.replace(/^0+/, ''),
          rootServiceName: 'shop',
          rootTraceName: 'GET',
          startTimeUnixNano: '1',
          durationMs: 1,
        })),
        metrics: {},
      });
    },
  });
}

/** An index with these documents. A term on a text field finds nothing: `texts` are such fields. */
export function startLogIndex(
  documents: readonly Readonly<Record<string, unknown>>[],
  texts: readonly string[] = [],
): Promise<HttpPeer> {
  const PIT = 'pit-1';
  let isOpen = false;
  const valueAt = (source: unknown, path: string): unknown =>
    (source as Record<string, unknown>)[path] ??
    path
      .split('.')
      .reduce<unknown>(
        (value, name) => (value as Record<string, unknown> | undefined)?.[name],
        source,
      );
  const matches = (source: object, clause: Record<string, Record<string, unknown>>): boolean => {
    const [[field = '', value] = []] = Object.entries(
      clause['terms'] ?? clause['match_phrase'] ?? {},
    );
    if (clause['match_phrase'] !== undefined)
      return String(valueAt(source, field)).includes(String(value));
    const isKeyword = field.endsWith('.keyword');
    const name = field.replace(/\.keyword$/, '');
    if (texts.includes(name) !== isKeyword) return false;
    return (value as unknown[]).includes(valueAt(source, name));
  };
  return startHttpPeer({
    handle: ({ method, url, body }) => {
      const asked = body.length === 0 ? {} : (JSON.parse(body.toString()) as Record<string, never>);
      if (method === 'POST' && /^\/[^/]+\/_pit$/.test(url.pathname)) {
        if (url.searchParams.get('keep_alive') === null) return 'a point in time has a keep_alive';
        if (url.pathname.includes('none'))
          return json(404, { error: { type: 'index_not_found_exception' }, status: 404 });
        isOpen = true;
        return json(200, { id: PIT });
      }
      if (method === 'DELETE' && url.pathname === '/_pit') {
        isOpen = false;
        return json(200, { succeeded: true, num_freed: 1 });
      }
      if (method !== 'POST' || url.pathname !== '/_search') return `there is no ${url.pathname}`;
      const {
        pit,
        size,
        query,
        sort,
        search_after: after,
      } = asked as unknown as {
        pit: { id: string };
        size: number;
        query: { bool: { should: Record<string, Record<string, unknown>>[] } };
        sort: object[];
        search_after?: [number];
      };
      if (!isOpen || pit.id !== PIT) return 'the point in time is not open';
      if (JSON.stringify(sort) !== '[{"_shard_doc":"asc"}]') return 'pages need an order';
      const found = documents
        .map((source, n) => ({ _index: 'logs-1', _id: String(n), _source: source, sort: [n] }))
        .filter(({ _source }) => query.bool.should.some((clause) => matches(_source, clause)))
        .filter((hit) => after === undefined || (hit.sort[0] ?? 0) > after[0]);
      return json(200, {
        pit_id: PIT,
        timed_out: false,
        _shards: { total: 1, successful: 1, failed: 0 },
        hits: { hits: found.slice(0, size) },
      });
    },
  });
}
