/**
 * Reading the trail is itself on record: who asks what is filed before it is answered, by the database,
 * under the login that no client can choose (store/migrations/0009_access_log.sql).
 */
import { createHash } from 'node:crypto';
import type { ClientBase } from 'pg';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { Asked, AskError } from './answer.ts';

/** As much of a question as is filed; null: it is of all time. */
export type NotedQuestion = Pick<Asked, 'question' | 'tenant' | 'timeZone' | 'parameters'> &
  Readonly<Record<'since' | 'until', string | null>>;

const NOTE = 'SELECT audit.note_access($1, $2, $3, $4, $5) AS allowed';

/**
 * Files a question, in a transaction of its own: the client MUST NOT be in one, and MUST pipeline. Only ok may be answered;
 * what is refused is on file as well.
 */
export async function noteAccess(
  client: ClientBase,
  asked: NotedQuestion,
): Promise<Result<void, AskError>> {
  const { question, tenant, since, until, timeZone, parameters } = asked;
  const said = JSON.stringify(shorten({ ...parameters, time_zone: timeZone }));
  try {
    // Sent together, so that nothing of others comes in between; a session may be read-only by default.
    const [, { rows }] = await Promise.all([
      client.query('BEGIN READ WRITE'),
      client.query<{ allowed: boolean | null }>(NOTE, [question, tenant, since, until, said]),
      client.query('COMMIT'),
    ]);
    const allowed = rows[0]?.allowed;
    if (allowed === true) return ok(undefined);
    if (allowed === false)
      return err({ kind: 'forbidden', parameter: 'tenant', message: forbidden(tenant) });
    return err({ kind: 'unavailable', message: TOO_MANY });
  } catch (error) {
    return err(describe(error));
  }
}

const BYTES_MAX = 4_000;
const VALUE_SHOWN = 200;

/** The log takes no more than it can bear: a long value is its beginning and its digest. */
function shorten(parameters: Asked['parameters']): Asked['parameters'] {
  if (Buffer.byteLength(JSON.stringify(parameters)) <= BYTES_MAX) return parameters;
  const cut = ([name, value]: [string, string]): [string, string] => [
    name,
    value.length <= VALUE_SHOWN ? value : `${value.slice(0, VALUE_SHOWN)}… ${digestOf(value)}`,
  ];
  const shown = Object.fromEntries(Object.entries(parameters).map(cut));
  const isShort = Buffer.byteLength(JSON.stringify(shown)) <= BYTES_MAX;
  return isShort ? shown : { all: digestOf(JSON.stringify(parameters)) };
}

const digestOf = (text: string): string =>
  `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** The same whether there is such a tenant or not. */
const forbidden = (tenant: string): string =>
  `this login may not see tenant ${tenant}; the attempt is on record`;
const TOO_MANY =
  'this login asked 3,600 times within an hour; that is on record, and nothing is answered before the hour is over';

function describe(error: unknown): AskError {
  const code = codeOf(error);
  const message = messageOf(error);
  // 22…: not in that form. 42883: a store of before that function.
  if (code.startsWith('22')) return { kind: 'invalid', message };
  if (code === '42883')
    return {
      kind: 'unavailable',
      message:
        'the store lacks migration 0009: start the agent of this version with the owner of the store',
    };
  if (code === '42501')
    return {
      kind: 'forbidden',
      message: 'this login is no auditor; see `sealtrail auditor grant`',
    };
  return { kind: 'unavailable', message: `the store does not answer: ${message}` };
}
