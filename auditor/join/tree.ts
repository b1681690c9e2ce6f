/**
 * The spans of a request as a tree: who called whom, each at its time. What is twice is taken once; what hangs
 * below a span that never arrived begins a tree of its own; an answer that seems to lie outside its call is moved
 * into it, for two services have two clocks; spans of another request in the same trace are left out. Pure.
 */
import { requestOf, type Span } from './span.ts';

export interface SpanNode {
  readonly span: Span;
  readonly depth: number;
  /** After the beginning of the first span, with skew taken out. */
  readonly startMs: number;
  readonly durationMs: number;
  /** By how much its clock was corrected; 0: not at all. */
  readonly skewMs: number;
  /** Its parent is not among the spans. */
  readonly isOrphan: boolean;
  /** Places of its children in the list. */
  readonly children: readonly number[];
}

export interface Tree {
  /** Each span behind its parent, children by time. */
  readonly nodes: readonly SpanNode[];
  /** From the first beginning to the last end. */
  readonly totalMs: number;
  readonly duplicates: number;
  readonly orphans: number;
  /** Spans of other requests in the same trace. */
  readonly leftOut: number;
}

/** Within so much clocks are said to agree. */
const SKEW_MS_MIN = 0.01;

interface Placed {
  readonly span: Span;
  startMs: number;
  readonly durationMs: number;
  skewMs: number;
  isOrphan: boolean;
  readonly children: Placed[];
}

/** Builds the tree; `requests` are the ids asked for, none: every span counts. */
export function buildTree(spans: readonly Span[], requests: ReadonlySet<string>): Tree {
  const unique = new Map<string, Span>();
  for (const span of spans) {
    const key = `${span.traceId} ${span.spanId}`;
    const known = unique.get(key);
    // Exported twice, the second time complete.
    if (known === undefined || lengthOf(span) > lengthOf(known)) unique.set(key, span);
  }
  const originNs = [...unique.values()].reduce<bigint | null>(
    (least, { startNs }) => (least === null || startNs < least ? startNs : least),
    null,
  );
  const placed = new Map<string, Placed>();
  for (const [key, span] of unique)
    placed.set(key, {
      span,
      startMs: msOf(span.startNs - (originNs ?? 0n)),
      durationMs: Math.max(0, msOf(span.endNs - span.startNs)),
      skewMs: 0,
      isOrphan: false,
      children: [],
    });
  const roots = link(placed);
  const { nodes, leftOut } = flatten(roots, requests);
  const first = nodes.reduce((least, { startMs }) => Math.min(least, startMs), Infinity);
  const last = nodes.reduce((most, node) => Math.max(most, node.startMs + node.durationMs), 0);
  return {
    nodes: nodes.map((node) => ({ ...node, startMs: node.startMs - first })),
    totalMs: nodes.length === 0 ? 0 : last - first,
    duplicates: spans.length - unique.size,
    orphans: nodes.filter(({ isOrphan }) => isOrphan).length,
    leftOut,
  };
}

const lengthOf = ({ startNs, endNs }: Span): bigint => endNs - startNs;
const msOf = (nanos: bigint): number => Number(nanos) / 1e6;

/** Hangs each span below its parent; what nothing leads to is a root, and of a ring its first span. */
function link(placed: ReadonlyMap<string, Placed>): readonly Placed[] {
  const roots: Placed[] = [];
  for (const one of placed.values()) {
    const { traceId, parentId } = one.span;
    const parent = parentId === null ? undefined : placed.get(`${traceId} ${parentId}`);
    if (parent === undefined || parent === one) {
      one.isOrphan = parentId !== null;
      roots.push(one);
    } else parent.children.push(one);
  }
  const reached = new Set<Placed>();
  const reach = (from: Placed): void => {
    const stack = [from];
    for (let one = stack.pop(); one !== undefined; one = stack.pop()) {
      if (reached.has(one)) continue;
      reached.add(one);
      for (const child of one.children) stack.push(child);
    }
  };
  for (const root of roots) reach(root);
  for (const one of placed.values()) {
    if (reached.has(one)) continue;
    one.isOrphan = true;
    roots.push(one);
    reach(one);
  }
  return roots.sort(byTime);
}

const byTime = (one: Placed, other: Placed): number => one.startMs - other.startMs;

interface Visit {
  readonly one: Placed;
  readonly parent: number | null;
  readonly depth: number;
  /** By how much everything from here on is moved. */
  readonly shiftMs: number;
  /** Whether a span above is of the request. */
  readonly isBelow: boolean;
}

type Draft = Omit<SpanNode, 'children'> & { readonly children: number[] };

/** The list, parents first. A stack and no recursion: a trace may be a chain of a hundred thousand. */
function flatten(
  roots: readonly Placed[],
  requests: ReadonlySet<string>,
): { readonly nodes: readonly Draft[]; readonly leftOut: number } {
  const nodes: Draft[] = [];
  const seen = new Set<Placed>();
  let leftOut = 0;
  const stack: Visit[] = roots
    .map((one) => ({ one, parent: null, depth: 0, shiftMs: 0, isBelow: false }))
    .reverse();
  for (let visit = stack.pop(); visit !== undefined; visit = stack.pop()) {
    const { one, parent, depth, isBelow } = visit;
    if (seen.has(one)) continue;
    seen.add(one);
    const request = requestOf(one.span);
    const isOurs = request !== null && requests.has(request);
    if (requests.size > 0 && request !== null && !isOurs && !isBelow) {
      leftOut += markBelow(one, seen);
      continue;
    }
    const above = parent === null ? undefined : nodes[parent];
    const inherited = one.startMs + visit.shiftMs;
    const skewMs = above === undefined ? 0 : skewOf(one, inherited, above);
    const place = nodes.length;
    above?.children.push(place);
    nodes.push({
      span: one.span,
      depth,
      startMs: inherited + skewMs,
      durationMs: one.durationMs,
      skewMs: visit.shiftMs + skewMs,
      isOrphan: one.isOrphan,
      children: [],
    });
    const below = one.children.toSorted(byTime).reverse();
    for (const child of below)
      stack.push({
        one: child,
        parent: place,
        depth: depth + 1,
        // What runs on another clock than its parent was moved with, is judged on its own.
        shiftMs: child.span.service === one.span.service ? visit.shiftMs + skewMs : 0,
        isBelow: isBelow || isOurs,
      });
  }
  return { nodes, leftOut };
}

function markBelow(from: Placed, seen: Set<Placed>): number {
  let count = 1;
  // One by one, here and above: a call takes no hundred thousand arguments.
  const stack = [...from.children];
  for (let one = stack.pop(); one !== undefined; one = stack.pop()) {
    if (seen.has(one)) continue;
    seen.add(one);
    count += 1;
    for (const child of one.children) stack.push(child);
  }
  return count;
}

/** How far a span of another service has to be moved to lie where it can have been. */
function skewOf({ span, durationMs }: Placed, startMs: number, above: Draft): number {
  if (span.service === above.span.service) return 0;
  const isInside =
    startMs >= above.startMs - SKEW_MS_MIN &&
    startMs + durationMs <= above.startMs + above.durationMs + SKEW_MS_MIN;
  if (isInside) return 0;
  if (span.isServer && durationMs <= above.durationMs)
    // The way there is taken to be as long as the way back.
    return above.startMs + (above.durationMs - durationMs) / 2 - startMs;
  return startMs < above.startMs ? above.startMs - startMs : 0;
}
