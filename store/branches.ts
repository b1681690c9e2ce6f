/**
 * Which records of a batch stand on another branch of their stream than the store does. Two agents on
 * copies of one ledger seal different records under the same numbers. The one that comes second must
 * not add its later records either: they would be chained to records that the store does not have.
 */
import type { ClientBase } from 'pg';
import { encodeBigints, encodeTexts } from './binary-array.ts';
import type { RefusedRecord, StoredRecord } from './store.ts';

/** The last place within [from - 1, to] of a stream that is taken; the chain vouches for all before it. */
const TAKEN = `
SELECT w.stream, taken.seq, encode(taken.this_hash, 'hex') AS hash
FROM unnest($1::text[], $2::int8[], $3::int8[]) AS w (stream, "from", "to")
JOIN audit.streams s USING (stream)
CROSS JOIN LATERAL (
  SELECT k.seq, k.this_hash FROM audit.record_keys k
  WHERE k.stream_id = s.stream_id AND k.seq BETWEEN w."from" - 1 AND w."to"
  ORDER BY k.seq DESC LIMIT 1
) taken`;

interface Extent {
  from: number;
  to: number;
}

/**
 * Finds the records behind a place at which the store has another record; those up to it are judged
 * one by one when they are appended. One lookup a stream.
 */
export async function findStrays(
  client: ClientBase,
  records: readonly StoredRecord[],
): Promise<readonly RefusedRecord[]> {
  const extents = new Map<string, Extent>();
  for (const { event } of records) {
    const { stream, seq } = event.chain;
    const extent = extents.get(stream);
    if (extent === undefined) extents.set(stream, { from: seq, to: seq });
    else {
      extent.from = Math.min(extent.from, seq);
      extent.to = Math.max(extent.to, seq);
    }
  }
  const found = await client.query<{ stream: string; seq: string; hash: string }>(TAKEN, [
    encodeTexts([...extents.keys()]),
    encodeBigints([...extents.values()].map(({ from }) => from)),
    encodeBigints([...extents.values()].map(({ to }) => to)),
  ]);
  const taken = new Map(
    found.rows.map(({ stream, seq, hash }) => [stream, { seq: Number(seq), hash }]),
  );
  /** What the batch has for that place: the link of the record behind it, or else the record there. */
  const claimed = new Map<string, string>();
  for (const { event, prev_hash, this_hash } of records) {
    const { stream, seq } = event.chain;
    const there = taken.get(stream);
    if (there?.seq === seq - 1) claimed.set(stream, prev_hash);
    else if (there?.seq === seq && !claimed.has(stream)) claimed.set(stream, this_hash);
  }
  return [...records.entries()].flatMap(([index, { event }]) => {
    const { stream, seq } = event.chain;
    const there = taken.get(stream);
    const hash = claimed.get(stream);
    if (there === undefined || hash === undefined) return [];
    if (seq <= there.seq || hash === there.hash) return [];
    const reason = `fork: stream ${stream} seq ${seq} follows another record at seq ${there.seq} than the store has there`;
    return [{ index, kind: 'fork' as const, reason }];
  });
}
