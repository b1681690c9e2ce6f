/**
 * The dead-letter queue of one sink: a file of NDJSON that grows by appends, each on disk before the
 * cursor moves past its record. Sending letters again writes a second file with those that stay,
 * which then takes the place of the first.
 */
import { dirname, join } from 'node:path';
import type { Filesystem, LedgerFile } from '../../ledger/filesystem.ts';
import { readLines } from '../../ledger/lines.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import type { DeadLetter } from '../ports.ts';
import { openForAppend } from './appending.ts';
import { fileNameOf } from './cursor.ts';
import { formatLetter, parseLetter, type KeptLetter } from './dead-letter-line.ts';

export interface DeadLetters {
  count(): number;
  /** Whether a record from the cursor on was set aside before the crash that the cursor lags behind. */
  holds(number: number): boolean;
  /** Appends; on disk when it is ok. */
  add(letters: readonly KeptLetter[]): Promise<Result<void, string>>;
  /** The oldest `limit` ones. */
  list(limit: number): Promise<readonly DeadLetter[]>;
  /** All of them, oldest first, in batches of one read. */
  read(): AsyncGenerator<readonly KeptLetter[], void>;
  /** Begins the file that takes this one's place. Nothing may be added until it has or is dropped. */
  rewrite(): Promise<Rewrite>;
  close(): Promise<void>;
}

export interface Rewrite {
  keep(letters: readonly KeptLetter[]): Promise<void>;
  /** Makes what was kept durable, under a name of its own. */
  finish(): Promise<void>;
  /** Puts it in the place of the old file. */
  replace(): Promise<void>;
  drop(): Promise<void>;
}

export interface DeadLettersOptions {
  readonly path: string;
  readonly filesystem: Filesystem;
  /** The cursor: records from here on come a second time. */
  readonly from: number;
  /** The cursor says that a rewritten file is whole; otherwise one that lies there is dropped. */
  readonly isRewritten: boolean;
}

/** Path of a sink's dead-letter file below the data directory. */
export function deadLetterPath(dataDir: string, sink: string): string {
  return join(dataDir, 'dead-letter', `${fileNameOf(sink)}.ndjson`);
}

/** What opening a file learns of it. */
interface Found {
  count: number;
  /** End of its last whole line. */
  bytes: number;
  /** Records at or beyond the cursor that are in it. */
  readonly ahead: Set<number>;
}

/** Opens the queue; the error names a damaged file. */
export async function openDeadLetters(
  options: DeadLettersOptions,
): Promise<Result<DeadLetters, string>> {
  const { path, filesystem } = options;
  let file: LedgerFile | null = null;
  try {
    await settleRewrite(options);
    file = (await filesystem.exists(path)) ? await filesystem.open(path) : null;
    const found: Found = { count: 0, bytes: 0, ahead: new Set() };
    if (file === null || (await examine(file, options.from, found)))
      return ok(createDeadLetters(options, file, found));
    await file.close();
    return err(`${path} is damaged behind byte ${found.bytes}; move it away and restart`);
  } catch (error) {
    await file?.close();
    return err(`cannot open ${path}: ${messageOf(error)}`);
  }
}

/** Ends a rewrite that a crash cut short: forwards when the cursor counts on it, else back. */
async function settleRewrite({ path, filesystem, isRewritten }: DeadLettersOptions): Promise<void> {
  const rewritten = rewrittenPath(path);
  if (!(await filesystem.exists(rewritten))) return;
  if (isRewritten) await filesystem.rename(rewritten, path);
  else await filesystem.remove(rewritten);
  await filesystem.syncDir(dirname(path));
}

function rewrittenPath(path: string): string {
  return `${path}.rewrite`;
}

/** Reads the file once; false when a good line follows a bad one. A bad end is an append cut short. */
async function examine(file: LedgerFile, from: number, found: Found): Promise<boolean> {
  let isBad = false;
  for await (const lines of readLines(file, 0, await file.size())) {
    for (const { bytes, start, whole } of lines) {
      const kept = whole ? parseLetter(bytes.toString('utf8')) : null;
      if (kept === null) isBad = true;
      else if (isBad) return false;
      else {
        found.count += 1;
        found.bytes = start + bytes.length + 1;
        if (kept.letter.number >= from) found.ahead.add(kept.letter.number);
      }
    }
  }
  return true;
}

function createDeadLetters(
  { path, filesystem }: DeadLettersOptions,
  opened: LedgerFile | null,
  found: Found,
): DeadLetters {
  let file = opened;
  let { count, bytes } = found;
  const { ahead } = found;

  async function reopen(): Promise<LedgerFile> {
    file ??= await openForAppend(filesystem, path);
    // Whatever an append left that was cut short, or never reached the disk.
    if ((await file.size()) > bytes) await file.truncate(bytes);
    return file;
  }

  async function add(letters: readonly KeptLetter[]): Promise<Result<void, string>> {
    const text = Buffer.from(letters.map(formatLetter).join(''));
    try {
      const target = await reopen();
      await target.append(text);
      await target.datasync();
    } catch (error) {
      // After a failed fsync this handle is not to be trusted again.
      await close();
      return err(`cannot write ${path}: ${messageOf(error)}`);
    }
    bytes += text.length;
    count += letters.length;
    return ok(undefined);
  }

  async function* read(): AsyncGenerator<readonly KeptLetter[], void> {
    if (count === 0) return;
    const source = await filesystem.openRead(path);
    try {
      for await (const lines of readLines(source, 0, bytes)) {
        yield lines.flatMap((line) => parseLetter(line.bytes.toString('utf8')) ?? []);
      }
    } finally {
      await source.close();
    }
  }

  async function list(limit: number): Promise<readonly DeadLetter[]> {
    const letters: DeadLetter[] = [];
    if (limit <= 0) return letters;
    for await (const kept of read()) {
      letters.push(...kept.map(({ letter }) => letter));
      if (letters.length >= limit) break;
    }
    return letters.slice(0, limit);
  }

  async function rewrite(): Promise<Rewrite> {
    const at = rewrittenPath(path);
    await filesystem.remove(at);
    const next = await openForAppend(filesystem, at);
    let keptCount = 0;
    let keptBytes = 0;
    return {
      keep: async (letters) => {
        const text = Buffer.from(letters.map(formatLetter).join(''));
        await next.append(text);
        keptCount += letters.length;
        keptBytes += text.length;
      },
      finish: () => next.sync(),
      replace: async () => {
        await filesystem.rename(at, path);
        await filesystem.syncDir(dirname(path));
        await close();
        file = next;
        count = keptCount;
        bytes = keptBytes;
      },
      drop: async () => {
        await next.close();
        await filesystem.remove(at);
      },
    };
  }

  async function close(): Promise<void> {
    const open = file;
    file = null;
    await open?.close();
  }

  return {
    count: () => count,
    holds: (number) => ahead.has(number),
    add,
    list,
    read,
    rewrite,
    close,
  };
}
