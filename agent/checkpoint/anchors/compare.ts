/**
 * Compares what an anchor holds with what this agent has signed. Only a witness does that by itself; for those
 * that record, the agent asks before it adds. A claim that would make the agent leave its log is believed where
 * the note carries the agent's own signature: whoever may write into a table must not be able to do that.
 */
import { verifyCheckpoint } from '../../../ledger/checkpoint.ts';
import { isSameHash } from '../../../ledger/merkle/hash.ts';
import type { NoteVerifier } from '../../../ledger/signing.ts';
import { err, ok, type Result } from '../../../schemas/result.ts';
import type { Anchor, AnchorFailure, HeldCheckpoint, Publication } from './anchor.ts';

/** Ok where `own` continues what is held. `logKeys`: the agent's, those that it had before included. */
export async function compareHeld(
  held: HeldCheckpoint | null,
  own: Publication,
  logKeys: readonly NoteVerifier[],
): Promise<Result<void, AnchorFailure>> {
  if (held === null) return ok(undefined);
  const { origin, size } = own.checkpoint;
  const isAhead = held.size > size;
  if (!isAhead && held.root !== null && isSameHash(held.root, await own.rootAt(held.size)))
    return ok(undefined);
  // The size alone says nothing against us.
  if (!isAhead && held.root === null) return ok(undefined);
  if (held.note !== null && !isSignedByUs(held, held.note, origin, logKeys)) {
    const message = `it holds a checkpoint of ${origin}, size ${held.size}, that no key of this agent has signed`;
    return err({ kind: 'refused', message });
  }
  return err(
    isAhead
      ? {
          kind: 'conflict_size',
          message: `it holds size ${held.size} of ${origin}, this agent has signed ${size}`,
          held,
        }
      : {
          kind: 'conflict_root',
          message: `it holds size ${held.size} of ${origin} with another root than this agent has signed`,
          held,
        },
  );
}

/**
 * What a conflict that an anchor states is worth. With a note it must be one of ours that does conflict; without
 * one (a witness that serves none) it is a bare claim, and the caller decides how often that is heard.
 */
async function believe(
  failure: AnchorFailure,
  own: Publication,
  logKeys: readonly NoteVerifier[],
): Promise<AnchorFailure> {
  if (!('held' in failure) || failure.held.note === null) return failure;
  const compared = await compareHeld(failure.held, own, logKeys);
  if (!compared.ok) return compared.error;
  const message = 'it objects to a checkpoint that continues what it holds itself';
  return { kind: 'refused', message };
}

function isSignedByUs(
  { size, root }: HeldCheckpoint,
  note: string,
  origin: string,
  logKeys: readonly NoteVerifier[],
): boolean {
  const verified = verifyCheckpoint(note, { origin, logKeys });
  return (
    verified.ok &&
    verified.value.size === size &&
    root !== null &&
    isSameHash(verified.value.root, root)
  );
}

/** An anchor whose conflicts are believed only where they are proven; one that records only is asked first. */
export function comparing(
  anchor: Anchor,
  logKeys: readonly NoteVerifier[],
  asksFirst: boolean,
): Anchor {
  const { newest } = anchor;
  return {
    ...anchor,
    publish: async (publication, signal) => {
      if (asksFirst && newest !== null) {
        const held = await newest(publication, signal);
        if (!held.ok) return held;
        const compared = await compareHeld(held.value, publication, logKeys);
        if (!compared.ok) return compared;
      }
      const published = await anchor.publish(publication, signal);
      return published.ok ? published : err(await believe(published.error, publication, logKeys));
    },
    newest:
      newest &&
      (async (own, signal) => {
        const held = await newest(own, signal);
        return held.ok ? held : err(await believe(held.error, own, logKeys));
      }),
  };
}
