/**
 * Reads the signed checkpoints of an agent's data directory by log, for whoever carries them elsewhere. Each
 * line of the journal is {"head":…,"note":…}; an unfinished last one was published to nobody.
 */
import { join } from 'node:path';
import { codeOf } from '../schemas/result.ts';
import { readJson } from '../schemas/untrusted-json.ts';
import { parseCheckpoint } from './checkpoint.ts';
import type { Filesystem } from './filesystem.ts';
import { parseNote } from './note.ts';

export interface SignedNote {
  readonly size: bigint;
  readonly note: string;
}

/** Notes by origin, in the order in which they were signed. */
export type SignedNotes = ReadonlyMap<string, readonly SignedNote[]>;

/** Reads those of the origins that `isWanted`; null where nothing was ever signed. Rejects with the system's error. */
export async function readSignedNotes(
  filesystem: Filesystem,
  dataDir: string,
  isWanted: (origin: string) => boolean,
): Promise<SignedNotes | null> {
  let text: string;
  try {
    text = (await filesystem.readFile(join(dataDir, 'checkpoints', 'journal.ndjson'))).toString();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  const notes = new Map<string, SignedNote[]>();
  for (const line of text.split('\n').slice(0, -1)) {
    const value = readJson(line);
    const note = typeof value === 'object' && value !== null && 'note' in value ? value.note : null;
    if (typeof note !== 'string' || !isWanted(note.slice(0, note.indexOf('\n')))) continue;
    const parsed = parseNote(note);
    const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
    if (checkpoint === null) continue;
    const { origin, size } = checkpoint;
    const known = notes.get(origin) ?? [];
    notes.set(origin, known);
    known.push({ size, note });
  }
  return notes;
}

/** The first note under which all records below `size` are; null where there is none yet. */
export function findCover(notes: readonly SignedNote[] | undefined, size: bigint): string | null {
  return notes?.find((one) => one.size >= size)?.note ?? null;
}
