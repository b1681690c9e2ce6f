/** The places that `sealtrail investigate` is told of, opened; and what is wrong with how they are named. */
import { openElasticsearch } from '../auditor/join/elasticsearch.ts';
import { parseHeaders, type Headers } from '../auditor/join/http.ts';
import { openLogFile } from '../auditor/join/log-files.ts';
import type { LogSource, TimeRange, TraceSource } from '../auditor/join/source.ts';
import { openTraceFile } from '../auditor/join/trace-files.ts';
import { openJaeger, openTempo } from '../auditor/join/trace-servers.ts';
import { readTime } from '../auditor/times.ts';
import { err, ok, type Result } from '../schemas/result.ts';

export interface PlaceOptions {
  readonly store?: string;
  readonly logs?: readonly string[];
  readonly elasticsearch?: string;
  readonly index?: string;
  readonly traces?: readonly string[];
  readonly jaeger?: string;
  readonly tempo?: string;
  readonly service?: string;
  readonly since?: string;
  readonly until?: string;
}

export interface OpenPlaces {
  readonly logs: readonly LogSource[];
  readonly traces: readonly TraceSource[];
  /** Of a search by user; null: none was named. */
  readonly range: TimeRange | null;
}

/** Opens them; keys and headers come from the environment, where no list of processes shows them. */
export function openPlaces(
  options: PlaceOptions,
  env: NodeJS.ProcessEnv,
  nowMs: () => number,
): Result<OpenPlaces, string> {
  const { logs = [], elasticsearch, index, traces = [], jaeger, tempo, service, store } = options;
  if ((elasticsearch === undefined) !== (index === undefined))
    return err('--elasticsearch and --index belong together');
  const isUrl = (url: string | undefined): boolean => url === undefined || URL.canParse(url);
  if (![elasticsearch, jaeger, tempo, store].every(isUrl))
    return err('one of the addresses is no URL');
  const headers: Headers | null = parseHeaders(env['TRACES_HEADERS'] ?? '');
  if (headers === null)
    return err('TRACES_HEADERS must be like authorization=Bearer%20token,x-scope-orgid=acme');
  const range = readRange(options, nowMs());
  if (!range.ok) return range;
  const files = logs.map(openLogFile);
  const key = env['ELASTICSEARCH_API_KEY'];
  const authorization = key === undefined ? {} : { authorization: `ApiKey ${key}` };
  return ok({
    range: range.value,
    logs:
      elasticsearch === undefined || index === undefined
        ? files
        : [...files, openElasticsearch({ url: elasticsearch, index, ...authorization })],
    traces: [
      ...traces.map(openTraceFile),
      ...(jaeger === undefined ? [] : [openJaeger({ url: jaeger, headers, nowMs }, service)]),
      ...(tempo === undefined ? [] : [openTempo({ url: tempo, headers, nowMs })]),
    ],
  });
}

function readRange(
  { since, until }: PlaceOptions,
  nowMs: number,
): Result<TimeRange | null, string> {
  if (since === undefined)
    return until === undefined ? ok(null) : err('--until goes with a --since');
  const [from, to] = [
    readTime(since, 'since', 'UTC', nowMs),
    readTime(until ?? 'now', 'until', 'UTC', nowMs),
  ];
  if (!from.ok) return err(`--since ${from.error}`);
  if (!to.ok) return err(`--until ${to.error}`);
  const [fromMs, toMs] = [Date.parse(from.value), Date.parse(to.value)];
  return fromMs < toMs ? ok({ fromMs, toMs }) : err('--until must be after --since');
}
