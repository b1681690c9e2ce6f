/** Signed checkpoints of streams in the store of record, for auditors who have nothing else: migration 0010. */
import type { ClientBase } from 'pg';

export interface StreamCheckpoint {
  readonly stream: string;
  readonly size: bigint;
  readonly note: string;
}

/** Of a stream that the store knows, and when its last record has come: before, it would seem to have been cut off. */
const INSERT = `
INSERT INTO audit.checkpoints (stream, size, tenant_id, note)
SELECT s.stream, w.size, s.tenant_id, w.note
FROM unnest($1::text[], $2::int8[], $3::text[]) AS w (stream, size, note)
JOIN audit.streams s USING (stream)
WHERE EXISTS (SELECT FROM audit.records r WHERE r.stream_id = s.stream_id AND r.seq = w.size - 1)
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
  await client.query(INSERT, [streams, sizes, checkpoints.map(({ note }) => note)]);
  const { rows } = await client.query<{ stream: string }>(FIND, [streams, sizes]);
  return new Set(rows.map(({ stream }) => stream));
}
