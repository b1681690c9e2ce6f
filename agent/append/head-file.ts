/**
 * The head file: how far the ledger has come, kept outside the data directory, so that a start can
 * tell when the directory was put back to an older copy (continuity.ts). It follows the ledger by a
 * second at most and never leads it: only what is durable is written there.
 */
import { dirname } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import type { LedgerState } from '../../ledger/state.ts';
import { codeOf, err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import type { Logger } from '../ports.ts';
import type { Witness, WitnessedHead } from './continuity.ts';

const VERSION = 1;
const INTERVAL_MS = 1_000;

/** Reads a head file; null where there is none yet. */
export async function readHeadFile(
  filesystem: Filesystem,
  path: string,
): Promise<Result<Witness | null, string>> {
  try {
    const witness = parseHeads((await filesystem.readFile(path)).toString('utf8'));
    return witness === null
      ? err(`${path} is damaged; remove it to go on without it`)
      : ok(witness);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return ok(null);
    return err(`cannot read ${path}: ${messageOf(error)}`);
  }
}

function parseHeads(text: string): Witness | null {
  const value = readJson(text);
  if (typeof value !== 'object' || value === null) return null;
  const { version, records, incarnation, heads } = value as Record<string, unknown>;
  if (version !== VERSION || typeof records !== 'number' || typeof incarnation !== 'string')
    return null;
  if (!Array.isArray(heads) || !heads.every(isHead)) return null;
  return { source: 'ledger.head_file', records, incarnation, heads };
}

function isHead(value: unknown): value is WitnessedHead {
  if (typeof value !== 'object' || value === null) return false;
  const { stream, next_seq, head_hash } = value as Record<string, unknown>;
  return (
    typeof stream === 'string' && Number.isSafeInteger(next_seq) && typeof head_hash === 'string'
  );
}

export interface HeadKeeper {
  /** After a commit: the state is durable at this moment. */
  note(): void;
  /** Writes what is new, and no more by itself. The state MUST be durable. */
  close(): Promise<void>;
}

export interface HeadKeeperOptions {
  readonly path: string;
  readonly filesystem: Filesystem;
  readonly state: LedgerState;
  readonly incarnation: () => string;
  /** Whether all that the state counts is on disk. */
  readonly isDurable: () => boolean;
  readonly log: Logger;
}

/** Keeps a head file. A file that cannot be written is said, and tried again; it holds up nothing. */
export function createHeadKeeper(options: HeadKeeperOptions): HeadKeeper {
  const { path, filesystem, state, log } = options;
  let timer: NodeJS.Timeout | null = null;
  let isDue = false;
  let isNews = false;
  let isFailing = false;
  let writing: Promise<void> = Promise.resolve();

  function format(): string {
    const heads: WitnessedHead[] = [...state.streams].map(([stream, head]) => ({
      stream,
      next_seq: head.next_seq,
      head_hash: head.head_hash,
    }));
    const { records } = state;
    return JSON.stringify({ version: VERSION, records, incarnation: options.incarnation(), heads });
  }

  async function write(text: string): Promise<void> {
    try {
      await filesystem.makeDir(dirname(path));
      await filesystem.replace(path, `${text}\n`);
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.error({ path, error: messageOf(error) }, 'cannot write ledger.head_file');
      isFailing = true;
      schedule();
    }
  }

  function save(): void {
    isDue = false;
    // The text is that of this moment, whenever its turn comes.
    const text = format();
    writing = writing.then(() => write(text));
  }

  function schedule(): void {
    timer ??= setTimeout(() => {
      timer = null;
      // In the middle of a commit the state leads the disk: the commit's end calls note().
      if (options.isDurable()) save();
      else isDue = true;
    }, INTERVAL_MS).unref();
  }

  return {
    note: () => {
      isNews = true;
      if (isDue) save();
      else schedule();
    },
    close: async () => {
      if (timer !== null) clearTimeout(timer);
      // From here on a failed write is not tried again.
      timer = setTimeout(() => undefined, 0);
      // An incarnation that has recorded nothing is in no ledger: to name it would be a rollback at the next start.
      if (isNews) save();
      await writing;
    },
  };
}
