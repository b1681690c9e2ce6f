/** Spans from the HTTP APIs of Jaeger and Tempo. A trace that they do not have is no fault; any other answer is. */
import { err, ok, type Result } from '../../schemas/result.ts';
import { memberOf } from '../../schemas/untrusted-json.ts';
import { askJson } from './http.ts';
import { parseJaeger } from './jaeger-json.ts';
import { parseOtlp } from './otlp-json.ts';
import type { FoundSpans, TraceSource } from './source.ts';
import { isOfUser, USER_ATTRIBUTES, type Span } from './span.ts';

const TRACES_MAX = 20;
type Parse = (document: unknown) => readonly Span[] | undefined;

/** Jaeger's query service; `service` is what it asks for in a search by user. */
export function openJaeger(url: string, service: string | undefined): TraceSource {
  return {
    name: new URL(url).host,
    find: (ids) => fetchTraces(url, ids, parseJaeger),
    findByUser: async (user) => {
      if (service === undefined)
        return err('searches the spans of one service only; name it with --service');
      const spans: Span[] = [];
      for (const name of USER_ATTRIBUTES) {
        const query = new URLSearchParams({
          service,
          tags: JSON.stringify({ [name]: user }),
          limit: String(TRACES_MAX),
        });
        const found = await ask(url, `/api/traces?${query.toString()}`, parseJaeger);
        if (!found.ok) return found;
        spans.push(...found.value);
      }
      return ok({ spans: spans.filter((span) => isOfUser(span, user)), notes: noteLimit(spans) });
    },
  };
}

/** Tempo. */
export function openTempo(url: string): TraceSource {
  return {
    name: new URL(url).host,
    find: (ids) => fetchTraces(url, ids, parseOtlp),
    findByUser: async (user) => {
      const ids = new Set<string>();
      for (const name of USER_ATTRIBUTES) {
        const query = new URLSearchParams({
          tags: `${name}=${/[\s"=]/.test(user) ? JSON.stringify(user) : user}`,
          limit: String(TRACES_MAX),
        });
        const found = await askJson(url, {
          method: 'GET',
          path: `/api/search?${query.toString()}`,
        });
        if (!found.ok) return found;
        const traces = memberOf(found.value.body, 'traces');
        if (found.value.status !== 200) return err(`answered ${found.value.status}`);
        for (const trace of Array.isArray(traces) ? (traces as unknown[]) : []) {
          const id = memberOf(trace, 'traceID');
          if (typeof id === 'string') ids.add(id.toLowerCase().padStart(32, '0'));
        }
      }
      const found = await fetchTraces(url, ids, parseOtlp);
      if (!found.ok) return found;
      const { spans, notes } = found.value;
      const limit = ids.size >= TRACES_MAX ? [LIMIT_NOTE] : [];
      return ok({
        spans: spans.filter((span) => isOfUser(span, user)),
        notes: [...notes, ...limit],
      });
    },
  };
}

const LIMIT_NOTE = `it was asked for ${TRACES_MAX} traces at most; there may be more`;

function noteLimit(spans: readonly Span[]): readonly string[] {
  return new Set(spans.map(({ traceId }) => traceId)).size >= TRACES_MAX ? [LIMIT_NOTE] : [];
}

async function fetchTraces(
  url: string,
  ids: ReadonlySet<string>,
  parse: Parse,
): Promise<Result<FoundSpans, string>> {
  const spans: Span[] = [];
  for (const id of ids) {
    const found = await ask(url, `/api/traces/${id}`, parse);
    if (!found.ok) return found;
    spans.push(...found.value.filter(({ traceId }) => traceId === id));
  }
  return ok({ spans, notes: [] });
}

async function ask(
  url: string,
  path: string,
  parse: Parse,
): Promise<Result<readonly Span[], string>> {
  const answer = await askJson(url, { method: 'GET', path });
  if (!answer.ok) return answer;
  const { status, body } = answer.value;
  if (status === 404) return ok([]);
  if (status !== 200) return err(`answered ${status}`);
  const spans = parse(body);
  return spans === undefined ? err('answered something that is no trace') : ok(spans);
}
