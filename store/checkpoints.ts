/** Signed checkpoints of streams in the store of record, for auditors who have nothing else: migration 0010. */
import type { ClientBase } from 'pg';
import type { ChainHash } from '../schemas/brand.ts';

export interface StreamCheckpoint {
  readonly stream: string;
  readonly size: bigint;
  /** `this_hash` of the last record that it covers. */
  readonly head: ChainHash;
  readonly note: string;
}

/**
 * Of a stream that the store knows, and when its last record has come: before, it would seem to have been cut off. It has to be that
 * very record: an older copy of the agent's disk may have gone on, and signed, before it heard of what the store holds.
 */
const INSERT = `
INSERT INTO audit.checkpoints (stream, size, tenant_id, note)
SELECT s.stream, w.size, s.tenant_id, w.note
FROM unnest($1::text[], $2::int8[], $3::text[], $4::text[]) AS w (stream, size, note, head)
JOIN audit.streams s USING (stream)
WHERE EXISTS (SELECT FROM audit.records r WHERE r.stream_id = s.stream_id AND r.seq = w.size - 1
  AND r.this_hash = decode(w.head, 'hex'))
ON CONFLICT DO NOTHING`;

const FIND = `
SELECT w.stream FROM unnest($1::text[], $2::int8[]) AS w (stream, size)
JOIN audit.checkpoints c USING (stream, size)`;

/** Inserts what can be; the first note of a size stays. Returns the streams whose checkpoint is there now. */
export async function insertCheckpoints(
  client: ClientBase,
  checkpoints: readonly StreamCheckpoint[],
): Promise<ReadonlySet<string>> {
  const streams = checkpoints.map(({ stream }) => stream);
  const sizes = checkpoints.map(({ size }) => String(size));
  const notes = checkpoints.map(({ note }) => note);
  await client.query(INSERT, [streams, sizes, notes, checkpoints.map(({ head }) => head)]);
  const { rows } = await client.query<{ stream: string }>(FIND, [streams, sizes]);
  return new Set(rows.map(({ stream }) => stream));
}
