/**
 * Checkpoints in a second PostgreSQL, under an administrator who is not the agent's: a table that the agent's
 * role may read and insert into, and nothing else. One row a size of a log; the first one stays.
 */
import { createConnection, type ConnectionOptions } from './connection.ts';

export interface StoredCheckpoint {
  readonly size: bigint;
  readonly note: string;
}

export interface AnchorTable {
  /** The largest of a log; null: none. Rejects with what the database says. */
  newest(origin: string): Promise<StoredCheckpoint | null>;
  /** Inserts, durable when it resolves; the note that stands there for the size, ours or an earlier one. */
  insert(origin: string, size: bigint, note: string): Promise<string>;
  close(): void;
}

/** What its administrator runs once, as owner: docs/PROOFS.md. `ROLE` stands for the agent's role. */
export const ANCHOR_TABLE_SQL = `CREATE SCHEMA sealtrail_anchor;
CREATE TABLE sealtrail_anchor.checkpoints (
  origin text NOT NULL CHECK (length(origin) BETWEEN 1 AND 512),
  size numeric(20) NOT NULL CHECK (size >= 0 AND size = trunc(size)),
  note text NOT NULL CHECK (length(note) <= 65536),
  inserted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (origin, size)
);
CREATE FUNCTION sealtrail_anchor.refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'checkpoints are never changed'; END $$;
CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE OR TRUNCATE
  ON sealtrail_anchor.checkpoints EXECUTE FUNCTION sealtrail_anchor.refuse();
GRANT USAGE ON SCHEMA sealtrail_anchor TO ROLE;
GRANT SELECT ON sealtrail_anchor.checkpoints TO ROLE;
GRANT INSERT (origin, size, note) ON sealtrail_anchor.checkpoints TO ROLE;
`;

const NEWEST = `SELECT kept.size::text, kept.note FROM sealtrail_anchor.checkpoints kept
WHERE kept.origin = $1 ORDER BY kept.size DESC LIMIT 1`;
const INSERT = `INSERT INTO sealtrail_anchor.checkpoints (origin, size, note)
VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`;
const FIND = `SELECT note FROM sealtrail_anchor.checkpoints WHERE origin = $1 AND size = $2`;

/** Creates it; connects with the first call. */
export function createAnchorTable(options: ConnectionOptions): AnchorTable {
  const connection = createConnection({ ...options, applicationName: 'sealtrail anchor' });
  return {
    newest: async (origin) => {
      const client = await connection.client();
      const { rows } = await client.query<{ size: string; note: string }>(NEWEST, [origin]);
      const [row] = rows;
      return row === undefined ? null : { size: BigInt(row.size), note: row.note };
    },
    insert: async (origin, size, note) => {
      const client = await connection.client();
      await client.query(INSERT, [origin, String(size), note]);
      const { rows } = await client.query<{ note: string }>(FIND, [origin, String(size)]);
      const [row] = rows;
      if (row === undefined) throw new Error('the row that was inserted is not there');
      return row.note;
    },
    close: () => connection.drop(),
  };
}
