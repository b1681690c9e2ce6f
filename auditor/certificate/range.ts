/**
 * Which records of a stream a question's time touches: all that were received in that time, and all that say they
 * happened in it. The agent's clock never falls within a stream, so the first is one range, found by halving, and the
 * record before and the one behind show by themselves that it is all of it. The time that an event states is its
 * application's: what arrived later, or with a wrong clock, widens the range by what its column says.
 */
import type { ClientBase } from 'pg';
import type { Asked } from '../answer.ts';

export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/** What there is of a stream; null: no record and no stub. */
export interface Extent {
  /** First record that is there whole. */
  readonly begin: number;
  /** Behind the last place. */
  readonly end: number;
}

/** Where the records of streams begin and end. */
export async function readExtent(client: ClientBase, streamId: number): Promise<Extent | null> {
  const { rows } = await client.query<{ begin: string | null; last: string | null }>(
    `SELECT min(r.seq) AS begin, greatest(max(r.seq), (SELECT max(u.seq) FROM audit.stubs u
       WHERE u.stream_id = $1)) AS last
     FROM audit.records r WHERE r.stream_id = $1`,
    [streamId],
  );
  const { begin = null, last = null } = rows[0] ?? {};
  if (last === null) return null;
  return { begin: Number(begin ?? Number(last) + 1), end: Number(last) + 1 };
}

/** By stream: the first and the last record whose event says it happened in that time. */
export async function readOccurred(
  client: ClientBase,
  { tenant, since, until }: Asked,
): Promise<ReadonlyMap<number, SeqRange>> {
  const { rows } = await client.query<{ stream_id: number; first: string; last: string }>(
    `SELECT stream_id, min(seq) AS first, max(seq) AS last FROM audit.records
     WHERE tenant_id = $1 AND occurred_at >= $2 AND occurred_at < $3 GROUP BY stream_id`,
    [tenant, since, until],
  );
  return new Map(
    rows.map(({ stream_id, first, last }) => [
      stream_id,
      { from: Number(first), to: Number(last) + 1 },
    ]),
  );
}

/** Records received in [since, until). */
export async function findReceived(
  client: ClientBase,
  streamId: number,
  { begin, end }: Extent,
  { since, until }: Asked,
): Promise<SeqRange> {
  const from = await findFirst(client, streamId, since, begin, end);
  return { from, to: await findFirst(client, streamId, until, from, end) };
}

/** The first record received at `time` or later that is there; `end` where there is none. */
async function findFirst(
  client: ClientBase,
  streamId: number,
  time: string,
  begin: number,
  end: number,
): Promise<number> {
  let [low, high, first] = [begin, end, end];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const { rows } = await client.query<{ seq: string; is_late: boolean }>(
      `SELECT seq, received_at >= $3 AS is_late FROM audit.records
       WHERE stream_id = $1 AND seq >= $2 ORDER BY seq LIMIT 1`,
      [streamId, middle, time],
    );
    const [found] = rows;
    if (found !== undefined && !found.is_late) {
      low = Number(found.seq) + 1;
      continue;
    }
    if (found !== undefined) first = Number(found.seq);
    high = middle;
  }
  return first;
}

/** Stretched to the next record that is there whole, which shows that the range ends: hashes that a purge left do not say when. */
export async function toNextWhole(
  client: ClientBase,
  streamId: number,
  { end }: Extent,
  { from, to }: SeqRange,
): Promise<SeqRange> {
  const { rows } = await client.query<{ seq: string | null }>(
    'SELECT min(seq) AS seq FROM audit.records WHERE stream_id = $1 AND seq >= $2',
    [streamId, to],
  );
  return { from, to: Math.max(to, Number(rows[0]?.seq ?? end)) };
}

/**
 * The smallest range that holds all of these. One without a record counts by its place: where nothing was received in
 * the time, only the records on either side of that place show it.
 */
export function spanOf(first: SeqRange, more: readonly SeqRange[]): SeqRange {
  const all = [first, ...more];
  return {
    from: Math.min(...all.map(({ from }) => from)),
    to: Math.max(...all.map(({ to }) => to)),
  };
}
