/** Signed checkpoints of streams in the store of record, for auditors who have nothing else: migration 0010. */
import type { ClientBase } from 'pg';

export interface StreamCheckpoint {
  readonly stream: string;
  readonly size: bigint;
  readonly note: string;
}

const INSERT = `
INSERT INTO audit.checkpoints (stream, size, tenant_id, note)
SELECT s.stream, w.size, s.tenant_id, w.note
FROM unnest($1::text[], $2::int8[], $3::text[]) AS w (stream, size, note)
JOIN audit.streams s USING (stream)
ON CONFLICT DO NOTHING`;

/** Streams that the store knows. */
export async function knownStreams(
  client: ClientBase,
  streams: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await client.query<{ stream: string }>(
    'SELECT stream FROM audit.streams WHERE stream = ANY ($1)',
    [streams],
  );
  return new Set(rows.map(({ stream }) => stream));
}

/** Inserts those of streams that the store knows; the first note of a size stays. */
export async function insertCheckpoints(
  client: ClientBase,
  checkpoints: readonly StreamCheckpoint[],
): Promise<void> {
  await client.query(INSERT, [
    checkpoints.map(({ stream }) => stream),
    checkpoints.map(({ size }) => String(size)),
    checkpoints.map(({ note }) => note),
  ]);
}
