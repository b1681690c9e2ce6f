/** Figures out of the agent's /metrics text: sums of samples, and quantiles of what a histogram gained. */

/** Samples by name with labels, as written. */
export type Samples = ReadonlyMap<string, number>;

/** Reads exposition text 0.0.4; lines that are no samples are passed over. */
export function parseSamples(text: string): Samples {
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    const cut = line.lastIndexOf(' ');
    if (line.startsWith('#') || cut === -1) continue;
    const value = Number(line.slice(cut + 1));
    if (!Number.isNaN(value)) samples.set(line.slice(0, cut), value);
  }
  return samples;
}

/** Upper bound of the bucket in which the quantile of what came in between lies; null: nothing came. */
export function quantileBetween(
  before: Samples,
  after: Samples,
  histogram: string,
  quantile: number,
): number | null {
  const prefix = `${histogram}_bucket{le="`;
  const buckets = [...after]
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, value]) => ({
      bound: Number(name.slice(prefix.length, -2).replace('+Inf', 'Infinity')),
      count: value - (before.get(name) ?? 0),
    }))
    .toSorted((one, other) => one.bound - other.bound);
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0) return null;
  return buckets.find(({ count }) => count >= total * quantile)?.bound ?? null;
}
