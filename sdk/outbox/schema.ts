/**
 * The outbox table as SQL text, for the application's own migrations. PostgreSQL 15 or newer, a database in
 * UTF8. Running it again changes nothing.
 */
import { tableNameOf } from './client.ts';

export interface OutboxSchemaOptions {
  /** Default: `audit_outbox`; `schema.table` works too. */
  readonly table?: string;
  /**
   * Whether an insert wakes the relays at its commit (NOTIFY). Default true. PostgreSQL commits transactions
   * that notify one after the other: with thousands of commits a second, set it to false and let relays poll.
   */
  readonly notify?: boolean;
}

/** Returns the SQL that creates the outbox table, its indexes and the trigger that wakes relays. */
export function outboxSchema(options: OutboxSchemaOptions = {}): string {
  const table = tableNameOf(options.table);
  const name = table.slice(table.indexOf('.') + 1);
  const tables = `CREATE TABLE IF NOT EXISTS ${table} (
  -- Order within a lane; gaps are normal.
  id bigserial PRIMARY KEY,
  event_id text COLLATE "C" NOT NULL,
  action text COLLATE "C" NOT NULL,
  occurred_at timestamptz NOT NULL,
  -- The event as it will be sealed: checked, redacted, in canonical form.
  line text COLLATE "C" NOT NULL,
  -- Rows of one lane are shipped in the order of their ids; without a lane, in any order.
  lane text COLLATE "C",
  -- Of an intent its own event_id, of an outcome that of its intent.
  intent_id text COLLATE "C",
  -- When the reconciler saw that an intent has its outcome.
  settled_at timestamptz,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- When the agent had it fsynced.
  shipped_at timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  last_error text COLLATE "C",
  -- When it was set aside: the agent refuses it for good.
  set_aside_at timestamptz
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX IF NOT EXISTS ${name}_pending ON ${table} (id)
  WHERE shipped_at IS NULL AND set_aside_at IS NULL;
CREATE INDEX IF NOT EXISTS ${name}_lane ON ${table} (lane, id)
  WHERE lane IS NOT NULL AND shipped_at IS NULL AND set_aside_at IS NULL;
CREATE INDEX IF NOT EXISTS ${name}_open_intent ON ${table} (event_id)
  WHERE intent_id = event_id AND settled_at IS NULL;
CREATE INDEX IF NOT EXISTS ${name}_outcome ON ${table} (intent_id) WHERE intent_id <> event_id;
CREATE INDEX IF NOT EXISTS ${name}_set_aside ON ${table} (id) WHERE set_aside_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ${name}_shipped ON ${table} (shipped_at) WHERE shipped_at IS NOT NULL;
`;
  if (options.notify === false) return tables;
  return `${tables}
CREATE OR REPLACE FUNCTION ${table}_notify() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Heard at commit, once a transaction.
  PERFORM pg_notify('${table}', '');
  RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER ${name}_notify AFTER INSERT ON ${table}
  FOR EACH STATEMENT EXECUTE FUNCTION ${table}_notify();
`;
}
