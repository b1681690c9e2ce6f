/** What a loop finds on disk when it begins: its cursor, checked against the ledger, and its dead letters. */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { listSegments } from '../../ledger/segment.ts';
import { GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { checkCursor, cursorPath, FIRST_CURSOR, loadCursor, type Cursor } from './cursor.ts';
import { deadLetterPath, openDeadLetters, type DeadLetters } from './dead-letters.ts';

export interface Opened {
  readonly cursor: Cursor;
  readonly letters: DeadLetters;
}

/** Opens both; the error says which file is wrong and what to do. Nothing is changed on disk then. */
export async function openSinkFiles(options: {
  readonly sink: string;
  readonly dataDir: string;
  readonly ledgerDir: string;
  readonly filesystem: Filesystem;
  readonly durable: number;
}): Promise<Result<Opened, string>> {
  const { sink, dataDir, filesystem } = options;
  const path = cursorPath(dataDir, sink);
  const loaded = await loadCursor(filesystem, path);
  if (!loaded.ok) return err(loaded.error.message);
  const cursor = loaded.value ?? (await firstCursor(options));
  const wrong = await checkCursor(cursor, path, { ...options, dir: options.ledgerDir });
  if (wrong !== null) return err(wrong.message);
  const letters = await openDeadLetters({
    path: deadLetterPath(dataDir, sink),
    filesystem,
    from: cursor.next,
    isRewritten: cursor.dead_letters_rewritten,
  });
  return letters.ok ? ok({ cursor, letters: letters.value }) : letters;
}

/** A new sink gets the ledger from its first record that is left; earlier ones are in the store of record. */
async function firstCursor(options: {
  readonly ledgerDir: string;
  readonly filesystem: Filesystem;
}): Promise<Cursor> {
  const [next = 0] = listSegments(await options.filesystem.list(options.ledgerDir));
  // The record before it is gone, so that no hash is ever compared with this one.
  return next === 0 ? FIRST_CURSOR : { ...FIRST_CURSOR, next, last_hash: GENESIS_PREV_HASH };
}
