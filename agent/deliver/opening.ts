/** What a loop finds on disk when it begins: its cursor, checked against the ledger, and its dead letters. */
import type { Filesystem } from '../../ledger/filesystem.ts';
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
  const cursor = loaded.value ?? FIRST_CURSOR;
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
