/** A second PostgreSQL as an anchor (store/anchors.ts): it keeps the first note of each size, and checks nothing. */
import { parseCheckpoint } from '../../../ledger/checkpoint.ts';
import { EMPTY_ROOT, isSameHash } from '../../../ledger/merkle/hash.ts';
import { parseNote } from '../../../ledger/note.ts';
import type { PostgresqlAnchorConfig } from '../../../schemas/anchor-config.ts';
import { codeOf, err, messageOf, ok, type Result } from '../../../schemas/result.ts';
import { createAnchorTable } from '../../../store/anchors.ts';
import type { Anchor, AnchorFailure, HeldCheckpoint } from './anchor.ts';

/** Rights and names: the operator's to mend. */
const REFUSALS = /^(28|3D|3F|42|P0001)/;

/** Creates the anchor of a database; connects with the first call, and anew after a failure. */
export function createPostgresqlAnchor(
  config: PostgresqlAnchorConfig,
  { timeoutMs, nowMs }: { readonly timeoutMs: number; readonly nowMs: () => number },
): Anchor {
  const { url, tls } = config;
  const name = `postgresql/${config.name}`;
  const table = createAnchorTable({ url, timeoutMs, ...(tls === undefined ? {} : { tls }) });

  async function ask<T>(
    signal: AbortSignal,
    question: () => Promise<T>,
  ): Promise<Result<T, AnchorFailure>> {
    const hangUp = (): void => table.close();
    signal.addEventListener('abort', hangUp, { once: true });
    try {
      return ok(await question());
    } catch (error) {
      table.close();
      const code = codeOf(error);
      const message = signal.aborted ? 'no answer in time' : messageOf(error);
      return err({ kind: REFUSALS.test(code) ? 'refused' : 'unreachable', message });
    } finally {
      signal.removeEventListener('abort', hangUp);
    }
  }

  return {
    name,
    publish: async ({ checkpoint: { origin, size, root }, note }, signal) => {
      const stored = await ask(signal, () => table.insert(origin, size, note));
      if (!stored.ok) return stored;
      const held = heldOf(size, stored.value);
      if (held.root === null || !isSameHash(held.root, root))
        return err({ kind: 'conflict_root', message: 'it holds another root', held });
      const time = new Date(nowMs()).toISOString();
      const place = `sealtrail_anchor.checkpoints of ${new URL(url).host}`;
      return ok({ kind: 'copy', anchor: name, time, place });
    },
    newest: async ({ checkpoint: { origin } }, signal) => {
      const found = await ask(signal, () => table.newest(origin));
      if (!found.ok || found.value === null) return found.ok ? ok(null) : found;
      return ok(heldOf(found.value.size, found.value.note));
    },
    close: () => {
      table.close();
      return Promise.resolve();
    },
  };
}

/** A row whose note is none has a root that is nobody's: it is compared, and refused as not signed. */
function heldOf(size: bigint, note: string): HeldCheckpoint {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  return { size, root: checkpoint?.root ?? EMPTY_ROOT, note };
}
