/**
 * Writing to the outbox: the event is prepared as record() prepares it, within the caller's turn, and its
 * line is inserted in the caller's transaction. It is recorded if that commits, and never was if it does
 * not. Nothing raw reaches the table, and the agent need not even run.
 */
import { ulid } from 'ulid';
import type { AuditEvent } from '../../schemas/event.ts';
import type { Audit } from '../audit.ts';
import { currentContext } from '../context.ts';
import type { EventDraft } from '../event-draft.ts';
import { preparedDoorOf } from '../prepared.ts';
import { queryOf, tableNameOf, type TransactionClient } from './client.ts';

export interface OutboxOptions {
  /** Default: `audit_outbox`. */
  readonly table?: string;
}

export interface RowOptions {
  /** Rows of one lane are shipped in the order of their ids: the id of a customer, say. */
  readonly lane?: string;
}

/** What links an outcome to its intent. */
export interface IntentLink {
  readonly intent_id: string;
  readonly workflow_id: string;
}

/** An intent has no outcome yet; its action is one of its own, such as `payment.charge_request`. */
export type IntentDraft = Omit<EventDraft, 'outcome'>;

export interface Outbox {
  readonly table: string;
  /**
   * Inserts an event in the caller's transaction; resolves to its event_id. A draft with a fault rejects
   * with AuditError before any statement; a database error passes through, and the transaction is broken
   * then as after any other.
   */
  recordInTransaction(
    client: TransactionClient,
    draft: EventDraft,
    options?: RowOptions,
  ): Promise<string>;
  /**
   * Inserts what is about to be done outside of the database. It MUST be committed before it is done. Its
   * event has outcome `success` (the intention was recorded), `metadata.phase` `intent`, its own id as
   * `metadata.intent_id`, and that as workflow id where the context has none.
   */
  recordIntent(
    client: TransactionClient,
    draft: IntentDraft,
    options?: RowOptions,
  ): Promise<IntentLink>;
  /**
   * Inserts what became of it. A second outcome of the same intent is kept as well: what contradicts is
   * for people to see.
   */
  recordOutcome(
    client: TransactionClient,
    intent: IntentLink,
    draft: EventDraft,
    options?: RowOptions,
  ): Promise<string>;
  /** Lets relays try again what was set aside; all of it, or these ids. */
  retrySetAside(client: TransactionClient, ids?: readonly string[]): Promise<void>;
}

/**
 * Creates the outbox of an Audit.
 * @throws AuditError `options_invalid`.
 * @example
 * const outbox = createOutbox(audit);
 * await client.query('BEGIN');
 * await client.query('DELETE FROM customers WHERE id = $1', ['c-4']);
 * await outbox.recordInTransaction(client, {
 *   action: 'customer.delete',
 *   outcome: 'success',
 *   resource: { type: 'customer', id: 'c-4' },
 * });
 * await client.query('COMMIT');
 */
export function createOutbox(audit: Audit, options: OutboxOptions = {}): Outbox {
  const { prepare } = preparedDoorOf(audit);
  const table = tableNameOf(options.table);
  const insert = `INSERT INTO ${table} (event_id, action, occurred_at, line, lane, intent_id)
    VALUES (CAST($1 AS text), CAST($2 AS text), CAST(CAST($3 AS text) AS timestamptz),
      CAST($4 AS text), CAST($5 AS text), CAST($6 AS text))`;
  const retry = `UPDATE ${table} SET set_aside_at = NULL, attempts = 0
    WHERE set_aside_at IS NOT NULL`;

  /** Called in the caller's turn, so what the caller changes afterwards is not in it. */
  async function rowOf(
    draft: EventDraft,
    lane: string | undefined,
    intentId: string | null,
  ): Promise<unknown[]> {
    const { event_id, action, bytes, start, end } = await prepare(draft);
    const line = bytes.toString('utf8', start, end);
    return [event_id, action, timeOf(line), line, lane ?? null, intentId];
  }

  return {
    table,
    recordInTransaction: async (client, draft, { lane } = {}) => {
      const row = await rowOf(draft, lane, null);
      await queryOf(client)(insert, row);
      return String(row[0]);
    },
    recordIntent: async (client, draft, { lane } = {}) => {
      const intent_id = draft.event_id ?? ulid();
      const link = { intent_id, workflow_id: workflowOf(draft) ?? intent_id };
      const whole: EventDraft = { ...linked(draft, link, 'intent'), event_id: intent_id };
      await queryOf(client)(insert, await rowOf(whole, lane, intent_id));
      return link;
    },
    recordOutcome: async (client, intent, draft, { lane } = {}) => {
      const whole: EventDraft = { ...linked(draft, intent, 'outcome'), outcome: draft.outcome };
      const row = await rowOf(whole, lane, intent.intent_id);
      await queryOf(client)(insert, row);
      return String(row[0]);
    },
    retrySetAside: async (client, ids) => {
      const some = ids === undefined ? '' : ' AND id = ANY(CAST($1 AS bigint[]))';
      const values = ids === undefined ? [] : [[...ids]];
      await queryOf(client)(retry + some, values);
    },
  };
}

/** The draft with what links the two halves. */
function linked(
  draft: IntentDraft,
  { intent_id, workflow_id }: IntentLink,
  phase: 'intent' | 'outcome',
): EventDraft {
  return {
    ...draft,
    outcome: 'success',
    metadata: { ...draft.metadata, intent_id, phase },
    correlation: { ...draft.correlation, workflow_id },
  };
}

function workflowOf(draft: IntentDraft): string | undefined {
  return draft.correlation?.workflow_id ?? currentContext().workflow_id;
}

/** The line is our own: it has just been prepared. */
function timeOf(line: string): string {
  return (JSON.parse(line) as AuditEvent).event.time;
}
