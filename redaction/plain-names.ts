/**
 * Names of members under which a value is read as any other: they say nothing sensitive of it, and are
 * nothing to redact themselves. Answers are kept, since an application uses few names, many times.
 */
import type { KeyClass } from './keys.ts';
import type { Suspicion } from './suspicion.ts';

export interface PlainRules {
  readonly classifyKey: (name: string) => KeyClass;
  readonly suspicion: Suspicion;
  /** Whether e-mail addresses stay in actor and resource. */
  readonly keepsEmails: boolean;
}

const NAMES_KEPT_MAX = 4096;

/** Creates the test. */
export function createPlainNames({
  classifyKey,
  suspicion,
}: Pick<PlainRules, 'classifyKey' | 'suspicion'>): (name: string) => boolean {
  const plain = new Set<string>();
  return (name) => {
    if (plain.has(name)) return true;
    const nameClass = classifyKey(name);
    if (nameClass !== 'none' && nameClass !== 'free_text') return false;
    if (name === '__proto__' || suspicion.isSuspicious(name, false)) return false;
    if (plain.size >= NAMES_KEPT_MAX) plain.clear();
    plain.add(name);
    return true;
  };
}
