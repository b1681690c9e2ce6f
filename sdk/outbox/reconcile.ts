/**
 * What has to be looked after in the table: rows that no relay ships, intents without an outcome, and rows
 * that are done with. Each a function over one connection; reconciler.ts runs them at intervals.
 */
import { checkEvent } from '../../schemas/event-check.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { EVENT_BYTES_MAX } from '../../schemas/wire.ts';
import type { EventDraft } from '../event-draft.ts';
import { AuditError } from '../errors.ts';
import { inTransaction, selectRows, type DatabaseClient } from './client.ts';
import { asError } from '../hook.ts';
import type { IntentLink, Outbox } from './writer.ts';

export interface StuckRow {
  readonly id: string;
  readonly event_id: string;
  readonly action: string;
  readonly age_ms: number;
  readonly attempts: number;
  /** What the agent or the connection to it said last; no event contents. */
  readonly last_error: string | null;
}

export interface StuckReport {
  /** Rows unshipped for longer than the threshold; those set aside are not among them. */
  readonly count: number;
  /** Rows set aside, however old. */
  readonly set_aside: number;
  /** Age of the oldest of both. */
  readonly oldest_ms: number;
  /** The oldest of both, up to 100. */
  readonly rows: readonly StuckRow[];
}

/** An intent that has no outcome after its time. */
export interface DanglingIntent extends IntentLink {
  readonly action: string;
  readonly age_ms: number;
  /** The event of the intent, as it was recorded. */
  readonly event: AuditEvent;
}

const ROWS_MAX = 100;
const PRUNE_ROWS = 1000;
const AGE_MS = `(extract(epoch FROM clock_timestamp() - recorded_at) * 1000)::float8`;
/** An interval of milliseconds given as the parameter. */
const agoOf = (parameter: string): string =>
  `clock_timestamp() - CAST(${parameter} AS float8) * interval '1 millisecond'`;

/** Finds what waits for longer than `afterMs`, and what was set aside. */
export async function findStuck(
  client: DatabaseClient,
  table: string,
  afterMs: number,
): Promise<StuckReport> {
  const rows = await selectRows<StuckRow & { readonly stuck: number; readonly aside: number }>(
    client,
    `SELECT id, left(event_id, 64) AS event_id, left(action, 128) AS action, attempts, last_error, ${AGE_MS} AS age_ms,
       (count(*) FILTER (WHERE set_aside_at IS NULL) OVER ())::int AS stuck,
       (count(*) FILTER (WHERE set_aside_at IS NOT NULL) OVER ())::int AS aside
     FROM ${table}
     WHERE (shipped_at IS NULL AND set_aside_at IS NULL AND recorded_at < ${agoOf('$1')})
       OR set_aside_at IS NOT NULL
     ORDER BY recorded_at LIMIT ${ROWS_MAX}`,
    [afterMs],
  );
  return {
    count: rows[0]?.stuck ?? 0,
    set_aside: rows[0]?.aside ?? 0,
    oldest_ms: rows[0]?.age_ms ?? 0,
    rows: rows.map(({ stuck: _, aside: __, ...row }) => row),
  };
}

export interface Inquiry {
  /** Asked about each dangling intent; the outcome's draft, or null while it cannot be told. */
  decide(intent: DanglingIntent): EventDraft | null | Promise<EventDraft | null>;
  /** How long it may take about one intent, in milliseconds: its row is locked so long. */
  readonly withinMs: number;
  /** Told why an intent stays open: it is no event, decide threw or took too long, or its draft has a fault. */
  onFault(error: Error): void;
}

/**
 * Asks about each intent that is older than `afterMs` and has no outcome, and records the answer. An intent
 * is locked while it is asked about: several reconcilers do not ask twice. Returns how many there were, and
 * how many have an outcome now.
 */
export async function reconcileIntents(
  client: DatabaseClient,
  outbox: Outbox,
  afterMs: number,
  inquiry: Inquiry,
): Promise<{ readonly found: number; readonly settled: number }> {
  const { table } = outbox;
  let [found, settled, last] = [0, 0, '0'];
  await settleAnswered(client, table);
  for (;;) {
    const id = await inTransaction(client, async () => {
      const row = await lockNext(client, table, last, afterMs);
      if (row === null) return null;
      // Asked once more under the lock: another reconciler may have been faster.
      if (await hasOutcome(client, table, row.event_id)) return row.id;
      found += 1;
      if (await settle(client, outbox, row, inquiry)) {
        settled += 1;
        await client.query(
          `UPDATE ${table} SET settled_at = clock_timestamp() WHERE id = CAST($1 AS bigint)`,
          [row.id],
        );
      }
      return row.id;
    });
    if (id === null) return { found, settled };
    last = id;
  }
}

/**
 * Marks intents that have their outcome. Not done where the outcome is written: the application would
 * wait there for a relay that holds the intent's row.
 */
async function settleAnswered(client: DatabaseClient, table: string): Promise<void> {
  await client.query(
    `UPDATE ${table} SET settled_at = clock_timestamp() WHERE id IN (
       SELECT i.id FROM ${table} AS i WHERE i.intent_id = i.event_id AND i.settled_at IS NULL
         AND EXISTS (SELECT FROM ${table} AS o
           WHERE o.intent_id = i.event_id AND o.intent_id <> o.event_id)
       FOR UPDATE OF i SKIP LOCKED)`,
    [],
  );
}

async function hasOutcome(
  client: DatabaseClient,
  table: string,
  intentId: string,
): Promise<boolean> {
  const rows = await selectRows(
    client,
    `SELECT 1 FROM ${table} WHERE intent_id = $1 AND intent_id <> event_id LIMIT 1`,
    [intentId],
  );
  return rows.length > 0;
}

/** One that cannot be settled MUST NOT keep those behind it waiting; a database error ends the pass. */
async function settle(
  client: DatabaseClient,
  outbox: Outbox,
  row: DanglingRow,
  inquiry: Inquiry,
): Promise<boolean> {
  const intent = intentOf(row);
  if (!intent.ok) {
    inquiry.onFault(intent.error);
    return false;
  }
  const draft = await decideOutcome(intent.value, inquiry);
  if (draft === null) return false;
  try {
    await outbox.recordOutcome(client, intent.value, draft);
    return true;
  } catch (thrown) {
    // Found before any statement, so the transaction is whole.
    if (!(thrown instanceof AuditError)) throw thrown;
    inquiry.onFault(thrown);
    return false;
  }
}

/** One that never comes back would end the passes, and with them the alarms, without a word. */
async function decideOutcome(intent: DanglingIntent, inquiry: Inquiry): Promise<EventDraft | null> {
  const { withinMs } = inquiry;
  let timer: NodeJS.Timeout | undefined;
  const tooLong = new Promise<never>((_, reject) => {
    const error = new Error(`no answer about intent ${intent.intent_id} within ${withinMs} ms`);
    timer = setTimeout(() => reject(error), withinMs);
  });
  try {
    return await Promise.race([inquiry.decide(intent), tooLong]);
  } catch (thrown) {
    inquiry.onFault(asError(thrown));
    return null;
  } finally {
    clearTimeout(timer);
  }
}

interface DanglingRow {
  readonly id: string;
  readonly event_id: string;
  readonly action: string;
  readonly line: string;
  readonly age_ms: number;
}

async function lockNext(
  client: DatabaseClient,
  table: string,
  afterId: string,
  afterMs: number,
): Promise<DanglingRow | null> {
  const rows = await selectRows<DanglingRow>(
    client,
    `SELECT id, event_id, left(action, 128) AS action, left(line, ${EVENT_BYTES_MAX + 1}) AS line,
       ${AGE_MS} AS age_ms FROM ${table}
     WHERE intent_id = event_id AND settled_at IS NULL AND id > CAST($1 AS bigint)
       AND recorded_at < ${agoOf('$2')}
     ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`,
    [afterId, afterMs],
  );
  return rows[0] ?? null;
}

/** The table is not trusted: what is no event is not asked about. */
function intentOf(row: DanglingRow): Result<DanglingIntent, Error> {
  const { id, event_id, action, age_ms } = row;
  const event = parseEvent(row.line);
  if (event?.event_id !== event_id)
    return err(
      new Error(`the intent in row ${id} is not an event; who else can write to the table?`),
    );
  const workflow_id = event.correlation.workflow_id ?? event_id;
  return ok({ intent_id: event_id, workflow_id, action, age_ms, event });
}

function parseEvent(line: string): AuditEvent | null {
  try {
    const checked = checkEvent(JSON.parse(line));
    return checked.ok ? checked.value : null;
  } catch {
    // Its text is not quoted, as in every other message.
    return null;
  }
}

/** Deletes rows shipped longer than `afterMs` ago, but open intents and their outcomes; returns how many. */
export async function pruneShipped(
  client: DatabaseClient,
  table: string,
  afterMs: number,
): Promise<number> {
  for (let pruned = 0; ;) {
    const rows = await selectRows<{ readonly id: string }>(
      client,
      `DELETE FROM ${table} WHERE id IN (
         SELECT id FROM ${table} AS o WHERE shipped_at < ${agoOf('$1')}
           AND NOT EXISTS (SELECT FROM ${table} AS i
             WHERE i.event_id = o.intent_id AND i.intent_id = i.event_id AND i.settled_at IS NULL)
         ORDER BY shipped_at LIMIT ${PRUNE_ROWS} FOR UPDATE SKIP LOCKED)
       RETURNING id`,
      [afterMs],
    );
    pruned += rows.length;
    if (rows.length < PRUNE_ROWS) return pruned;
  }
}
