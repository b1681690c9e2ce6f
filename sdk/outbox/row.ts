/**
 * One row of the outbox on its way: from the table's text back to what the connection carries, and what
 * becomes of a row that was not taken. The table is the application's, so its text is not trusted: the
 * agent checks and redacts it again, and what would break the frame does not leave at all. Pure.
 */
import { EVENT_BYTES_MAX } from '../../schemas/wire.ts';
import { RETRYABLE_KINDS } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import type { PreparedEvent } from '../draft.ts';
import { AuditError, AuditErrorCode, REFUSAL_HINTS } from '../errors.ts';

export interface OutboxRow {
  /** bigint, as text. */
  readonly id: string;
  readonly event_id: string;
  readonly action: string;
  readonly line: string;
  readonly lane: string | null;
  readonly attempts: number;
}

/** What became of a row in one go. `later`: not taken for now, or its lane waits. */
export type Fate =
  | { readonly kind: 'shipped' }
  | { readonly kind: 'aside' | 'later'; readonly error: AuditError }
  | { readonly kind: 'untried' };

/** Refusals that may be about the moment rather than the event are believed after so many. */
const DOUBTFUL_ATTEMPTS_MAX = 5;
const DOUBTFUL_CODES: ReadonlySet<string> = new Set([
  AuditErrorCode.refused,
  'protocol_error',
  'unauthorized',
]);

/** Decides between trying again and setting aside; `attempts` counts this one. */
export function decideFate(error: AuditError, attempts: number): Fate {
  if (DOUBTFUL_CODES.has(error.code))
    return { kind: attempts >= DOUBTFUL_ATTEMPTS_MAX ? 'aside' : 'later', error };
  return { kind: isForGood(error.code) ? 'aside' : 'later', error };
}

/** A refusal of the event's content: the same bytes get the same answer. */
function isForGood(code: string): boolean {
  return Object.hasOwn(REFUSAL_HINTS, code) && !RETRYABLE.has(code);
}

const RETRYABLE: ReadonlySet<string> = RETRYABLE_KINDS;

/** The event of a row. */
export function eventOf(row: OutboxRow): Result<PreparedEvent, AuditError> {
  const bytes = Buffer.from(`${row.line}\n`);
  const end = bytes.length - 1;
  if (end > EVENT_BYTES_MAX) return broken('too_large', `the line has ${end} bytes`);
  if (row.line.includes('\n')) return broken('malformed', 'the line has a line end in it');
  const eventId = eventIdOf(row.line);
  if (eventId === null) return broken('malformed', 'the line is not an event in JSON');
  if (eventId !== row.event_id) return broken('malformed', 'the line has another event_id');
  const { event_id, action } = row;
  return ok({ event_id, action, fail_policy: 'fail_closed', bytes, start: 0, end });
}

function eventIdOf(line: string): unknown {
  try {
    const event: unknown = JSON.parse(line);
    return (event as { readonly event_id?: unknown } | null)?.event_id ?? null;
  } catch {
    // Its text is not quoted, as in every other message.
    return null;
  }
}

function broken(kind: 'malformed' | 'too_large', what: string): Result<never, AuditError> {
  return err(
    new AuditError(kind, `${what}; it was not sent`, {
      hint: 'Rows are written by the outbox only. Who else can write to the table?',
    }),
  );
}
