/** The application's hooks: one that throws is a process warning and stops nothing. */
import { messageOf } from '../../schemas/result.ts';

/** Calls a hook, if there is one; never throws. */
export function tell<T>(name: string, hook: ((value: T) => void) | undefined, value: T): void {
  if (hook === undefined) return;
  try {
    hook(value);
  } catch (thrown) {
    process.emitWarning(`${name} threw: ${messageOf(thrown)}`, {
      type: 'AuditWarning',
      code: 'SEALTRAIL_HOOK_FAILED',
    });
  }
}

/** What a hook hears of anything that was thrown. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}
