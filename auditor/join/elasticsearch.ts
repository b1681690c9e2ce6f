/**
 * Log lines out of an Elasticsearch index: asked for by the usual names of the two ids and by the message, in pages
 * over a point in time; what comes back is judged by the same rule as a line of a file.
 */
import { err, ok, type Result } from '../../schemas/result.ts';
import { memberOf } from '../../schemas/untrusted-json.ts';
import { askJson, type JsonAnswer, type JsonRequest } from './http.ts';
import type { JoinIds } from './ids.ts';
import { readLogFields, type LogLine } from './log-line.ts';
import { LINES_MAX, type FoundLines, type LogSource } from './source.ts';

export interface ElasticsearchOptions {
  readonly url: string;
  /** Name or pattern of the index. */
  readonly index: string;
  /** `ApiKey …` or `Bearer …`, where the URL has no user. */
  readonly authorization?: string;
}

const PAGE_LINES = 500;
const REQUEST_FIELDS = [
  ...['request_id', 'requestId', 'request.id', 'req_id', 'reqId', 'correlation_id'],
  ...['http.request.id', 'correlation.request_id', 'labels.request_id'],
];
const TRACE_FIELDS = ['trace.id', 'trace_id', 'traceId', 'correlation.trace_id', 'labels.trace_id'];

/** The source that an index is. */
export function openElasticsearch(options: ElasticsearchOptions): LogSource {
  const name = `${new URL(options.url).host}/${options.index}`;
  const headers =
    options.authorization === undefined ? {} : { authorization: options.authorization };
  const ask = async (request: JsonRequest): Promise<Result<JsonAnswer, string>> => {
    const answer = await askJson(options.url, { ...request, headers });
    if (!answer.ok || answer.value.status < 300) return answer;
    const { status, body } = answer.value;
    const type = memberOf(memberOf(body, 'error'), 'type');
    return err(`answered ${status}${typeof type === 'string' ? ` (${type})` : ''}`);
  };
  return {
    name,
    find: async (ids) => {
      const index = encodeURIComponent(options.index);
      const opened = await ask({ method: 'POST', path: `/${index}/_pit?keep_alive=1m` });
      if (!opened.ok) return opened;
      const pit = memberOf(opened.value.body, 'id');
      if (typeof pit !== 'string') return err('did not give a point in time');
      const found = await readPages(ask, pit, ids);
      // What it keeps for a minute; whether that went well changes no answer.
      await ask({ method: 'DELETE', path: '/_pit', body: { id: pit } });
      return found;
    },
  };
}

async function readPages(
  ask: (request: JsonRequest) => Promise<Result<JsonAnswer, string>>,
  pit: string,
  ids: JoinIds,
): Promise<Result<FoundLines, string>> {
  const lines: LogLine[] = [];
  let total = 0;
  let id = pit;
  let after: unknown;
  for (;;) {
    const answer = await ask({
      method: 'POST',
      path: '/_search',
      body: {
        size: PAGE_LINES,
        pit: { id, keep_alive: '1m' },
        query: queryOf(ids),
        sort: [{ _shard_doc: 'asc' }],
        ...(after === undefined ? {} : { search_after: after }),
      },
    });
    if (!answer.ok) return answer;
    const { body } = answer.value;
    if (memberOf(body, 'timed_out') === true) return err('ran out of its time');
    const failed = memberOf(memberOf(body, '_shards'), 'failed');
    if (typeof failed === 'number' && failed > 0) return err(`${failed} of its shards failed`);
    const hits = memberOf(memberOf(body, 'hits'), 'hits');
    if (!Array.isArray(hits)) return err('answered no hits');
    for (const hit of hits as unknown[]) {
      const line = lineOf(hit, ids);
      if (line === null) continue;
      total += 1;
      if (lines.length < LINES_MAX) lines.push(line);
    }
    if (hits.length < PAGE_LINES) return ok({ lines, total, notes: [] });
    after = memberOf(hits.at(-1), 'sort');
    const renewed = memberOf(body, 'pit_id');
    if (typeof renewed === 'string') id = renewed;
  }
}

/**
 * More than is wanted: a text field has all words of the id somewhere, and what comes back is judged. A field that holds
 * numbers in some index takes no text, which is no reason to give up the others.
 */
function queryOf(ids: JoinIds): object {
  const match = (fields: readonly string[], values: ReadonlySet<string>): object[] =>
    [...values].flatMap((query) =>
      fields.map((field) => ({ match: { [field]: { query, operator: 'and', lenient: true } } })),
    );
  const phrases = [...ids.requests, ...ids.traces].map((id) => ({ match_phrase: { message: id } }));
  const should = [
    ...match(REQUEST_FIELDS, ids.requests),
    ...match(TRACE_FIELDS, ids.traces),
    ...phrases,
  ];
  return { bool: { should, minimum_should_match: 1 } };
}

function lineOf(hit: unknown, ids: JoinIds): LogLine | null {
  const source = memberOf(hit, '_source');
  if (typeof source !== 'object' || source === null) return null;
  const where = `${String(memberOf(hit, '_index'))}/${String(memberOf(hit, '_id'))}`;
  return readLogFields(
    source as Readonly<Record<string, unknown>>,
    JSON.stringify(source),
    where,
    ids,
  );
}
