/**
 * An object store as an anchor (store/archive/anchor-objects.ts): a locked object a checkpoint, under an
 * administrator who cannot delete it either. It keeps the first note of each size, and checks nothing.
 */
import { parseCheckpoint } from '../../../ledger/checkpoint.ts';
import { EMPTY_ROOT, isSameHash } from '../../../ledger/merkle/hash.ts';
import { parseNote } from '../../../ledger/note.ts';
import type { ObjectAnchorConfig } from '../../../schemas/anchor-config.ts';
import { err, ok, type Result } from '../../../schemas/result.ts';
import { createAnchorObjects, type AnchoredNote } from '../../../store/archive/anchor-objects.ts';
import { ArchiveError, createArchiveClient } from '../../../store/archive/client.ts';
import { requireObjectLock } from '../../../store/archive/objects.ts';
import type { Anchor, AnchorFailure, HeldCheckpoint } from './anchor.ts';

/** Creates the anchor of a bucket; loads the client and connects with the first call. */
export function createObjectAnchor(
  config: ObjectAnchorConfig,
  { timeoutMs, nowMs }: { readonly timeoutMs: number; readonly nowMs: () => number },
): Anchor {
  const name = `object/${config.name}`;
  let current = new AbortController().signal;
  const client = createArchiveClient(config, { timeoutMs, signal: () => current });
  const objects = createAnchorObjects(client, config, nowMs);
  let isChecked = false;

  async function ask<T>(
    signal: AbortSignal,
    question: () => Promise<T>,
  ): Promise<Result<T, AnchorFailure>> {
    current = signal;
    try {
      return ok(await question());
    } catch (error) {
      if (!(error instanceof ArchiveError)) throw error;
      const { status, code, message } = error;
      if (signal.aborted) return err({ kind: 'unreachable', message: 'no answer in time' });
      const isRefusal = code === 'NotLocked' || (status >= 400 && status < 500 && status !== 429);
      return err({ kind: isRefusal ? 'refused' : 'unreachable', message });
    }
  }

  return {
    name,
    publish: async ({ checkpoint: { origin, size, root }, note }, signal) => {
      const stored = await ask(signal, async () => {
        if (!isChecked) await requireObjectLock(client);
        isChecked = true;
        return objects.insert(origin, size, note);
      });
      if (!stored.ok) return stored;
      const held = heldOf(stored.value);
      if (held.root === null || !isSameHash(held.root, root))
        return err({ kind: 'conflict_root', message: 'it holds another root', held });
      const time = new Date(nowMs()).toISOString();
      return ok({ kind: 'copy', anchor: name, time, place: stored.value.place });
    },
    newest: async ({ checkpoint: { origin, size } }, signal) => {
      const found = await ask(signal, () => objects.newest(origin, size));
      if (!found.ok) return found;
      return ok(found.value === null ? null : heldOf(found.value));
    },
    close: () => {
      client.close();
      return Promise.resolve();
    },
  };
}

/** What is no note has a root that is nobody's: it is compared, and refused as not signed. */
function heldOf({ size, note }: AnchoredNote): HeldCheckpoint {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  return { size, root: checkpoint?.root ?? EMPTY_ROOT, note };
}
