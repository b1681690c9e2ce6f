/**
 * What the outbox needs of a database driver, by shape: this package depends on none. Statements that run
 * in the application's transaction number their parameters $1, $2, … in the order of their appearance, each
 * once and each with a cast, so that a driver with `?` or untyped parameters needs a thin adapter only.
 */
import { AuditError, AuditErrorCode } from '../errors.ts';

/** Runs one statement with its values. */
export type QueryFunction = (text: string, values: unknown[]) => Promise<unknown>;

/** A connection in the caller's transaction: pg's client, or a function around any other driver. */
export type TransactionClient =
  QueryFunction | { query(text: string, values: unknown[]): Promise<unknown> };

/** A connection of the relay's or reconciler's own; pg's Client is one. */
export interface DatabaseClient {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: unknown[] }>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'notification', listener: () => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  end(): Promise<void>;
}

/** Opens a connection and connects it. Rejects when there is no database for now. */
export type Connect = () => Promise<DatabaseClient>;

export const DEFAULT_TABLE = 'audit_outbox';

/** A channel of LISTEN and NOTIFY has the table's name, and may not be longer. */
const NAME_MAX = 63;
const TABLE = /^([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,40}$/;

/**
 * Checks the name of a table; it goes into statements as it is.
 * @throws AuditError `options_invalid`.
 */
export function tableNameOf(table: string = DEFAULT_TABLE): string {
  if (TABLE.test(table) && table.length <= NAME_MAX) return table;
  throw new AuditError(
    AuditErrorCode.optionsInvalid,
    'table must be lower-case letters, digits and "_", with a schema before it or none; 63 at most',
    { hint: 'For example: audit_outbox, shop.audit_outbox' },
  );
}

/** The statement runner of a client. */
export function queryOf(client: TransactionClient): QueryFunction {
  return typeof client === 'function' ? client : (text, values) => client.query(text, values);
}

/** Rows as the statement names them. */
export async function selectRows<Row>(
  client: DatabaseClient,
  text: string,
  values: unknown[],
): Promise<readonly Row[]> {
  const { rows } = await client.query(text, values);
  return rows as Row[];
}

/** Runs work in a transaction. After an error the connection is in doubt: the caller MUST end it. */
export async function inTransaction<T>(client: DatabaseClient, work: () => Promise<T>): Promise<T> {
  // Whatever the database's default: rows that others have marked meanwhile are to be seen as marked.
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED');
  const result = await work();
  await client.query('COMMIT');
  return result;
}
