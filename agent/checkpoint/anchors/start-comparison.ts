/**
 * The start comparison: before anything is appended, every anchor with a memory is asked what it holds of the
 * agent's anchor log. More than the agent has signed is a rollback, another root a fork, and either means that
 * this ledger must not go on where it ends.
 */
import type { NoteVerifier } from '../../../ledger/signing.ts';
import { err, messageOf, type Result } from '../../../schemas/result.ts';
import type { Logger, StartDoubt } from '../../ports.ts';
import type { Anchor, AnchorFailure, Publication } from './anchor.ts';
import { compareHeld } from './compare.ts';
import { describeConflict } from './rounds.ts';

export interface StartComparison {
  readonly anchors: readonly Anchor[];
  /** Sizes that they have had, by name: one that holds less now has lost it, and says nothing of what came after. */
  readonly given: ReadonlyMap<string, bigint>;
  /** The newest checkpoint that the agent has, of size 0 where it has none. */
  readonly own: Publication;
  readonly logKeys: readonly NoteVerifier[];
  readonly timeoutMs: number;
  /** The ledger ends as a stop leaves it. */
  readonly isClean: boolean;
  readonly log: Logger;
}

/** Asks them all at once; null: the log may go on. */
export async function compareAtStart(options: StartComparison): Promise<StartDoubt | null> {
  const { own, given, logKeys, timeoutMs, isClean, log } = options;
  const asked = options.anchors.filter(({ newest }) => newest !== null);
  if (asked.length === 0) return null;
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  const answers = await Promise.all(
    asked.map(async (anchor) => {
      const failure = await askOne(
        anchor,
        { own, had: given.get(anchor.name) ?? 0n, logKeys },
        timeout.signal,
      );
      if (failure !== null && !('held' in failure))
        log.warn(
          { component: 'anchor', anchor: anchor.name, kind: failure.kind, reason: failure.message },
          'an anchor does not say at the start what it holds',
        );
      return { name: anchor.name, failure };
    }),
  );
  clearTimeout(timer);
  for (const { name, failure } of answers)
    if (failure !== null && 'held' in failure) {
      const kind = failure.kind === 'conflict_size' ? 'rollback' : 'fork';
      return { kind, reason: describeConflict(name, failure) };
    }
  if (isClean || answers.some(({ failure }) => failure === null)) return null;
  const { origin, size } = own.checkpoint;
  const reason = `after an unclean stop no anchor said within ${timeoutMs} ms what it holds of ${origin}, signed to size ${size}`;
  return { kind: 'unconfirmed', reason };
}

interface Question {
  readonly own: Publication;
  readonly had: bigint;
  readonly logKeys: readonly NoteVerifier[];
}

/** Null: it holds nothing that contradicts. */
async function askOne(
  { newest }: Anchor,
  { own, had, logKeys }: Question,
  signal: AbortSignal,
): Promise<AnchorFailure | null> {
  if (newest === null) return null;
  // A mount that hangs hears of no signal.
  const late = new Promise<Result<never, AnchorFailure>>((settle) =>
    signal.addEventListener('abort', () =>
      settle(err({ kind: 'unreachable', message: 'no answer in time' })),
    ),
  );
  try {
    const held = await Promise.race([newest(own, signal), late]);
    if (!held.ok) return held.error;
    const compared = await compareHeld(held.value, own, logKeys);
    if (!compared.ok) return compared.error;
    const holds = held.value?.size ?? 0n;
    if (holds >= had) return null;
    // A share that is not mounted, a table that was emptied.
    return { kind: 'refused', message: `it holds size ${holds}, and has had size ${had}` };
  } catch (error) {
    // Our own tree cannot be read: the stage will say so, and here nothing is known.
    return { kind: 'unreachable', message: messageOf(error) };
  }
}
