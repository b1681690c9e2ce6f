/** A failed audit write: what may be told of it, and which error its caller sees. */
import type { FailPolicy } from '../schemas/vocabulary.ts';
import type { QueueEntry } from './batch.ts';
import type { ConnectionEnd } from './connection.ts';
import { AuditError, AuditErrorCode, codeOfRefusal } from './errors.ts';

/** An event that was not recorded, or is not known to be. Holds no event contents. */
export interface AuditFailure {
  readonly error: AuditError;
  /** Undefined where the draft was too broken to have one. */
  readonly action: string | undefined;
  readonly event_id: string | undefined;
  /** What the vocabulary says of the action; undefined for an unknown one. */
  readonly fail_policy: FailPolicy | undefined;
  /** True: the event is in the spool, and the action goes on. False: record() was rejected. */
  readonly spooled: boolean;
  /** True: the vault was away, and the action is fail-open: its event goes on without saying who. */
  readonly unresolved?: true;
}

/** What a caller sees when preparing an event threw something else than AuditError. */
export function asAuditError(thrown: unknown): AuditError {
  if (thrown instanceof AuditError) return thrown;
  // A getter or proxy in the draft, or no canonical form: the caller's data, not our state.
  return new AuditError('unsafe_json', 'the draft could not be read as plain JSON values', {
    cause: thrown,
    hint: 'Give plain objects, strings, safe numbers, booleans and null.',
  });
}

/** What a caller sees of a refusal. */
export function errorOfRefusal(
  { kind, message, field }: RefusalText,
  recorded: 'no' | 'unknown' = 'no',
): AuditError {
  const code = codeOfRefusal(kind);
  return new AuditError(code, message, { recorded, ...(field === undefined ? {} : { field }) });
}

/** A refusal as it arrives: the kind may be one of a later version. */
interface RefusalText {
  readonly kind: string;
  readonly message: string;
  readonly field?: string;
}

/** What stands when a caller has waited long enough. */
export interface WaitedState {
  readonly place: QueueEntry['state'];
  readonly mayBeRecorded: boolean;
  /** Why the agent put the event off. */
  readonly putOffFor: RefusalText | null;
  readonly connected: boolean;
  /** The outbox would take a refusal for the agent's word on this very event. */
  readonly isRelayed: boolean;
  /** Why the last connection ended. */
  readonly lastEnd: ConnectionEnd | null;
  readonly timeoutMs: number;
  readonly socketPath: string;
}

/** Decides what a caller hears after timeoutMs without an ack. Pure. */
export function decideTimeoutError(state: WaitedState): AuditError {
  const { place, connected, lastEnd } = state;
  const recorded = place === 'sent' || state.mayBeRecorded ? 'unknown' : 'no';
  const waited = `no ack within ${state.timeoutMs} ms`;
  const refused = place === 'put_off' ? state.putOffFor : refusalOfAll(state);
  if (refused !== null) {
    const message = `${refused.message} (${waited})`;
    return errorOfRefusal({ kind: refused.kind, message }, recorded);
  }
  const reached = place === 'sent' || connected;
  return new AuditError(
    reached ? AuditErrorCode.timeout : AuditErrorCode.agentUnavailable,
    lastEnd === null ? waited : `${waited}: ${lastEnd.message}`,
    {
      hint: `Is the agent running? The socket in use: ${state.socketPath}`,
      recorded,
    },
  );
}

/** An agent that takes nothing at all for now has said why to those before this event. */
function refusalOfAll(state: WaitedState): RefusalText | null {
  const { place, connected, lastEnd, isRelayed } = state;
  if (isRelayed || place !== 'queued' || connected || lastEnd?.refusalKind === undefined)
    return null;
  return { kind: lastEnd.refusalKind, message: lastEnd.message };
}
