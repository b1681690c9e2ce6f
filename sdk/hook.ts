/**
 * What the application hands in to be called: hooks, predicates, a rollback. None of it may keep an event
 * from being recorded or a caller from being answered, so what fails there is a process warning.
 */
import { messageOf } from '../schemas/result.ts';

/** Hooks that are being called now. */
const running = new Set<unknown>();

/** Calls a hook, if there is one; never throws, and waits for nothing. */
export function tell<T>(name: string, hook: ((value: T) => unknown) | undefined, value: T): void {
  if (hook === undefined) return;
  // A hook that records would be told of its own failure, and of that one, without end.
  if (running.has(hook)) return warn(`${name} was not told of a failure of its own`);
  running.add(hook);
  try {
    const told = hook(value);
    if (told instanceof Promise) told.catch((thrown: unknown) => warnOfHook(name, thrown));
  } catch (thrown) {
    warnOfHook(name, thrown);
  } finally {
    running.delete(hook);
  }
}

/** Asks the application; the other answer stands in for one that it fails to give. */
export function ask<T>(name: string, question: () => T, otherwise: T): T {
  try {
    return question();
  } catch (thrown) {
    warnOfHook(name, thrown);
    return otherwise;
  }
}

/** What a hook threw, or rejected with. */
export function warnOfHook(name: string, thrown: unknown): void {
  warn(`${name} threw: ${messageOf(thrown)}`);
}

/** What a hook hears of anything that was thrown. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(messageOf(thrown));
}

function warn(message: string): void {
  process.emitWarning(message, { type: 'AuditWarning', code: 'SEALTRAIL_HOOK_FAILED' });
}
