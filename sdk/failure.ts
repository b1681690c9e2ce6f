/**
 * A failed audit write is loud: besides the rejection of record(), the application's hook hears
 * of it, and a hook that fails itself is reported as a process warning.
 */
import { messageOf } from '../schemas/result.ts';
import type { FailPolicy } from '../schemas/vocabulary.ts';
import { AuditError, AuditErrorCode, codeOfRefusal } from './errors.ts';

/** An event that was not recorded, or is not known to be. Holds no event contents. */
export interface AuditFailure {
  readonly error: AuditError;
  /** Undefined where the draft was too broken to have one. */
  readonly action: string | undefined;
  readonly event_id: string | undefined;
  /** What the vocabulary says the application should do now; undefined for an unknown action. */
  readonly fail_policy: FailPolicy | undefined;
}

/** Calls the hook, if there is one; never throws. */
export function reportFailure(
  hook: ((failure: AuditFailure) => void) | undefined,
  failure: AuditFailure,
): void {
  if (hook === undefined) return;
  try {
    hook(failure);
  } catch (thrown) {
    process.emitWarning(`onAuditFailure threw: ${messageOf(thrown)}`, {
      type: 'AuditWarning',
      code: 'SEALTRAIL_HOOK_FAILED',
    });
  }
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

/** What a caller sees of the agent's refusal. */
export function errorOfRefusal(refusal: {
  readonly kind: string;
  readonly message: string;
  readonly field?: string;
}): AuditError {
  const details = refusal.field === undefined ? {} : { field: refusal.field };
  return new AuditError(codeOfRefusal(refusal.kind), refusal.message, details);
}

/** What stands when a caller has waited long enough. */
export interface WaitedState {
  readonly place: 'queued' | 'sent' | 'held' | 'gone';
  /** Why the agent put the event off. */
  readonly heldFor: { readonly kind: string; readonly message: string } | undefined;
  readonly connected: boolean;
  /** Why the last connection ended. */
  readonly lastEnd: string | null;
  readonly timeoutMs: number;
  readonly socketPath: string;
}

/** Decides what a caller hears after timeoutMs without an ack. Pure. */
export function decideTimeoutError(state: WaitedState): AuditError {
  const waited = `no ack within ${state.timeoutMs} ms`;
  if (state.place === 'held' && state.heldFor !== undefined) {
    const { kind, message } = state.heldFor;
    return new AuditError(codeOfRefusal(kind), `${message} (${waited})`);
  }
  const reached = state.place === 'sent' || state.connected;
  const because = state.lastEnd === null ? '' : `: ${state.lastEnd}`;
  return new AuditError(
    reached ? AuditErrorCode.timeout : AuditErrorCode.agentUnavailable,
    waited + because,
    {
      hint: `Is the agent running? The socket in use: ${state.socketPath}`,
      recorded: state.place === 'sent' ? 'unknown' : 'no',
      ...(state.lastEnd === null ? {} : { cause: new Error(state.lastEnd) }),
    },
  );
}
