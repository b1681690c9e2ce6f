/** Gathers what belongs to one request from every place that was named, by its ids. */
import { ok, type Result } from '../../schemas/result.ts';
import { isOfOneRecord, type AuditEvents, type FoundEvent } from './audit-events.ts';
import type { JoinIds } from './ids.ts';
import { conclude, type Asked, type Investigation } from './investigation.ts';
import type { LogLine } from './log-line.ts';
import { LINES_MAX, type LogSource, type TraceSource } from './source.ts';
import { requestOf, type Span } from './span.ts';

export interface Places {
  readonly events: AuditEvents;
  /** How the store is called in the answer. */
  readonly store: string;
  readonly logs: readonly LogSource[];
  readonly traces: readonly TraceSource[];
}

/** Investigates an event, a request or a trace. */
export async function investigate(named: string, places: Places): Promise<Investigation> {
  const asked: Asked[] = [];
  const { id, events } = await gatherEvents(named, places, asked);
  const ids = idsOf(id, events);
  const lines: LogLine[] = [];
  let linesTotal = 0;
  for (const source of places.logs) {
    const found = await source.find(ids);
    asked.push(outcomeOf('logs', source.name, found, (value) => value.total));
    if (!found.ok) continue;
    lines.push(...found.value.lines.slice(0, LINES_MAX - lines.length));
    linesTotal += found.value.total;
  }
  const spans: Span[] = [];
  if (ids.traces.size > 0)
    for (const source of places.traces) {
      const found = await source.find(ids.traces);
      asked.push(outcomeOf('traces', source.name, found, (value) => value.spans.length));
      if (found.ok) spans.push(...found.value.spans);
    }
  const isNamed = { logs: places.logs.length > 0, traces: places.traces.length > 0 };
  return conclude({ id, ids, events, lines, lines_total: linesTotal, spans, asked, isNamed });
}

export interface UserTrace {
  readonly trace_id: string;
  readonly request_id: string | null;
  readonly service: string;
  /** Name of the first span that is of the user. */
  readonly name: string;
  readonly time: string;
  readonly spans: number;
}

/** The traces in which a user acted, by time, and what became of each place. */
export async function findUserTraces(
  user: string,
  sources: readonly TraceSource[],
): Promise<{ readonly traces: readonly UserTrace[]; readonly asked: readonly Asked[] }> {
  const asked: Asked[] = [];
  const byTrace = new Map<string, Span[]>();
  for (const source of sources) {
    const found = await source.findByUser(user);
    asked.push(outcomeOf('traces', source.name, found, (value) => value.spans.length));
    for (const span of found.ok ? found.value.spans : [])
      byTrace.set(span.traceId, [...(byTrace.get(span.traceId) ?? []), span]);
  }
  const traces = [...byTrace].flatMap(([trace_id, spans]) => {
    const [first] = spans.toSorted((a, b) => Number(a.startNs - b.startNs));
    if (first === undefined) return [];
    return {
      trace_id,
      request_id: spans.map(requestOf).find((request) => request !== null) ?? null,
      service: first.service,
      name: first.name,
      time: new Date(Number(first.startNs / 1_000_000n)).toISOString(),
      spans: spans.length,
    };
  });
  return { traces: traces.sort((a, b) => a.time.localeCompare(b.time)), asked };
}

/** The events, and the id that they are asked for by: of one record that of its event, however it was named. */
async function gatherEvents(
  named: string,
  { events: store, store: name }: Places,
  asked: Asked[],
): Promise<{ readonly id: string; readonly events: readonly FoundEvent[] }> {
  const found = await store.find(named);
  let all: Result<readonly FoundEvent[], string> = found;
  const [first] = found.ok ? found.value : [];
  const isOne = first !== undefined && isOfOneRecord(named);
  const id = isOne ? first.event.event_id : named;
  if (isOne) {
    const { request_id: request, trace_id: trace } = first.event.correlation;
    const related = await store.findRelated(first.event.resource.tenant_id, { request, trace });
    all = related.ok ? ok(mergeEvents([first, ...related.value])) : related;
  }
  asked.push(outcomeOf('events', name, all, (value) => value.length));
  // What was found stays found, where only what belongs to it could not be read.
  return { id, events: all.ok ? all.value : found.ok ? found.value : [] };
}

function mergeEvents(events: readonly FoundEvent[]): readonly FoundEvent[] {
  const byId = new Map(events.map((one) => [one.event.event_id, one]));
  return [...byId.values()].sort((a, b) => a.event.event.time.localeCompare(b.event.event.time));
}

/**
 * The ids to join by: those of what was asked for. Of an event that merely shares the trace the request is not
 * taken, or the next request of the same client would come in with it.
 */
function idsOf(id: string, events: readonly FoundEvent[]): JoinIds {
  const asked = events.find(({ event }) => event.event_id === id);
  const isTrace = events.some(({ event }) => event.correlation.trace_id === id.toLowerCase());
  const request = asked !== undefined ? asked.event.correlation.request_id : isTrace ? null : id;
  if (asked === undefined && isTrace)
    return { requests: new Set(), traces: new Set([id.toLowerCase()]) };
  const traces = events
    .filter(({ event }) => event.event_id === id || event.correlation.request_id === request)
    .flatMap(({ event }) => event.correlation.trace_id ?? []);
  // Unknown to the trail, it may still be known to logs and traces.
  const given = events.length === 0 && /^[0-9a-f]{32}$/i.test(id) ? [id.toLowerCase()] : [];
  return {
    requests: new Set(request === null ? [] : [request]),
    traces: new Set([...traces, ...given]),
  };
}

function outcomeOf<T extends object>(
  kind: Asked['kind'],
  name: string,
  outcome: Result<T, string>,
  count: (value: T) => number,
): Asked {
  if (!outcome.ok) return { kind, name, fault: outcome.error, notes: [], found: 0 };
  const { value } = outcome;
  const notes = 'notes' in value ? (value.notes as readonly string[]) : [];
  return { kind, name, fault: null, notes, found: count(value) };
}
