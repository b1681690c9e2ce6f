/**
 * The journal: every checkpoint that the agent has signed since the file was last begun, and before that
 * the newest of each log. A line each, so that a round over any number of streams costs one fdatasync:
 *
 *   {"head":"<this_hash of the last record, or null>","note":"<the signed note>"}\n
 *
 * A torn last line was published to nobody and does not count.
 */
import { join } from 'node:path';
import { parseCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import type { Filesystem, LedgerFile } from '../../ledger/filesystem.ts';
import { parseNote } from '../../ledger/note.ts';
import { isChainHash, type ChainHash } from '../../schemas/brand.ts';
import { codeOf, err, ok, type Result } from '../../schemas/result.ts';
import { readJson } from '../../schemas/untrusted-json.ts';

export interface SignedCheckpoint extends Checkpoint {
  readonly note: string;
  /** `this_hash` of the stream's record before `size`; null in the anchor log. */
  readonly head: ChainHash | null;
}

/** The newest checkpoint of each log, by origin. */
export type NewestCheckpoints = ReadonlyMap<string, SignedCheckpoint>;

export interface Journal {
  readonly newest: NewestCheckpoints;
  /** Appends; durable when it resolves. Rejects with the system's error, and then MUST be opened again. */
  append(signed: readonly SignedCheckpoint[]): Promise<void>;
  close(): Promise<void>;
}

const NAME = 'journal.ndjson';
/** Begun anew at twice the size that the newest checkpoints take, and not before this one. */
const BYTES_MIN = 4 * 1024 * 1024;

/** Reads the newest checkpoints of a folder, empty where there is no journal yet. */
export async function readJournal(
  filesystem: Filesystem,
  dir: string,
): Promise<Result<NewestCheckpoints, string>> {
  const path = join(dir, NAME);
  const newest = new Map<string, SignedCheckpoint>();
  let text: string;
  try {
    text = (await filesystem.readFile(path)).toString('utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ok(newest);
    throw error;
  }
  const lines = text.split('\n');
  lines.pop();
  for (const [at, line] of lines.entries()) {
    const signed = parseLine(line);
    if (signed === null) return err(`${path} is damaged in line ${at + 1}`);
    newest.set(signed.origin, signed);
  }
  return ok(newest);
}

/** Opens the journal of a folder, begun anew with the newest checkpoints. Rejects with the system's error. */
export async function openJournal(
  filesystem: Filesystem,
  dir: string,
): Promise<Result<Journal, string>> {
  const path = join(dir, NAME);
  const read = await readJournal(filesystem, dir);
  if (!read.ok) return read;
  const newest = new Map(read.value);
  let file: LedgerFile | null = null;
  let bytes = 0;
  let bytesMax = 0;

  async function begin(): Promise<void> {
    await file?.close();
    file = null;
    const text = [...newest.values()].map(formatLine).join('');
    await filesystem.replace(path, text);
    file = await filesystem.open(path);
    bytes = Buffer.byteLength(text);
    bytesMax = Math.max(BYTES_MIN, 2 * bytes);
  }

  await begin();
  return ok({
    newest,
    append: async (signed) => {
      if (bytes > bytesMax) await begin();
      const text = Buffer.from(signed.map(formatLine).join(''));
      await file?.append(text);
      await file?.datasync();
      bytes += text.length;
      for (const one of signed) newest.set(one.origin, one);
    },
    close: async () => file?.close(),
  });
}

function formatLine({ head, note }: SignedCheckpoint): string {
  return `${JSON.stringify({ head, note })}\n`;
}

function parseLine(line: string): SignedCheckpoint | null {
  const value = readJson(line);
  if (typeof value !== 'object' || value === null) return null;
  const { head, note } = value as Record<string, unknown>;
  if (typeof note !== 'string' || (head !== null && !isChainHash(head))) return null;
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  return checkpoint === null ? null : { ...checkpoint, note, head };
}
