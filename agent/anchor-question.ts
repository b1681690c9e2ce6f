/** Asks the anchors of a configuration, before the ledger is appended to, whether it is the newest of its line. */
import { join } from 'node:path';
import { formatCheckpoint } from '../ledger/checkpoint.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import { EMPTY_ROOT } from '../ledger/merkle/hash.ts';
import { signNote } from '../ledger/note.ts';
import type { Base } from './base.ts';
import { anchorOrigin, readAnchorTree } from './checkpoint/anchor-log.ts';
import { parseKeys } from './checkpoint/anchors/begin.ts';
import { readGiven } from './checkpoint/anchors/evidence-file.ts';
import { openAnchors } from './checkpoint/anchors/open.ts';
import { publicationOf } from './checkpoint/anchors/publication.ts';
import { compareAtStart } from './checkpoint/anchors/start-comparison.ts';
import { readJournal } from './checkpoint/journal.ts';
import { readPosition } from './checkpoint/position.ts';
import type { LastIncarnation, StartDoubt } from './ports.ts';
import { createSigner } from './signing-key.ts';

/** Null: the log may go on, or there is no anchor with a memory. Rejects with the system's error. */
export async function askAnchors(
  { config, agent, ring, log }: Pick<Base, 'config' | 'agent' | 'ring' | 'log'>,
  { incarnation, isClean }: LastIncarnation,
): Promise<StartDoubt | null> {
  const logKeys = parseKeys(ring.vkeys());
  const opened = await openAnchors(config.anchors, { logKeys, nowMs: Date.now });
  if (!opened.ok) throw new Error(opened.error);
  const anchors = opened.value;
  if (!anchors.some(({ newest }) => newest !== null)) {
    if (anchors.length > 0)
      log.warn(
        { component: 'anchor' },
        'the anchors are time-stamps alone: none can say whether this ledger is the newest, so a rollback or a clone goes unnoticed here',
      );
    return null;
  }

  const dir = join(config.data_dir, 'checkpoints');
  const origin = anchorOrigin(agent.name, incarnation);
  const journal = await readJournal(nodeFilesystem, dir);
  const position = await readPosition(nodeFilesystem, dir);
  const tree = await readAnchorTree({
    dir,
    filesystem: nodeFilesystem,
    incarnation,
    position: position?.anchor ?? null,
  });
  const empty = { origin, size: 0n, root: EMPTY_ROOT };
  const signed = (journal.ok ? journal.value.get(origin) : undefined) ?? {
    ...empty,
    // A folder of checkpoints that was taken away: with nothing signed, whatever anchors hold is more.
    note: await signNote(
      formatCheckpoint(empty),
      ring.signing().map((key) => createSigner(agent.name, key)),
    ),
  };
  const unread = (): Promise<never> => Promise.reject(new Error(tree.ok ? '' : tree.error));
  try {
    return await compareAtStart({
      anchors,
      given: await readGiven(nodeFilesystem, dir, incarnation),
      own: publicationOf(signed, tree.ok ? tree.value : { read: unread }),
      logKeys,
      timeoutMs: config.anchors.start_timeout_ms,
      isClean,
      log,
    });
  } finally {
    await Promise.all(anchors.map((anchor) => anchor.close()));
  }
}
