/**
 * One request across audit trail, application logs and trace, joined by its ids. What could not be joined is part
 * of the answer, with what it costs. Pure.
 */
import type { SealedEvent } from '../../schemas/record.ts';
import { EVENTS_MAX } from './audit-events.ts';
import type { FoundEvent } from './found-event.ts';
import type { JoinIds } from './ids.ts';
import type { LogLine } from './log-line.ts';
import { USER_ATTRIBUTES, type Span } from './span.ts';
import { selfMs, timeSpent, type TimeSpent } from './time-spent.ts';
import { buildTree, type SpanNode, type Tree } from './tree.ts';

/** What became of a place that was asked. */
export interface Asked {
  readonly kind: 'events' | 'logs' | 'traces';
  readonly name: string;
  /** Null: it was read, in whole. */
  readonly fault: string | null;
  readonly notes: readonly string[];
  /** How many events, lines or spans it gave. */
  readonly found: number;
}

export interface Missing {
  readonly what: string;
  readonly cost: string;
}

export interface Answers {
  /** Of each event that counts rows. */
  readonly rows: readonly {
    readonly event_id: string;
    readonly action: string;
    readonly rows: number;
  }[];
  readonly total_ms: number | null;
  /** By service and name, the most first. */
  readonly time_spent: readonly TimeSpent[];
  /** Users that its spans name. */
  readonly users: readonly string[];
  readonly upload: { readonly name: string; readonly spans: number; readonly ms: number } | null;
}

export interface Investigation {
  readonly id: string;
  readonly requests: readonly string[];
  readonly traces: readonly string[];
  readonly events: readonly FoundEvent[];
  /** Places of records whose bytes are no event. */
  readonly unreadable: readonly string[];
  /** By time; those that say none come last. */
  readonly lines: readonly LogLine[];
  readonly lines_total: number;
  readonly tree: Tree;
  readonly answers: Answers;
  readonly missing: readonly Missing[];
  readonly asked: readonly Asked[];
  /** Every place was read, and every link was there. */
  readonly isWhole: boolean;
}

export interface Gathered {
  readonly id: string;
  readonly ids: JoinIds;
  readonly events: readonly FoundEvent[];
  /** Places of records whose bytes are no event. */
  readonly unreadable: readonly string[];
  /** Whether there are more events than were read. */
  readonly isCut: boolean;
  readonly lines: readonly LogLine[];
  readonly lines_total: number;
  readonly spans: readonly Span[];
  readonly asked: readonly Asked[];
  /** Whether any place was named to read them. */
  readonly isNamed: { readonly logs: boolean; readonly traces: boolean };
}

/** Puts together what was gathered. */
export function conclude(gathered: Gathered): Investigation {
  const { id, ids, events, asked } = gathered;
  const lines = gathered.lines.toSorted((one, other) =>
    (one.time ?? '~').localeCompare(other.time ?? '~'),
  );
  const tree = buildTree(gathered.spans, ids.requests);
  const answers = answer(events, tree);
  const missing = [...findUnclear(gathered), ...findMissing(gathered, answers)];
  return {
    id,
    requests: [...ids.requests],
    traces: [...ids.traces],
    events,
    unreadable: gathered.unreadable,
    lines,
    lines_total: gathered.lines_total,
    tree,
    answers,
    missing,
    asked,
    isWhole: missing.length === 0 && asked.every(({ fault }) => fault === null),
  };
}

/** The tree for a program that reads JSON. */
export function describeSpan(node: SpanNode, nodes: readonly SpanNode[]): object {
  const { span, depth, startMs, durationMs, skewMs, isOrphan } = node;
  return {
    trace_id: span.traceId,
    span_id: span.spanId,
    parent_span_id: span.parentId,
    service: span.service,
    name: span.name,
    depth,
    start_ms: round(startMs),
    duration_ms: round(durationMs),
    self_ms: round(selfMs(node, nodes)),
    skew_ms: round(skewMs),
    error: span.isError,
    parent_missing: isOrphan,
    attributes: span.attributes,
    links: span.links,
  };
}

const round = (ms: number): number => Math.round(ms * 1_000) / 1_000;

function answer(events: readonly FoundEvent[], tree: Tree): Answers {
  return {
    rows: events.flatMap(({ event }) => {
      const rows = rowsOf(event);
      return rows === null ? [] : [{ event_id: event.event_id, action: event.event.action, rows }];
    }),
    total_ms: tree.nodes.length === 0 ? null : round(tree.totalMs),
    time_spent: timeSpent(tree),
    users: usersOf(tree.nodes),
    upload: uploadOf(tree.nodes),
  };
}

function rowsOf({ metadata }: SealedEvent): number | null {
  const said = metadata['row_count'] ?? metadata['rows'];
  return typeof said === 'number' ? said : null;
}

function usersOf(nodes: readonly SpanNode[]): readonly string[] {
  const named = nodes.flatMap(({ span }) =>
    USER_ATTRIBUTES.flatMap((name) => span.attributes[name] ?? []),
  );
  return [...new Set(named.map(String))];
}

const UPLOAD = /upload|put[ _-]?object/i;

function isUpload({ span }: SpanNode): boolean {
  return UPLOAD.test(span.name) || UPLOAD.test(String(span.attributes['rpc.method'] ?? ''));
}

/** Spans that upload, those within another one of them left out; from the first one's start to the last one's end, without the pauses. */
function uploadOf(nodes: readonly SpanNode[]): Answers['upload'] {
  const inner = new Set(nodes.filter(isUpload).flatMap(({ children }) => children));
  // Parents come first: what is inner by a child's child is known by the time it is reached.
  for (const [place, { children }] of nodes.entries())
    if (inner.has(place)) for (const child of children) inner.add(child);
  const uploads = nodes.filter((node, place) => isUpload(node) && !inner.has(place));
  const [first] = uploads;
  if (first === undefined) return null;
  let [ms, upTo] = [0, 0];
  for (const { startMs, durationMs } of uploads.toSorted((a, b) => a.startMs - b.startMs)) {
    ms += Math.max(0, startMs + durationMs - Math.max(startMs, upTo));
    upTo = Math.max(upTo, startMs + durationMs);
  }
  return { name: first.span.name, spans: uploads.length, ms: round(ms) };
}

/** What makes of the events themselves less than they seem to be. */
function findUnclear({ events, unreadable, isCut }: Gathered): readonly Missing[] {
  const unclear: Missing[] = unreadable.map((place) => ({
    what: `event: the record ${place} has bytes that are none`,
    cost: 'it was changed after it was sealed; the ledger of the agent may have it whole',
  }));
  for (const { event, isHashRight } of events)
    if (!isHashRight)
      unclear.push({
        what: `truth: the record ${event.chain.stream}:${event.chain.seq} does not have the hash that it states`,
        cost: 'it was changed after it was sealed: what it says above is not what was recorded; the ledger of the agent may have it whole (sealtrail prove)',
      });
  const byId = new Map<string, string[]>();
  for (const { event } of events) {
    const key = `${event.event_id} of tenant ${event.resource.tenant_id}`;
    byId.set(key, [...(byId.get(key) ?? []), `${event.chain.stream}:${event.chain.seq}`]);
  }
  for (const [id, places] of byId)
    if (places.length > 1)
      unclear.push({
        what: `certainty: event ${id} is recorded ${places.length} times, and each tells of something else (${places.join(', ')})`,
        cost: 'one of them was given the id of the other: the questions of the catalogue show the first that was stored, and leave out the rest',
      });
  if (isCut)
    unclear.push({
      what: `events: there are more than the first ${EVENTS_MAX}`,
      cost: 'what the later ones tell is not shown',
    });
  return unclear;
}

function findMissing(gathered: Gathered, answers: Answers): readonly Missing[] {
  const { ids, events, asked, isNamed, spans, lines } = gathered;
  const missing: Missing[] = [];
  const isRead = (kind: Asked['kind']): boolean =>
    asked.every((one) => one.kind !== kind || one.fault === null);
  if (events.length > 0 && ids.traces.size === 0) {
    missing.push({
      what: 'trace_id: no audit event of this request carries one, so the trace cannot be joined',
      cost: `where the time went, which services took part and how long each step took stay unknown${hintOf(lines)}`,
    });
  } else if (!isNamed.traces) {
    missing.push({
      what: 'traces: no place to read them was named (--traces, --jaeger, --tempo)',
      cost: 'the times of the steps were not looked up',
    });
  } else if (ids.traces.size > 0 && isRead('traces') && spans.length === 0) {
    missing.push({
      what: `spans: none of trace ${[...ids.traces].join(', ')} is in what was read`,
      cost: 'it was not sampled, has expired or lies elsewhere: the times of the steps stay unknown',
    });
  }
  if (events.length > 0 && events.every(({ event }) => event.correlation.request_id === null)) {
    missing.push({
      what: 'request_id: no audit event here carries one',
      cost: 'log lines that name only their request cannot be joined',
    });
  }
  if (!isNamed.logs) {
    missing.push({
      what: 'logs: no place to read them was named (--logs, --elasticsearch)',
      cost: 'what the application said of it was not looked up',
    });
  } else if (isRead('logs') && lines.length === 0) {
    missing.push({
      what: 'log lines: none carries these ids',
      cost: 'what the application said of it is not in what was read',
    });
  }
  if (isRead('events') && events.length + gathered.unreadable.length === 0) {
    missing.push({
      what: 'audit event: none that this login may see carries this id',
      cost: 'who did what is not shown, and the ids are only those that were given',
    });
  }
  const isExport = events.some(({ event }) => /\.export$/.test(event.event.action));
  if (isExport && answers.rows.length === 0) {
    missing.push({
      what: 'metadata.row_count: the export does not say how many rows it took',
      cost: 'its extent is not on record',
    });
  }
  return missing;
}

/** A log is no sealed record: what it names is a lead, and is said to be one. */
function hintOf(lines: readonly LogLine[]): string {
  const named = new Set(
    lines.flatMap(({ text }) =>
      [...text.matchAll(/(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/g)].map(String),
    ),
  );
  if (named.size !== 1) return '';
  return `; its log lines name ${[...named][0] ?? ''}, a lead that the record does not vouch for: investigate that id by itself`;
}
