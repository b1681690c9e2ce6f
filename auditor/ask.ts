/**
 * Asks the store of record: a question of the catalogue as one statement, with the rights of the login that asks. What
 * that login may see is the database's to decide (row-level security); here it is only said in plain words.
 */
import type { ClientBase } from 'pg';
import { err, ok, type Result } from '../schemas/result.ts';
import type { TlsClientConfig } from '../schemas/exporter-config.ts';
import { createConnection, type DatabaseAddress } from '../store/connection.ts';
import { classifyDatabaseError } from '../store/database-error.ts';
import { noteAccess } from './access.ts';
import type {
  AnswerPage,
  AnswerRow,
  Asked,
  AskError,
  Column,
  RecordOfRow,
  Statement,
} from './answer.ts';
import { CATALOGUE } from './catalogue.ts';
import { decodeCursor, digestOfRow, encodeCursor } from './page-cursor.ts';
import type { Key, Question, RawRow, Resolved } from './questions/question.ts';
import { resolveAsked } from './resolve.ts';
import { toStatement } from './sql.ts';

export interface AuditorOptions {
  /** Connection URL of an auditor's login. */
  readonly url: DatabaseAddress;
  readonly tls?: TlsClientConfig;
  /** Who asks, and with what, for the record of who read the trail; default `sealtrail auditor`. */
  readonly application?: string;
}

export interface PageOptions {
  /** `next` of the page before. */
  readonly cursor?: string;
  /** Rows of a page, 1 to 10,000; default 50. */
  readonly limit?: number;
}

/** A whole answer, of one snapshot of the store, batch by batch. */
export interface AnswerStream {
  readonly columns: readonly Column[];
  readonly statement: Statement;
  /** To be walked to its end, or left by `return`; throws what the store throws meanwhile. */
  readonly batches: AsyncIterable<readonly AnswerRow[]>;
}

export type Snapshot = () => Promise<string>;

export interface Auditor {
  readonly catalogue: readonly Question[];
  /** Tenants that this login may see. */
  tenants(): Promise<Result<readonly string[], AskError>>;
  ask(asked: Asked, options?: PageOptions): Promise<Result<AnswerPage, AskError>>;
  /** `snapshot` gives the id of one that another transaction has exported, and is asked when the answer is read. */
  stream(asked: Asked, snapshot?: Snapshot): Promise<Result<AnswerStream, AskError>>;
  /** The record in a place of a stream of the tenant, as the store has it; null: there is none. */
  record(asked: Asked, place: Place): Promise<Result<RecordOfRow | null, AskError>>;
  close(): void;
}

type Place = Pick<RecordOfRow, 'stream' | 'seq'>;

export const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 10_000;
const BATCH_ROWS = 1_000;
const PAGE_TIMEOUT_MS = 60_000;
/** Of one batch: a slow reader is no slow statement. */
const BATCH_TIMEOUT_MS = 600_000;

/** JIT compiles for longer than a page takes; nothing here has anything to write. */
const SESSION = `SET jit = off; SET default_transaction_read_only = on; SET TimeZone = 'UTC'`;
/** Rows are wanted in order as they come, not all of them sorted first. */
const BEGIN_STREAM = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL cursor_tuple_fraction = 0.0001`;

/** The statement of a whole answer, as an auditor could run it by hand. */
export function statementOf(asked: Asked): Result<Statement, AskError> {
  const found = resolveAsked(asked);
  if (!found.ok) return found;
  const { question, resolved } = found.value;
  return ok(toStatement(question.build(resolved, { after: null, limit: null })));
}

/** Creates an auditor that connects with the first question. */
export function createAuditor(options: AuditorOptions): Auditor {
  const connection = openConnection(options, PAGE_TIMEOUT_MS);

  async function run<T>(body: (client: ClientBase) => Promise<T>): Promise<Result<T, AskError>> {
    try {
      return ok(await body(await connection.client()));
    } catch (error) {
      const failure = describeFailure(error);
      // A statement that was given up still runs on that connection.
      if (failure.kind === 'unavailable') connection.drop();
      return err(failure);
    }
  }

  /** On record before it is answered; a page is as much of a question as the first one. */
  async function note(asked: Asked): Promise<Result<void, AskError>> {
    const noted = await run((client) => noteAccess(client, asked));
    return noted.ok ? noted.value : noted;
  }

  return {
    catalogue: CATALOGUE,
    tenants: () => run(readTenants),
    ask: async (asked, { cursor, limit = LIMIT_DEFAULT } = {}) => {
      const found = resolveAsked(asked);
      if (!found.ok) return found;
      const { question, resolved } = found.value;
      if (!Number.isInteger(limit) || limit < 1 || limit > LIMIT_MAX)
        return invalid('limit', `must be a whole number from 1 to ${LIMIT_MAX}`);
      const after = cursor === undefined ? null : decodeCursor(resolved, question.key, cursor);
      if (cursor !== undefined && after === null)
        return invalid('cursor', 'is of no page of this question; ask again without it');
      const page = { after: after?.key ?? null, limit: limit + 1 };
      const statement = toStatement(question.build(resolved, page));
      // Sent together, to wait for the store but once. It reads when the note is on its disk, and not before; what comes
      // of a question that it refused nobody looks at, and row-level security lets nothing of it be of another tenant.
      const both = await run((client) =>
        Promise.all([noteAccess(client, asked), run(() => readRaw(client, statement))]),
      );
      if (!both.ok) return both;
      const [noted, raw] = both.value;
      if (!noted.ok) return noted;
      if (!raw.ok) return raw;
      const shown = pageOf(question, resolved, statement, raw.value, limit);
      return ok({ ...shown, before: after?.before ?? null });
    },
    stream: async (asked, snapshot) => {
      const found = resolveAsked(asked);
      if (!found.ok) return found;
      const { question, resolved } = found.value;
      const noted = await note(asked);
      if (!noted.ok) return noted;
      const statement = toStatement(question.build(resolved, { after: null, limit: null }));
      const batches = readAll(options, statement, snapshot, (row) =>
        readRow(question, resolved, row),
      );
      return ok({ columns: question.columns, statement, batches });
    },
    record: async (asked, place) => {
      const parameters = { stream: place.stream, seq: String(place.seq) };
      const noted = await note({ ...asked, question: 'record', parameters });
      return noted.ok ? run((client) => readRecord(client, asked.tenant, place)) : noted;
    },
    close: () => connection.drop(),
  };
}

async function readRecord(
  client: ClientBase,
  tenant: string,
  { stream, seq }: Place,
): Promise<RecordOfRow | null> {
  const { rows } = await client.query<Omit<RecordOfRow, 'stream' | 'seq'>>(
    `SELECT event_id, event_bytes, prev_hash, this_hash FROM audit.sealed_records
     WHERE tenant_id = $1 AND stream = $2 AND seq = $3 LIMIT 1`,
    [tenant, stream, seq],
  );
  const [row] = rows;
  return row === undefined ? null : { stream, seq, ...row };
}

function openConnection(
  { url, tls, application = 'sealtrail auditor' }: AuditorOptions,
  timeoutMs: number,
): ReturnType<typeof createConnection> {
  const ready = new WeakSet<ClientBase>();
  const connection = createConnection({
    url,
    ...(tls === undefined ? {} : { tls }),
    timeoutMs,
    applicationName: application,
  });
  return {
    client: async () => {
      const client = await connection.client();
      if (!ready.has(client)) {
        await client.query(`${SESSION}; SET statement_timeout = ${timeoutMs}`);
        ready.add(client);
      }
      return client;
    },
    drop: () => connection.drop(),
  };
}

async function readTenants(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ tenant: string }>(
    'SELECT unnest(audit.visible_tenants()) AS tenant ORDER BY 1',
  );
  return rows.map(({ tenant }) => tenant);
}

async function readRaw(client: ClientBase, statement: Statement): Promise<readonly RawRow[]> {
  const { rows } = await client.query<(string | null)[]>({
    text: statement.sql,
    values: [...statement.values],
    rowMode: 'array',
  });
  return rows;
}

function invalid(parameter: string, message: string): { ok: false; error: AskError } {
  return err({ kind: 'invalid', parameter, message: `--${parameter} ${message}` });
}

function readRow(question: Question, resolved: Resolved, row: RawRow): AnswerRow {
  return question.readRow(row, resolved);
}

function keyOf(question: Question, row: RawRow): Key {
  return row.slice(0, question.key.length).map((part) => part ?? '');
}

function pageOf(
  question: Question,
  resolved: Resolved,
  statement: Statement,
  raw: readonly RawRow[],
  limit: number,
): Omit<AnswerPage, 'before'> {
  const shown = raw.slice(0, limit);
  const rows = shown.map((row) => readRow(question, resolved, row));
  const [last, lastRow] = [shown.at(-1), rows.at(-1)];
  const next =
    raw.length > limit && last && lastRow
      ? encodeCursor(resolved, { key: keyOf(question, last), before: digestOfRow(lastRow) })
      : null;
  return { columns: question.columns, rows, next, statement };
}

/** On a connection of its own; the next batch is on its way while one is used. */
async function* readAll(
  options: AuditorOptions,
  statement: Statement,
  snapshot: Snapshot | undefined,
  read: (row: RawRow) => AnswerRow,
): AsyncGenerator<readonly AnswerRow[]> {
  const connection = openConnection(options, BATCH_TIMEOUT_MS);
  try {
    const client = await connection.client();
    await client.query(BEGIN_STREAM);
    if (snapshot !== undefined)
      await client.query(`SET TRANSACTION SNAPSHOT ${client.escapeLiteral(await snapshot())}`);
    await client.query(`DECLARE answer NO SCROLL CURSOR FOR ${statement.sql}`, [
      ...statement.values,
    ]);
    const fetch = (): Promise<readonly RawRow[]> =>
      readRaw(client, { sql: `FETCH ${BATCH_ROWS} FROM answer`, values: [] });
    let ahead = fetch();
    try {
      for (;;) {
        const rows = await ahead;
        if (rows.length === 0) return;
        ahead = fetch();
        yield rows.map(read);
      }
    } finally {
      // Whoever leaves early does not wait for what the store still computes.
      connection.drop();
      await Promise.allSettled([ahead]);
    }
  } finally {
    connection.drop();
  }
}

function describeFailure(error: unknown): AskError {
  const failure = classifyDatabaseError(error);
  if (failure.kind === 'access')
    return { kind: 'forbidden', message: `the store refuses this login: ${failure.message}` };
  if (failure.kind === 'data')
    return { kind: 'invalid', message: `the store cannot take it so: ${failure.message}` };
  return { kind: 'unavailable', message: `the store does not answer: ${failure.message}` };
}
