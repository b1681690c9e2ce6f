/**
 * Where the time of a request went. A span's self time is what none of its children covers. At each instant the
 * spans that are in their self time share it evenly, so that the shares of all add up to the time that is covered,
 * however much ran side by side. Pure.
 */
import type { SpanNode, Tree } from './tree.ts';

export interface TimeSpent {
  readonly service: string;
  readonly name: string;
  /** How many spans have this name. */
  readonly spans: number;
  readonly ms: number;
  /** Of the whole, 0 to 1. */
  readonly share: number;
}

type Interval = readonly [from: number, to: number];

/** The parts of a span that none of its children covers. */
export function selfIntervals(node: SpanNode, nodes: readonly SpanNode[]): readonly Interval[] {
  const end = node.startMs + node.durationMs;
  const covered = node.children
    .flatMap((place) => nodes[place] ?? [])
    .map((child): Interval => [child.startMs, child.startMs + child.durationMs])
    .sort(([one], [other]) => one - other);
  const own: Interval[] = [];
  let at = node.startMs;
  for (const [from, to] of covered) {
    if (from > at) own.push([at, Math.min(from, end)]);
    at = Math.max(at, to);
    if (at >= end) break;
  }
  if (at < end) own.push([at, end]);
  return own.filter(([from, to]) => to > from);
}

/** Self time of a span. */
export function selfMs(node: SpanNode, nodes: readonly SpanNode[]): number {
  return selfIntervals(node, nodes).reduce((sum, [from, to]) => sum + to - from, 0);
}

/** By service and name, the most first. */
export function timeSpent({ nodes, totalMs }: Tree): readonly TimeSpent[] {
  const parts = nodes.flatMap((node) =>
    selfIntervals(node, nodes).map((interval) => ({ node, interval })),
  );
  const shareUpTo = evenShares(parts.map(({ interval }) => interval));
  const spent = new Map<string, { service: string; name: string; spans: number; ms: number }>();
  for (const { span } of nodes) {
    const key = `${span.service}\0${span.name}`;
    const known = spent.get(key) ?? { service: span.service, name: span.name, spans: 0, ms: 0 };
    known.spans += 1;
    spent.set(key, known);
  }
  for (const { node, interval } of parts) {
    const one = spent.get(`${node.span.service}\0${node.span.name}`);
    if (one !== undefined) one.ms += shareUpTo(interval[1]) - shareUpTo(interval[0]);
  }
  return [...spent.values()]
    .map((one) => ({ ...one, share: totalMs === 0 ? 0 : one.ms / totalMs }))
    .sort((one, other) => other.ms - one.ms);
}

/** How much of the time up to an instant each of those that run gets: the integral of 1 / how many run. */
function evenShares(intervals: readonly Interval[]): (at: number) => number {
  const steps = new Map<number, number>();
  for (const [from, to] of intervals) {
    steps.set(from, (steps.get(from) ?? 0) + 1);
    steps.set(to, (steps.get(to) ?? 0) - 1);
  }
  const upTo = new Map<number, number>();
  let [running, last, sum] = [0, 0, 0];
  for (const at of [...steps.keys()].sort((one, other) => one - other)) {
    if (running > 0) sum += (at - last) / running;
    upTo.set(at, sum);
    running += steps.get(at) ?? 0;
    last = at;
  }
  // Asked for ends of intervals only.
  return (at) => upTo.get(at) ?? 0;
}
