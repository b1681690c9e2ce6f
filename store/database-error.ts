/**
 * What an error of PostgreSQL, or of the way to it, means for the batch: send it again, look for
 * the record at fault, or ask the operator. By SQLSTATE class (PostgreSQL, appendix A).
 */
import { codeOf, messageOf } from '../schemas/result.ts';

export type DatabaseFailure =
  /** Connection, shutdown, disk full, lock, serialization: again later. */
  | { readonly kind: 'unavailable'; readonly message: string }
  /** Another writer stored one of these keys at the same time: again at once. */
  | { readonly kind: 'raced'; readonly message: string }
  /** A record of the batch was purged: sort out which. */
  | { readonly kind: 'purged'; readonly message: string }
  /** The data itself is refused: some record of the batch is to blame. */
  | { readonly kind: 'data'; readonly message: string }
  | { readonly kind: 'schema'; readonly message: string }
  | { readonly kind: 'access'; readonly message: string };

/** Judges what a query threw. The message never holds event contents. */
export function classifyDatabaseError(thrown: unknown): DatabaseFailure {
  const code = codeOf(thrown);
  const state = /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code) ? code : '';
  if (state === '') return { kind: 'unavailable', message: messageOf(thrown) };
  // Primary messages of these classes can quote the value; the state and constraint suffice.
  if (RACES.has(state) && tableOf(thrown) !== 'records')
    return { kind: 'raced', message: `another writer was faster (${state})` };
  if (isDataState(state)) return { kind: 'data', message: describeData(thrown, state) };
  const message = `${messageOf(thrown)} (${state})`;
  // Raised by audit.refuse_purged.
  if (state === 'SP001') return { kind: 'purged', message };
  if (state.startsWith('28') || state === '42501' || state === '3D000')
    return { kind: 'access', message };
  if (state === '3F000' || state.startsWith('42')) return { kind: 'schema', message };
  return { kind: 'unavailable', message };
}

/** Unique violation, serialization failure, deadlock: nothing is wrong with the data. */
const RACES: ReadonlySet<string> = new Set(['23505', '40001', '40P01']);

/** Data exceptions, constraint violations, and what exceeds a limit of a row, an index or JSON. */
function isDataState(state: string): boolean {
  return state.startsWith('22') || state.startsWith('23') || state.startsWith('54');
}

/**
 * The table at fault, partitions under one name. Keys are unique before records are inserted: a
 * record whose place is taken all the same meets a row that was not written by a store.
 */
function tableOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null || !('table' in thrown)) return '';
  return String(thrown.table).replace(/^records_(?:\d|default).*/, 'records');
}

const DATA_REASONS: { readonly [state: string]: string } = {
  '22021': 'the event holds what is no character of UTF-8, or U+0000 itself',
  '23514': 'a hash has the wrong length',
  '23505': 'a row that has no key, so was not written by sealtrail, stands in its place',
  '54000': 'a field is too long for an index',
};

function describeData(thrown: unknown, state: string): string {
  const constraint =
    typeof thrown === 'object' && thrown !== null && 'constraint' in thrown
      ? thrown.constraint
      : undefined;
  const reason = DATA_REASONS[state] ?? 'PostgreSQL refuses the record';
  return `${reason} (${state}${typeof constraint === 'string' ? `, ${constraint}` : ''})`;
}
