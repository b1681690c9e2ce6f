/** Spans from the HTTP APIs of Jaeger and Tempo. A trace that they do not have is no fault; any other answer is. */
import { err, ok, type Result } from '../../schemas/result.ts';
import { memberOf } from '../../schemas/untrusted-json.ts';
import { askJson, type Headers } from './http.ts';
import { parseJaeger } from './jaeger-json.ts';
import { parseOtlp } from './otlp-json.ts';
import { SPANS_MAX, type FoundSpans, type TimeRange, type TraceSource } from './source.ts';
import { isOfUser, USER_ATTRIBUTES, type Span } from './span.ts';

export interface TraceServerOptions {
  readonly url: string;
  /** Beside user and password of the URL: a bearer token, or the tenant as X-Scope-OrgID. */
  readonly headers?: Headers;
  readonly nowMs: () => number;
}

type Parse = (document: unknown) => readonly Span[] | undefined;

/** A path at which a server may have a trace, and the form in which it gives it. */
interface Way {
  readonly path: string;
  readonly parse: Parse;
}

/** The API of its own page, which all versions have, and the one that is promised to stay. */
const JAEGER: readonly Way[] = [
  { path: '/api/traces/', parse: parseJaeger },
  { path: '/api/v3/traces/', parse: parseOtlp },
];
/** The second version says when a trace is cut; older servers have the first one alone. */
const TEMPO: readonly Way[] = [
  { path: '/api/v2/traces/', parse: parseOtlp },
  { path: '/api/traces/', parse: parseOtlp },
];
const TRACES_MAX = 20;
const DAY_MS = 86_400_000;
/** Asked for no time, both search the last minutes or days only; Tempo takes no more than this at once. */
const SEARCHED_MS = 7 * DAY_MS;

/** Jaeger's query service; `service` is what it asks for in a search by user. */
export function openJaeger(options: TraceServerOptions, service: string | undefined): TraceSource {
  return {
    name: new URL(options.url).host,
    find: (ids) => fetchTraces(options, ids, JAEGER),
    findByUser: async (user, range) => {
      if (service === undefined)
        return err('searches the spans of one service only; name it with --service');
      const { fromMs, toMs } = range ?? recent(options);
      let spans: readonly Span[] = [];
      for (const name of USER_ATTRIBUTES) {
        const query = new URLSearchParams({
          service,
          tags: JSON.stringify({ [name]: user }),
          start: `${fromMs}000`,
          end: `${toMs}000`,
          limit: String(TRACES_MAX),
        });
        const answer = await get(options, `/api/traces?${query.toString()}`);
        if (!answer.ok) return answer;
        const found = parseJaeger(answer.value.body);
        if (answer.value.status !== 200) return err(`answered ${answer.value.status}`);
        if (found === undefined) return err(NO_TRACE);
        spans = spans.concat(found);
      }
      const traces = new Set(spans.map(({ traceId }) => traceId)).size;
      const notes = notesOf(range, { fromMs, toMs }, traces);
      return ok({ spans: spans.filter((span) => isOfUser(span, user)), notes });
    },
  };
}

/** Tempo. */
export function openTempo(options: TraceServerOptions): TraceSource {
  return {
    name: new URL(options.url).host,
    find: (ids) => fetchTraces(options, ids, TEMPO),
    findByUser: async (user, range) => {
      const searched = range ?? recent(options);
      const ids = new Set<string>();
      // The newest first, as far as the limit goes.
      for (let to = searched.toMs; to > searched.fromMs; to -= SEARCHED_MS) {
        const found = await searchTempo(options, user, {
          fromMs: Math.max(searched.fromMs, to - SEARCHED_MS),
          toMs: to,
        });
        if (!found.ok) return found;
        for (const id of found.value) ids.add(id);
        if (ids.size >= TRACES_MAX) break;
      }
      const found = await fetchTraces(options, ids, TEMPO);
      if (!found.ok) return found;
      const { spans, notes } = found.value;
      return ok({
        spans: spans.filter((span) => isOfUser(span, user)),
        notes: [...notes, ...notesOf(range, searched, ids.size)],
      });
    },
  };
}

async function searchTempo(
  options: TraceServerOptions,
  user: string,
  { fromMs, toMs }: TimeRange,
): Promise<Result<readonly string[], string>> {
  const ids: string[] = [];
  for (const name of USER_ATTRIBUTES) {
    const query = new URLSearchParams({
      tags: `${name}=${/[\s"=]/.test(user) ? JSON.stringify(user) : user}`,
      start: String(Math.floor(fromMs / 1000)),
      end: String(Math.ceil(toMs / 1000)),
      limit: String(TRACES_MAX),
    });
    const answer = await get(options, `/api/search?${query.toString()}`);
    if (!answer.ok) return answer;
    const { status, body } = answer.value;
    if (status !== 200) return err(`answered ${status}`);
    const traces = memberOf(body, 'traces');
    for (const trace of Array.isArray(traces) ? (traces as unknown[]) : []) {
      const id = memberOf(trace, 'traceID');
      if (typeof id === 'string') ids.push(id.toLowerCase().padStart(32, '0'));
    }
  }
  return ok(ids);
}

function recent({ nowMs }: TraceServerOptions): TimeRange {
  return { fromMs: nowMs() - SEARCHED_MS, toMs: nowMs() };
}

/** What a search leaves open. */
function notesOf(
  asked: TimeRange | null,
  { fromMs, toMs }: TimeRange,
  traces: number,
): readonly string[] {
  const [from, to] = [fromMs, toMs].map((ms) => new Date(ms).toISOString());
  return [
    ...(asked === null
      ? [`it was searched from ${from} to ${to}: --since names another time`]
      : []),
    ...(traces >= TRACES_MAX
      ? [`it was asked for ${TRACES_MAX} traces at most; there may be more`]
      : []),
  ];
}

const NO_TRACE = 'answered something that is no trace';

async function fetchTraces(
  options: TraceServerOptions,
  ids: ReadonlySet<string>,
  ways: readonly Way[],
): Promise<Result<FoundSpans, string>> {
  let spans: readonly Span[] = [];
  const notes: string[] = [];
  for (const id of ids) {
    const found = await fetchTrace(options, id, ways);
    if (!found.ok) return found;
    spans = spans.concat(found.value.spans.filter(({ traceId }) => traceId === id));
    notes.push(...found.value.notes);
  }
  if (spans.length > SPANS_MAX)
    notes.push(`${spans.length} spans, of which ${SPANS_MAX} were taken`);
  return ok({ spans: spans.slice(0, SPANS_MAX), notes });
}

/** By the first way that there is: an answer 404 in JSON is the server's own word that it has no such trace. */
async function fetchTrace(
  options: TraceServerOptions,
  id: string,
  ways: readonly Way[],
): Promise<Result<FoundSpans, string>> {
  let fault: string | null = NO_TRACE;
  for (const { path, parse } of ways) {
    const answer = await get(options, path + id);
    if (!answer.ok) return answer;
    const { status, body } = answer.value;
    if (status === 404) {
      fault = null;
      if (body !== null) break;
      continue;
    }
    if (status !== 200) return err(`answered ${status}`);
    const spans = parse(body);
    if (spans !== undefined) return ok({ spans, notes: cutNotes(id, body) });
  }
  return fault === null ? ok({ spans: [], notes: [] }) : err(fault);
}

function cutNotes(id: string, body: unknown): readonly string[] {
  return memberOf(body, 'status') === 'PARTIAL' ? [`it has trace ${id} in part only`] : [];
}

function get({ url, headers = {} }: TraceServerOptions, path: string): ReturnType<typeof askJson> {
  return askJson(url, { method: 'GET', path, headers });
}
