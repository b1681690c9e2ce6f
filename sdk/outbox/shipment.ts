/**
 * One go of a relay: claim rows, send them to the agent, mark them, all in one transaction. Rows stay locked
 * until they are marked, and other relays skip them. A process that dies before the commit leaves them
 * unshipped: they are sent again, and the store shows the event once by its event_id.
 */
import { EVENT_BYTES_MAX } from '../../schemas/wire.ts';
import type { AuditError } from '../errors.ts';
import type { PreparedDoor } from '../prepared.ts';
import { inTransaction, selectRows, type DatabaseClient } from './client.ts';
import { decideFate, eventOf, type Fate, type OutboxRow } from './row.ts';

export interface Shipment {
  readonly claimed: number;
  readonly shipped: number;
  /** Rows that stay for the next go: the agent was away, or a lane is another relay's for now. */
  readonly later: number;
  readonly setAside: readonly SetAside[];
  /** Why rows were put off; null when none was. */
  readonly error: AuditError | null;
}

/** A row that the agent refuses for good. Holds no event contents. */
export interface SetAside {
  readonly id: string;
  readonly event_id: string;
  readonly action: string;
  readonly error: AuditError;
}

interface Tried {
  readonly row: OutboxRow;
  readonly fate: Fate;
}

const PENDING = 'shipped_at IS NULL AND set_aside_at IS NULL';

/** Ships up to `rowsMax` rows. Rejects with what the database throws; nothing is marked then. */
export function shipRows(
  client: DatabaseClient,
  door: PreparedDoor,
  table: string,
  rowsMax: number,
): Promise<Shipment> {
  return inTransaction(client, async () => {
    const claimed = await selectRows<OutboxRow>(
      client,
      // Cut, so that no row costs more memory than one too large for the agent; that it is set aside for.
      `SELECT id, left(event_id, 64) AS event_id, left(action, 128) AS action,
         left(line, ${EVENT_BYTES_MAX + 1}) AS line, lane, attempts FROM ${table}
       WHERE ${PENDING} ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
      [rowsMax],
    );
    const due = await leaveOthersLanes(client, table, claimed);
    const tried = await sendAll(door, due);
    await mark(client, table, tried);
    return summarize(claimed, tried);
  });
}

/** Drops rows of which an earlier one of the same lane is not ours: another relay has it. */
async function leaveOthersLanes(
  client: DatabaseClient,
  table: string,
  rows: readonly OutboxRow[],
): Promise<readonly OutboxRow[]> {
  const lanes = [...new Set(rows.flatMap(({ lane }) => lane ?? []))];
  if (lanes.length === 0) return rows;
  const others = await selectRows<{ readonly lane: string; readonly first: string }>(
    client,
    `SELECT lane, min(id) AS first FROM ${table}
     WHERE ${PENDING} AND lane = ANY(CAST($1 AS text[])) AND NOT id = ANY(CAST($2 AS bigint[]))
     GROUP BY lane`,
    [lanes, rows.map(({ id }) => id)],
  );
  const firstOf = new Map(others.map(({ lane, first }) => [lane, BigInt(first)]));
  return rows.filter(({ id, lane }) => {
    const first = lane === null ? undefined : firstOf.get(lane);
    return first === undefined || BigInt(id) < first;
  });
}

/** All lanes at once; within a lane one after the other, so that none overtakes. */
async function sendAll(door: PreparedDoor, rows: readonly OutboxRow[]): Promise<readonly Tried[]> {
  const lanes = new Map<string, OutboxRow[]>();
  for (const row of rows) {
    const key = row.lane === null ? `row ${row.id}` : `lane ${row.lane}`;
    const lane = lanes.get(key);
    if (lane === undefined) lanes.set(key, [row]);
    else lane.push(row);
  }
  const tried = await Promise.all([...lanes.values()].map((lane) => sendLane(door, lane)));
  return tried.flat();
}

async function sendLane(door: PreparedDoor, rows: readonly OutboxRow[]): Promise<readonly Tried[]> {
  const tried: Tried[] = [];
  let waits = false;
  for (const row of rows) {
    const fate: Fate = waits ? { kind: 'untried' } : await sendRow(door, row);
    waits ||= fate.kind === 'later';
    tried.push({ row, fate });
  }
  return tried;
}

async function sendRow(door: PreparedDoor, row: OutboxRow): Promise<Fate> {
  const event = eventOf(row);
  const sent = event.ok ? await door.send(event.value) : event;
  return sent.ok ? { kind: 'shipped' } : decideFate(sent.error, row.attempts + 1);
}

async function mark(client: DatabaseClient, table: string, tried: readonly Tried[]): Promise<void> {
  const shipped = tried.filter(({ fate }) => fate.kind === 'shipped').map(({ row }) => row.id);
  if (shipped.length > 0)
    await client.query(
      `UPDATE ${table} SET shipped_at = clock_timestamp(), attempts = attempts + 1, last_error = NULL
       WHERE id = ANY(CAST($1 AS bigint[]))`,
      [shipped],
    );
  const failed = failuresOf(tried);
  if (failed.length > 0)
    await client.query(
      `UPDATE ${table} AS o SET attempts = attempts + 1, last_error = f.error,
         set_aside_at = CASE WHEN f.aside THEN clock_timestamp() END
       FROM unnest(CAST($1 AS bigint[]), CAST($2 AS text[]), CAST($3 AS boolean[]))
         AS f (id, error, aside)
       WHERE o.id = f.id`,
      [
        failed.map(({ row }) => row.id),
        failed.map(({ error }) => `${error.code}: ${error.message}`.slice(0, 500)),
        failed.map(({ aside }) => aside),
      ],
    );
}

interface Failure {
  readonly row: OutboxRow;
  readonly error: AuditError;
  readonly aside: boolean;
}

function failuresOf(tried: readonly Tried[]): readonly Failure[] {
  return tried.flatMap(({ row, fate }) =>
    'error' in fate ? [{ row, error: fate.error, aside: fate.kind === 'aside' }] : [],
  );
}

function summarize(claimed: readonly OutboxRow[], tried: readonly Tried[]): Shipment {
  const failures = failuresOf(tried);
  const setAside = failures
    .filter(({ aside }) => aside)
    .map(({ row: { id, event_id, action }, error }) => ({ id, event_id, action, error }));
  const shipped = tried.filter(({ fate }) => fate.kind === 'shipped').length;
  return {
    claimed: claimed.length,
    shipped,
    later: claimed.length - shipped - setAside.length,
    setAside,
    error: failures.find(({ aside }) => !aside)?.error ?? null,
  };
}
