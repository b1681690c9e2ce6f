/**
 * audited(): a business action and the record of how it ended, as one. What can be refused is refused
 * before the action begins; what can only be known afterwards is said with `performed`.
 *
 *   may it be recorded? --no--> AuditError, performed: no        (fail_closed, or the breaker is open)
 *          | yes
 *        act --threw--> record denied or failure, rollback --> the error of the act
 *          |
 *     record success --not acked--> rollback --> AuditError      (performed: yes where there is no commit)
 *          | acked, or fail_open
 *       commit --threw--> record failure, rollback --> the error of the commit
 *          |
 *        value
 */
import type { Outcome } from '../schemas/event.ts';
import type { FailPolicy } from '../schemas/vocabulary.ts';
import type { EventDraft } from './event-draft.ts';
import { AuditError } from './errors.ts';
import { asAuditError } from './failure.ts';
import { ask, warnOfHook } from './hook.ts';

/** The event without its outcome, which the action decides. */
export type AuditedDraft = Omit<EventDraft, 'outcome'>;

/**
 * Adds to the event what only the action knows: members of its metadata, the fields it changed. Of what is
 * said twice the last word counts. It is checked when the event is recorded, so after the act.
 */
export type Note = (facts: Pick<EventDraft, 'metadata' | 'changes'>) => void;

export interface AuditedOptions {
  /**
   * Makes the change final, once the record of it is acked. With it the action itself MUST only prepare
   * (BEGIN and the statements), and a fail-closed action leaves no change that is not on record.
   */
  readonly commit?: () => Promise<unknown> | unknown;
  /**
   * Takes back what was prepared: the action threw, it was not recorded, or the commit threw. Should it
   * fail itself, that is a process warning, and the caller hears of what came before.
   */
  readonly rollback?: () => Promise<unknown> | unknown;
  /** Whether an error of the action means that it was not allowed. DeniedError always does. */
  readonly isDenied?: (error: unknown) => boolean;
}

/**
 * Runs `act` and records it; resolves to its value. It has ended when its promise is settled: the body of a
 * generator that it returns has not run by then, so consume it within.
 * Rejects with what `act` or `commit` threw, or with AuditError: for a fail-closed action that cannot be
 * audited, and for any action while the breaker is open. A fail-open action never fails for its record.
 */
export type Audited = <T>(
  draft: AuditedDraft,
  act: (note: Note) => Promise<T> | T,
  options?: AuditedOptions,
) => Promise<T>;

/** Throw it, or a subclass, from an action that is not allowed: it is recorded as `denied`. */
export class DeniedError extends Error {
  override readonly name: string = 'DeniedError';
}

export type Verdict = 'yes' | 'probe';

export interface AuditedPorts {
  record(draft: EventDraft, verdict: Verdict): Promise<unknown>;
  /** Undefined for an action that the vocabulary does not have. */
  policyOf(action: string): FailPolicy | undefined;
  /** The breaker's word. */
  admit(action: string): AuditError | Verdict;
  /** Why the record of such an event could not be acked now; null where nothing speaks against it. */
  objection(draft: EventDraft): Promise<AuditError | null>;
  /** Tells of an action that was refused before it began. */
  refuse(error: AuditError, draft: AuditedDraft): AuditError;
}

/** Creates audited() over record(). */
export function createAudited(ports: AuditedPorts): Audited {
  return async (draft, act, options = {}) => {
    const isOpen = ports.policyOf(draft.action) === 'fail_open';
    const verdict = isOpen
      ? await tryOpen(ports, draft)
      : ((await ports.objection({ ...draft, outcome: 'success' })) ?? ports.admit(draft.action));
    if (verdict instanceof AuditError) throw performedNo(ports.refuse(verdict, draft));
    const isStrict = !isOpen || verdict === 'probe';
    let noted = draft;
    const note: Note = ({ metadata, ...facts }) => {
      noted = { ...noted, ...facts, metadata: { ...noted.metadata, ...metadata } };
    };
    const record = recorder(ports, () => noted, verdict);

    const rollBack = (): Promise<void> => takeBack(draft, options);

    const acted = await attempt(() => act(note));
    if (!acted.ok) {
      const outcome = isDenied(acted.error, options) ? 'denied' : 'failure';
      const failure = await record(outcome, nameOf(acted.error));
      await rollBack();
      if (failure !== null && isStrict) throw performedNo(failure, acted.error);
      throw acted.error;
    }
    const failure = await record('success', undefined);
    if (failure !== null && isStrict) {
      await rollBack();
      throw options.commit === undefined ? performedYes(failure) : performedNo(failure);
    }
    const committed = await attempt(async () => options.commit?.());
    if (committed.ok) return acted.value;
    await record('failure', nameOf(committed.error));
    await rollBack();
    throw committed.error;
  };
}

/** The one event that a half-open breaker lets try is held to the rules of a fail-closed action. */
async function tryOpen(ports: AuditedPorts, draft: AuditedDraft): Promise<AuditError | Verdict> {
  const verdict = ports.admit(draft.action);
  if (verdict !== 'probe') return verdict;
  return (await ports.objection({ ...draft, outcome: 'success' })) ?? verdict;
}

type Attempt<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

async function attempt<T>(work: () => Promise<T> | T): Promise<Attempt<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return { ok: false, error };
  }
}

/** Records outcomes of one action. Whatever fails has been told by record() itself, and is returned. */
function recorder(
  ports: AuditedPorts,
  draftNow: () => AuditedDraft,
  first: Verdict,
): (outcome: Outcome, error: string | undefined) => Promise<AuditError | null> {
  let verdict = first;
  return async (outcome, error) => {
    const draft = draftNow();
    const event =
      error === undefined ? draft : { ...draft, metadata: { ...draft.metadata, error } };
    const recorded = await attempt(() => ports.record({ ...event, outcome }, verdict));
    verdict = 'yes';
    return recorded.ok ? null : asAuditError(recorded.error);
  };
}

/** A rollback that fails is told, and the caller hears why there was one. */
async function takeBack({ action }: AuditedDraft, { rollback }: AuditedOptions): Promise<void> {
  const done = await attempt(async () => rollback?.());
  if (!done.ok) warnOfHook(`rollback of ${action}`, done.error);
}

/** Anything may be thrown, and a predicate may stumble over it: the event is recorded all the same. */
function isDenied(error: unknown, options: AuditedOptions): boolean {
  const judge = (): boolean => error instanceof DeniedError || options.isDenied?.(error) === true;
  return ask('isDenied', judge, false);
}

/** The name or code of an error, where it looks like one: a message could hold anything. */
function nameOf(error: unknown): string {
  const named = ask('the error of an action', () => codeOrName(error), undefined);
  return typeof named === 'string' && /^[A-Za-z][\w.]{0,63}$/.test(named) ? named : 'Error';
}

function codeOrName(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  return 'code' in error ? error.code : error.name;
}

function performedNo(error: AuditError, cause: unknown = error): AuditError {
  return told(error, 'no', `the action was not performed: ${error.message}`, cause);
}

function performedYes(error: AuditError): AuditError {
  return told(error, 'yes', `the action was performed, and is not on record: ${error.message}`);
}

function told(
  error: AuditError,
  performed: 'no' | 'yes',
  message: string,
  cause: unknown = error,
): AuditError {
  return new AuditError(error.code, message, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.field === undefined ? {} : { field: error.field }),
    recorded: error.recorded,
    performed,
    cause,
  });
}
