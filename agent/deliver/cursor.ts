/**
 * The cursor of a sink: which record it gets next, in a small file replaced as a whole. It moves
 * only over records that are confirmed or dead letters, and may lag behind them: a sink takes a
 * record twice without harm. Damage is never guessed around, since a wrong cursor skips events.
 */
import { basename, join } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { createLedgerReader } from '../../ledger/reader.ts';
import { isChainHash, type ChainHash } from '../../schemas/brand.ts';
import { codeOf, err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import type { SinkMark } from '../ports.ts';
import type { Timing } from './timing.ts';

export interface Cursor {
  /** Number of the next record; everything before it is confirmed or a dead letter. */
  readonly next: number;
  /** `this_hash` of the record before it: a cursor belongs to one ledger. Null at 0. */
  readonly last_hash: ChainHash | null;
  /** Where the sink itself was at this point, when it is one that needs it. */
  readonly mark: SinkMark | null;
  /** True: the rewritten dead-letter file holds what counts, and only its renaming is due. */
  readonly dead_letters_rewritten: boolean;
}

export interface CursorError {
  /** damaged: no cursor file. ahead, foreign: of another ledger than this one. */
  readonly kind: 'damaged' | 'ahead' | 'foreign' | 'io';
  /** Names the file and what to do. */
  readonly message: string;
}

const VERSION = 1;
/** Under load a cursor is written this often; then and after the last move. */
const SAVE_INTERVAL_MS = 250;

/** Where a new sink begins. */
export const FIRST_CURSOR: Cursor = {
  next: 0,
  last_hash: null,
  mark: null,
  dead_letters_rewritten: false,
};

/** Name of a sink's file, without its extension. */
export function fileNameOf(sink: string): string {
  return sink.replaceAll('/', '_');
}

/** Path of a sink's cursor below the data directory. */
export function cursorPath(dataDir: string, sink: string): string {
  return join(dataDir, 'cursors', `${fileNameOf(sink)}.json`);
}

/** Reads a cursor; null where there is none: a new sink, which gets the ledger from its start. */
export async function loadCursor(
  filesystem: Filesystem,
  path: string,
): Promise<Result<Cursor | null, CursorError>> {
  let text: string;
  try {
    text = (await filesystem.readFile(path)).toString('utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ok(null);
    return err({ kind: 'io', message: `cannot read ${path}: ${messageOf(error)}` });
  }
  const cursor = parseCursor(text);
  if (cursor !== null) return ok(cursor);
  return err({ kind: 'damaged', message: `${path} is damaged; ${remedy(path)}` });
}

/** Writes a cursor; durable when it resolves. Rejects with the system's error. */
export function saveCursor(filesystem: Filesystem, path: string, cursor: Cursor): Promise<void> {
  return filesystem.replace(path, JSON.stringify({ version: VERSION, ...cursor }) + '\n');
}

/** Checks that the cursor belongs to this ledger, which holds `durable` records. */
export async function checkCursor(
  cursor: Cursor,
  path: string,
  ledger: { readonly dir: string; readonly filesystem: Filesystem; readonly durable: number },
): Promise<CursorError | null> {
  const { next, last_hash } = cursor;
  if (next > ledger.durable) {
    const message = `${path} stands at record ${next}, but the ledger ends before record ${ledger.durable}: an older ledger was put in place; ${remedy(path)}`;
    return { kind: 'ahead', message };
  }
  if (next === 0) return null;
  const reader = createLedgerReader({ ...ledger, from: next - 1 });
  const read = await reader.read({ recordsMax: 1, bytesMax: 1, upTo: next });
  await reader.close();
  // The record before the cursor may be gone with its segment; then there is nothing to compare.
  if (!read.ok || read.value[0]?.this_hash === last_hash) return null;
  const message = `${path} was written beside another ledger: record ${next - 1} is not the one it remembers; ${remedy(path)}`;
  return { kind: 'foreign', message };
}

function remedy(path: string): string {
  return `put the right file back, or remove ${basename(path)} and restart: the sink then gets the ledger again from its first record (a database and Elasticsearch tell repeated records, a file does not: move it away first)`;
}

function parseCursor(text: string): Cursor | null {
  const value = readJson(text);
  if (typeof value !== 'object' || value === null) return null;
  const { version, next, last_hash, mark, dead_letters_rewritten } = value as Record<
    string,
    unknown
  >;
  if (version !== VERSION || typeof next !== 'number') return null;
  if (!Number.isSafeInteger(next) || next < 0) return null;
  const hash = isChainHash(last_hash) ? last_hash : null;
  if ((hash === null) !== (next === 0)) return null;
  if (typeof dead_letters_rewritten !== 'boolean' || !isMark(mark)) return null;
  return { next, last_hash: hash, mark, dead_letters_rewritten };
}

function isMark(value: unknown): value is SinkMark | null {
  if (typeof value !== 'object') return false;
  return value === null || Object.values(value).every((one) => Number.isSafeInteger(one));
}

/** Whether two marks are of one place. */
export function isSameMark(one: SinkMark | null, other: SinkMark | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

export interface CursorKeeper {
  current(): Cursor;
  /** Moves at once; on disk within the interval. */
  move(cursor: Cursor): void;
  /** Resolves once the current cursor is on disk; false when the disk does not take it. */
  save(): Promise<boolean>;
  /** Saves no more by itself. */
  stop(): void;
}

/** Keeps a cursor in its file. `onFailed` hears of a failed write; the next one is tried anyway. */
export function createCursorKeeper(options: {
  readonly path: string;
  readonly filesystem: Filesystem;
  readonly timing: Timing;
  readonly cursor: Cursor;
  readonly onFailed: (reason: string) => void;
}): CursorKeeper {
  const { path, filesystem, timing } = options;
  let current = options.cursor;
  let saved: Cursor | null = null;
  let writing: Promise<boolean> = Promise.resolve(true);
  let cancelTimer: (() => void) | null = null;

  async function write(): Promise<boolean> {
    if (saved === current) return true;
    const writes = current;
    try {
      await saveCursor(filesystem, path, writes);
      saved = writes;
      return true;
    } catch (error) {
      // Which of the two is in the file now is unknown.
      saved = null;
      options.onFailed(`cannot write ${path}: ${messageOf(error)}`);
      return false;
    }
  }

  function save(): Promise<boolean> {
    writing = writing.then(write);
    return writing;
  }

  function saveSoon(): void {
    cancelTimer ??= timing.after(SAVE_INTERVAL_MS, () => {
      cancelTimer = null;
      void save().then((isSaved) => {
        if (!isSaved) saveSoon();
      });
    });
  }

  return {
    current: () => current,
    save,
    move: (cursor) => {
      current = cursor;
      saveSoon();
    },
    stop: () => {
      cancelTimer?.();
      cancelTimer = () => undefined;
    },
  };
}
