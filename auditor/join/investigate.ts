/** Gathers what belongs to one request from every place that was named, by its ids. */
import { ok, type Result } from '../../schemas/result.ts';
import { isOfOneRecord, type AuditEvents, type FoundEvents } from './audit-events.ts';
import { mergeEvents, type FoundEvent } from './found-event.ts';
import type { JoinIds } from './ids.ts';
import { conclude, type Asked, type Investigation } from './investigation.ts';
import type { LogLine } from './log-line.ts';
import { LINES_MAX, type LogSource, type TimeRange, type TraceSource } from './source.ts';
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
  const { id, found } = await gatherEvents(named, places, asked);
  const { events, unreadable, isCut } = found;
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
  // Put together and not pushed: a call takes no hundred thousand arguments.
  let spans: readonly Span[] = [];
  if (ids.traces.size > 0)
    for (const source of places.traces) {
      const found = await source.find(ids.traces);
      asked.push(outcomeOf('traces', source.name, found, (value) => value.spans.length));
      if (found.ok) spans = spans.concat(found.value.spans);
    }
  const isNamed = { logs: places.logs.length > 0, traces: places.traces.length > 0 };
  const gathered = { id, ids, events, unreadable, isCut, lines, lines_total: linesTotal, spans };
  return conclude({ ...gathered, asked, isNamed });
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
  range: TimeRange | null,
  sources: readonly TraceSource[],
): Promise<{ readonly traces: readonly UserTrace[]; readonly asked: readonly Asked[] }> {
  const asked: Asked[] = [];
  const byTrace = new Map<string, Span[]>();
  for (const source of sources) {
    const found = await source.findByUser(user, range);
    asked.push(outcomeOf('traces', source.name, found, (value) => value.spans.length));
    for (const span of found.ok ? found.value.spans : []) {
      const known = byTrace.get(span.traceId);
      if (known === undefined) byTrace.set(span.traceId, [span]);
      else known.push(span);
    }
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
): Promise<{ readonly id: string; readonly found: FoundEvents }> {
  const found = await store.find(named);
  const parts = found.ok ? [found.value] : [];
  let all: Result<FoundEvents, string> = found;
  const ofRecord = found.ok && isOfOneRecord(named) ? found.value.events : [];
  for (const { event } of ofRecord) {
    const { request_id: request, trace_id: trace } = event.correlation;
    const related = await store.findRelated(event.resource.tenant_id, { request, trace });
    if (related.ok) parts.push(related.value);
    else all = related;
  }
  // What was found stays found, where only what belongs to it could not be read.
  const whole = {
    events: mergeEvents(parts.flatMap(({ events }) => events)),
    unreadable: [...new Set(parts.flatMap(({ unreadable }) => unreadable))],
    isCut: parts.some(({ isCut }) => isCut),
  };
  const outcome = all.ok ? ok(whole) : all;
  asked.push(outcomeOf('events', name, outcome, ({ events }) => events.length));
  return { id: ofRecord[0]?.event.event_id ?? named, found: whole };
}

/**
 * The ids to join by: those of what was asked for. Of an event that merely shares the trace the request is not
 * taken, or the next request of the same client would come in with it.
 */
function idsOf(id: string, events: readonly FoundEvent[]): JoinIds {
  const asked = events.filter(({ event }) => event.event_id === id);
  const trace = id.toLowerCase();
  if (asked.length === 0 && events.some(({ event }) => event.correlation.trace_id === trace))
    return { requests: new Set(), traces: new Set([trace]) };
  const requests = new Set(
    asked.length === 0 ? [id] : asked.flatMap(({ event }) => event.correlation.request_id ?? []),
  );
  const traces = events
    .filter(
      ({ event: { event_id, correlation } }) =>
        event_id === id || requests.has(correlation.request_id ?? ''),
    )
    .flatMap(({ event }) => event.correlation.trace_id ?? []);
  // Unknown to the trail, it may still be known to logs and traces.
  const given = events.length === 0 && /^[0-9a-f]{32}$/i.test(id) ? [trace] : [];
  return { requests, traces: new Set([...traces, ...given]) };
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
