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

/** What a server with a page of its own answers where it has no API. */
const PAGE: PeerAnswer = { status: 200, type: 'text/html', body: '<!doctype html><title>UI' };

/** Jaeger with these spans, and one of its two APIs. Ids lose their leading zeros in the older one, as there. */
export function startJaeger(
  spans: readonly Span[],
  api: 'internal' | 'v3' = 'internal',
): Promise<HttpPeer> {
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
      const [, version, asked] =
        /^\/api(\/v3)?\/traces\/([0-9a-f]{1,32})$/.exec(url.pathname) ?? [];
      if (asked !== undefined && (version !== undefined) !== (api === 'v3')) return PAGE;
      const id = asked?.padStart(32, '0');
      if (id !== undefined && api === 'v3') {
        const resourceSpans = resourcesOf(spans, id);
        if (resourceSpans.length > 0) return json(200, { result: { resourceSpans } });
        return json(404, { error: { httpCode: 404, message: 'No traces found' } });
      }
      if (id !== undefined) {
        if (spans.some(({ traceId }) => traceId === id)) return answer([id]);
        const errors = [{ code: 404, msg: 'trace not found' }];
        return json(404, { data: null, total: 0, limit: 0, offset: 0, errors });
      }
      if (url.pathname !== '/api/traces') return `there is no ${url.pathname}`;
      const service = url.searchParams.get('service');
      if (service === null) return "parameter 'service' is required";
      const [start, end] = [url.searchParams.get('start'), url.searchParams.get('end')];
      if (start === null || end === null) return 'without a time two days are searched';
      const tags = JSON.parse(url.searchParams.get('tags') ?? '{}') as Record<string, string>;
      const found = spans.filter(
        (one) =>
          one.service === service &&
          one.startNs / 1_000n >= BigInt(start) &&
          one.startNs / 1_000n < BigInt(end) &&
          Object.entries(tags).every(([name, value]) => one.attributes[name] === value),
      );
      return answer([...new Set(found.map(({ traceId }) => traceId))]);
    },
  });
}

function resourcesOf(spans: readonly Span[], id: string): readonly object[] {
  return spans
    .filter(({ traceId }) => traceId === id)
    .flatMap((one) => (toOtlp(one) as { resourceSpans: object[] }).resourceSpans);
}

const WEEK_S = 7 * 86_400;

/** Tempo with these spans: one batch a span, ids in base64. Before `v2` there was only the first version of its API. */
export function startTempo(
  spans: readonly Span[],
  { api = 'v1', status }: { readonly api?: 'v1' | 'v2'; readonly status?: string } = {},
): Promise<HttpPeer> {
  const toBase64 = (_key: string, value: unknown): unknown =>
    typeof value === 'string' && /^([0-9a-f]{16}|[0-9a-f]{32})$/.test(value)
      ? Buffer.from(value, 'hex').toString('base64')
      : value;
  return startHttpPeer({
    handle: ({ method, url }) => {
      if (method !== 'GET') return `${method} is no request of Tempo's`;
      const [, version, id] = /^\/api(\/v2)?\/traces\/([0-9a-f]{32})$/.exec(url.pathname) ?? [];
      if (id !== undefined) {
        const batches = resourcesOf(spans, id);
        const isThere = version === undefined || api === 'v2';
        if (!isThere || batches.length === 0)
          return { status: 404, type: 'text/plain', body: '404 page not found' };
        const body =
          version === undefined ? { batches } : { trace: { resourceSpans: batches }, status };
        return { status: 200, body: JSON.stringify(body, toBase64) };
      }
      if (url.pathname !== '/api/search') return `there is no ${url.pathname}`;
      const [name = '', value = ''] = (url.searchParams.get('tags') ?? '').split('=');
      const [start, end] = ['start', 'end'].map((at) => Number(url.searchParams.get(at)));
      if (!start || !end) return 'without a time only what came in last is searched';
      if (end - start > WEEK_S) return json(400, 'range exceeds 168h0m0s');
      const found = spans.filter(
        ({ attributes, startNs }) =>
          attributes[name] === value &&
          startNs / 1_000_000_000n >= BigInt(start) &&
          startNs / 1_000_000_000n < BigInt(end),
      );
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

/** An index with these documents. Fields are keywords, but for `texts`, which are split into words, and `numbers`. */
export function startLogIndex(
  documents: readonly Readonly<Record<string, unknown>>[],
  { texts = [], numbers = [] }: Readonly<Record<'texts' | 'numbers', readonly string[]>>,
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
  type Match = Readonly<Record<'query' | 'operator', string>> & { readonly lenient: boolean };
  interface Clause {
    readonly match?: Readonly<Record<string, Match>>;
    readonly match_phrase?: Readonly<Record<string, string>>;
  }
  const wordsOf = (text: string): string[] => text.toLowerCase().match(/\w+/g) ?? [];
  const matches = (source: object, { match, match_phrase: phrase }: Clause): boolean => {
    const [[inText = '', words] = []] = Object.entries(phrase ?? {});
    if (words !== undefined) return String(valueAt(source, inText)).includes(words);
    const [[field = '', asked] = []] = Object.entries(match ?? {});
    if (asked === undefined || asked.operator !== 'and') throw new Error('no such clause');
    const value = valueAt(source, field);
    if (!texts.includes(field)) return value === asked.query;
    const had = wordsOf(String(value));
    return wordsOf(asked.query).every((word) => had.includes(word));
  };
  /** As Elasticsearch does with text for a number, unless it is asked to be lenient. */
  const isRefused = ({ match = {} }: Clause): boolean =>
    Object.entries(match).some(
      ([field, { query, lenient }]) => numbers.includes(field) && !lenient && !/^\d+$/.test(query),
    );
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
        query: { bool: { should: Clause[] } };
        sort: object[];
        search_after?: [number];
      };
      if (!isOpen || pit.id !== PIT) return 'the point in time is not open';
      if (JSON.stringify(sort) !== '[{"_shard_doc":"asc"}]') return 'pages need an order';
      if (query.bool.should.some(isRefused))
        return json(400, { error: { type: 'search_phase_execution_exception' }, status: 400 });
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
