/**
 * Cursors after a rollback of the ledger (agent/append/continuity.ts): a sink that is ahead of it has
 * confirmed all that is left, so it goes on with what comes next. What it holds of records that the
 * ledger lost stays there: a file is gone on with at its end, and dead letters are set aside.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { codeOf, messageOf } from '../../schemas/result.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import type { Logger } from '../ports.ts';
import { cursorPath, loadCursor, saveCursor } from './cursor.ts';
import { parseLetter } from './dead-letter-line.ts';
import { deadLetterPath } from './dead-letters.ts';

export interface RebaseOptions {
  readonly dataDir: string;
  readonly sinks: readonly string[];
  readonly filesystem: Filesystem;
  /** Where the ledger ended when it was opened, and `this_hash` of the record before that. */
  readonly records: number;
  readonly lastHash: ChainHash | null;
  readonly log: Logger;
}

/** Brings the cursors of all sinks in line. One that cannot be written stays, and stops its sink. */
export async function rebaseCursors(options: RebaseOptions): Promise<void> {
  for (const sink of options.sinks) {
    try {
      await rebase(options, sink);
    } catch (error) {
      options.log.error({ sink, error: messageOf(error) }, 'the cursor cannot follow the rollback');
    }
  }
}

async function rebase(
  { dataDir, filesystem, records, lastHash, log }: RebaseOptions,
  sink: string,
): Promise<void> {
  const path = cursorPath(dataDir, sink);
  const loaded = await loadCursor(filesystem, path);
  // A damaged cursor is no matter of the rollback.
  if (!loaded.ok || loaded.value === null) return;
  const cursor = loaded.value;
  const isAhead = cursor.next > records;
  if (!isAhead && cursor.mark === null) return;
  if (isAhead) await setLettersAside(filesystem, deadLetterPath(dataDir, sink), records, log);
  const moved = isAhead ? { next: records, last_hash: lastHash } : {};
  await saveCursor(filesystem, path, { ...cursor, ...moved, mark: null });
  log.warn({ sink, cursor: isAhead ? records : cursor.next }, 'the cursor follows the rollback');
}

/** Their numbers will be those of other records. */
async function setLettersAside(
  filesystem: Filesystem,
  path: string,
  records: number,
  log: Logger,
): Promise<void> {
  let text: string;
  try {
    text = (await filesystem.readFile(path)).toString('utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  const numbers = text.split('\n').map((line) => parseLetter(line)?.letter.number ?? -1);
  if (numbers.every((number) => number < records)) return;
  const aside = `${path}.before-rollback-at-${records}`;
  await filesystem.rename(path, aside);
  log.warn({ path: aside }, 'dead letters of records that the ledger lost were set aside');
}
