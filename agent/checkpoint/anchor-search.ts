/**
 * Looks through the entries of an anchor log for one stream. The file grows by a line for each stream that has grown,
 * each minute, for years: it is read block by block, and nothing of it is kept but what was looked for.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { readLines } from '../../ledger/lines.ts';
import { parseAnchorEntry } from './anchor-log.ts';

export interface EntryQuestion {
  readonly stream: string;
  /** The record that the entry's checkpoint must cover. */
  readonly seq: bigint;
  /** Entries of the log that are signed. */
  readonly size: bigint;
}

export interface FoundEntry {
  readonly index: bigint;
  /** The stream's checkpoint. */
  readonly note: string;
  /** The heartbeat of its round; index -1 where there is none before it. */
  readonly beat: { readonly index: bigint; readonly leaf: string };
}

interface ReadEntry {
  readonly index: bigint;
  readonly bytes: Buffer;
}

/** The first entry that covers the record; null: none. */
export async function findFirst(
  filesystem: Filesystem,
  path: string,
  question: EntryQuestion,
): Promise<FoundEntry | null> {
  for await (const found of covering(filesystem, path, question)) return found;
  return null;
}

/** The last one. */
export async function findLast(
  filesystem: Filesystem,
  path: string,
  question: EntryQuestion,
): Promise<FoundEntry | null> {
  let last: FoundEntry | null = null;
  for await (const found of covering(filesystem, path, question)) last = found;
  return last;
}

/** The first heartbeat behind an entry, among the first `size` entries; null: none. */
export async function findBeatBehind(
  filesystem: Filesystem,
  path: string,
  { index: behind, size }: { readonly index: bigint; readonly size: bigint },
): Promise<FoundEntry['beat'] | null> {
  for await (const { index, bytes } of entriesOf(filesystem, path, size)) {
    if (index <= behind || bytes.includes('"note":')) continue;
    return { index, leaf: parseAnchorEntry(bytes.toString('utf8'))?.leaf ?? '' };
  }
  return null;
}

/** Leaves [from, to), of those that are whole. */
export async function readLeaves(
  filesystem: Filesystem,
  path: string,
  { from, to }: { readonly from: bigint; readonly to: bigint },
): Promise<readonly string[]> {
  const leaves: string[] = [];
  for await (const { index, bytes } of entriesOf(filesystem, path, to))
    if (index >= from) leaves.push(parseAnchorEntry(bytes.toString('utf8'))?.leaf ?? '');
  return leaves;
}

async function* covering(
  filesystem: Filesystem,
  path: string,
  { stream, seq, size }: EntryQuestion,
): AsyncGenerator<FoundEntry, void> {
  // As JSON has it: only lines that hold it are parsed.
  const named = JSON.stringify(`${stream}\n`).slice(1, -1);
  let beat: ReadEntry | null = null;
  for await (const entry of entriesOf(filesystem, path, size)) {
    if (!entry.bytes.includes('"note":')) beat = { ...entry, bytes: Buffer.from(entry.bytes) };
    if (!entry.bytes.includes(named)) continue;
    const note = parseAnchorEntry(entry.bytes.toString('utf8'))?.note;
    if (note?.startsWith(`${stream}\n`) !== true || BigInt(note.split('\n')[1] ?? '0') <= seq)
      continue;
    const leaf = beat === null ? '' : (parseAnchorEntry(beat.bytes.toString('utf8'))?.leaf ?? '');
    yield { index: entry.index, note, beat: { index: beat?.index ?? -1n, leaf } };
  }
}

/** An entry is a line and a leaf: its number is its index. */
async function* entriesOf(
  filesystem: Filesystem,
  path: string,
  size: bigint,
): AsyncGenerator<ReadEntry, void> {
  const file = await filesystem.openRead(path);
  try {
    let index = 0n;
    for await (const lines of readLines(file, 0, await file.size()))
      for (const { bytes, whole } of lines) {
        if (!whole || index >= size) return;
        yield { index, bytes };
        index += 1n;
      }
  } finally {
    await file.close();
  }
}
