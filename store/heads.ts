/**
 * How far each stream has come in the store of record: what an agent compares with its own ledger
 * when it starts, to notice that it was put back to an older copy. One query, over the primary key.
 */
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { createConnection, type ConnectionOptions } from './connection.ts';

export interface StoredHead {
  readonly stream: string;
  readonly next_seq: number;
  /** `this_hash` of the last record, hex. */
  readonly head_hash: string;
}

const HEADS = `
SELECT s.stream, last.seq, encode(last.this_hash, 'hex') AS this_hash
FROM audit.streams s
CROSS JOIN LATERAL (
  SELECT k.seq, k.this_hash FROM audit.record_keys k
  WHERE k.stream_id = s.stream_id ORDER BY k.seq DESC LIMIT 1
) last
WHERE starts_with(s.stream, $1)`;

/** Reads the heads of streams whose name begins so. The error says why there is no answer in time. */
export async function readStreamHeads(
  options: ConnectionOptions & { readonly timeoutMs: number },
  prefix: string,
): Promise<Result<readonly StoredHead[], string>> {
  const connection = createConnection({ ...options, applicationName: 'sealtrail heads' });
  // Connecting has a longer limit of its own.
  const late = setTimeout(connection.drop, options.timeoutMs);
  try {
    const client = await connection.client();
    const found = await client.query<{ stream: string; seq: string; this_hash: string }>(HEADS, [
      prefix,
    ]);
    return ok(
      found.rows.map(({ stream, seq, this_hash }) => ({
        stream,
        next_seq: Number(seq) + 1,
        head_hash: this_hash,
      })),
    );
  } catch (error) {
    return err(messageOf(error));
  } finally {
    clearTimeout(late);
    connection.drop();
  }
}
