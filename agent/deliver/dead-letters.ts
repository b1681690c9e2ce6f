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
  /**
   * Whether a record from the cursor on has been set aside: before a crash that the cursor lags behind,
   * or out of a batch that was given back.
   */
  holds(number: number): boolean;
  /** The cursor stands here: records before it do not come again. */
  pass(next: number): void;
  /** Appends; on disk when it is ok. */
  add(letters: readonly KeptLetter[]): Promise<Result<void, string>>;
  /** The oldest `limit` ones. */
  list(limit: number): Promise<readonly DeadLetter[]>;
  /** All of them, oldest first, in batches of one read. */
  read(): AsyncGenerator<readonly KeptLetter[], void>;
  /** Begins the file that takes this one's place. Nothing may be added until it has or is dropped. */
  rewrite(): Promise<Rewrite>;
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

interface Extent {
  readonly count: number;
  /** End of the last whole line. */
  readonly bytes: number;
}

/** Opens the queue; the error names a damaged file. */
export async function openDeadLetters(
  options: DeadLettersOptions,
): Promise<Result<DeadLetters, string>> {
  const { path, filesystem } = options;
  try {
    await settleRewrite(options);
    const ahead = new Set<number>();
    const extent = (await filesystem.exists(path))
      ? await examine(filesystem, path, ({ number }) => {
          if (number >= options.from) ahead.add(number);
        })
      : { count: 0, bytes: 0 };
    return ok(createDeadLetters(options, extent, ahead));
  } catch (error) {
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

/**
 * Reads a file once. A bad end is an append cut short; rejects when a good line follows a bad one,
 * and with the system's error.
 */
async function examine(
  filesystem: Filesystem,
  path: string,
  onLetter: (letter: DeadLetter) => void,
): Promise<Extent> {
  let isBad = false;
  let count = 0;
  let end = 0;
  await using file = await openSource(filesystem, path);
  for await (const lines of readLines(file, 0, await file.size())) {
    for (const { bytes, start, whole } of lines) {
      const kept = whole ? parseLetter(bytes.toString('utf8')) : null;
      if (kept === null) isBad = true;
      else if (isBad) throw new Error(`damaged behind byte ${end}; move it away and restart`);
      else {
        count += 1;
        end = start + bytes.length + 1;
        onLetter(kept.letter);
      }
    }
  }
  return { count, bytes: end };
}

async function openSource(
  filesystem: Filesystem,
  path: string,
): Promise<LedgerFile & AsyncDisposable> {
  const file = await filesystem.openRead(path);
  return { ...file, [Symbol.asyncDispose]: () => file.close() };
}

function createDeadLetters(
  { path, filesystem }: DeadLettersOptions,
  found: Extent,
  ahead: Set<number>,
): DeadLetters {
  let extent = found;

  /** Cuts off what an append left that failed. A file that somebody took away is begun anew. */
  async function repair(file: LedgerFile): Promise<void> {
    const size = await file.size();
    if (size < extent.bytes) extent = await examine(filesystem, path, () => undefined);
    if (size > extent.bytes) await file.truncate(extent.bytes);
  }

  async function add(letters: readonly KeptLetter[]): Promise<Result<void, string>> {
    const text = Buffer.from(letters.map(formatLetter).join(''));
    try {
      // Opened each time: letters are rare, and the name must be the one that an operator sees.
      const file = await openForAppend(filesystem, path);
      try {
        await repair(file);
        await file.append(text);
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      return err(`cannot write ${path}: ${messageOf(error)}`);
    }
    extent = { count: extent.count + letters.length, bytes: extent.bytes + text.length };
    for (const { letter } of letters) ahead.add(letter.number);
    return ok(undefined);
  }

  async function* read(): AsyncGenerator<readonly KeptLetter[], void> {
    if (extent.count === 0 || !(await filesystem.exists(path))) return;
    await using file = await openSource(filesystem, path);
    for await (const lines of readLines(file, 0, extent.bytes)) {
      yield lines.flatMap((line) => parseLetter(line.bytes.toString('utf8')) ?? []);
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
    let kept: Extent = { count: 0, bytes: 0 };
    return {
      keep: async (letters) => {
        const text = Buffer.from(letters.map(formatLetter).join(''));
        await next.append(text);
        kept = { count: kept.count + letters.length, bytes: kept.bytes + text.length };
      },
      finish: () => next.sync(),
      replace: async () => {
        await next.close();
        await filesystem.rename(at, path);
        await filesystem.syncDir(dirname(path));
        extent = kept;
      },
      drop: async () => {
        await next.close();
        await filesystem.remove(at);
      },
    };
  }

  return {
    count: () => extent.count,
    holds: (number) => ahead.has(number),
    pass: (next) => {
      for (const number of ahead) if (number < next) ahead.delete(number);
    },
    add,
    list,
    read,
    rewrite,
  };
}
