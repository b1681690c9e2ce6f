/**
 * The way beside record(): an event is prepared now and sent later, by this process or another one. The
 * outbox goes through here, so that what it writes down is exactly what record() would have sent.
 * Internal: not in index.ts, and reached only with an Audit that createAudit has made.
 */
import type { Result } from '../schemas/result.ts';
import type { RecordReceipt } from './batch.ts';
import type { PreparedEvent } from './draft.ts';
import { AuditError, AuditErrorCode } from './errors.ts';
import type { EventDraft } from './event-draft.ts';

export interface PreparedDoor {
  /**
   * As record() does it: within the caller's turn, unless the vault has to be asked. Rejects with AuditError,
   * after the failure hook has heard of it.
   */
  prepare(draft: EventDraft): Promise<PreparedEvent>;
  /** Sends an event; never rejects, and tells no hook: whoever sends tries again. */
  send(event: PreparedEvent): Promise<Result<RecordReceipt, AuditError>>;
}

const doors = new WeakMap<object, PreparedDoor>();

/** Makes the door of an Audit known. */
export function openPreparedDoor(audit: object, door: PreparedDoor): void {
  doors.set(audit, door);
}

/**
 * The door of an Audit.
 * @throws AuditError `options_invalid` for anything that createAudit has not made.
 */
export function preparedDoorOf(audit: object): PreparedDoor {
  const door = doors.get(audit);
  if (door !== undefined) return door;
  throw new AuditError(AuditErrorCode.optionsInvalid, 'audit must be what createAudit returned', {
    hint: 'Pass the Audit itself, not an object around it.',
  });
}
