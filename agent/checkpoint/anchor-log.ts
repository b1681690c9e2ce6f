/**
 * The anchor log: one tree per agent and incarnation over the checkpoints of its streams, blinded
 * (ledger/anchor-leaf.ts). Only its checkpoints go outside. Its entries lie in a file beside its tree, since the
 * ledger does not hold them:
 *
 *   {"leaf":"<leaf>","note":"<signed checkpoint of the stream>"}\n      {"leaf":"<heartbeat>"}\n
 */
import { dirname, join } from 'node:path';
import { formatStreamHead, streamKey } from '../../ledger/anchor-leaf.ts';
import { formatCheckpoint, parseCheckpoint } from '../../ledger/checkpoint.ts';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { readLines } from '../../ledger/lines.ts';
import { hashLeaf } from '../../ledger/merkle/hash.ts';
import { parseNote } from '../../ledger/note.ts';
import { openTreeFile, type TreeFile } from '../../ledger/tree-file.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import type { NewestCheckpoints, SignedCheckpoint } from './journal.ts';
import type { AnchorPosition } from './position.ts';
import { createSignedTree, type SignedTree } from './signed-tree.ts';

export interface AnchorEntry {
  readonly leaf: string;
  /** The stream's checkpoint; absent in a heartbeat. */
  readonly note?: string;
}

export interface AnchorLog extends SignedTree {
  /** Sizes of streams, by origin, that entries after the position's have brought into the log. */
  readonly late: ReadonlyMap<string, bigint>;
  /** Appends entries; durable when it resolves. Rejects with the system's error. */
  add(entries: readonly AnchorEntry[]): Promise<void>;
  position(): AnchorPosition;
}

/** The entry of a stream's head, which shows neither stream nor tenant. */
export function headEntry(
  blindingKey: Uint8Array,
  { origin, note, ...checkpoint }: SignedCheckpoint,
): AnchorEntry {
  const text = formatCheckpoint({ origin, ...checkpoint });
  return { leaf: formatStreamHead(streamKey(blindingKey, origin), origin, text), note };
}

/** Origin of the anchor log, and the beginning of the origins of the streams in it. */
export function anchorOrigin(agent: string, incarnation: string): string {
  return `sealtrail/${agent}/${incarnation}`;
}

/** Paths of the anchor log's entries and of its tree. */
export function anchorPaths(
  dir: string,
  incarnation: string,
): { readonly entries: string; readonly tree: string } {
  const path = join(dir, 'anchor', incarnation);
  return { entries: `${path}.ndjson`, tree: `${path}.tree` };
}

export interface AnchorLogOptions {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly agent: string;
  readonly incarnation: string;
  /** Null, or of another incarnation: the log is read from its beginning. */
  readonly position: AnchorPosition | null;
  readonly newest: NewestCheckpoints;
}

/** Opens the anchor log. Entries whose writing was not confirmed are written again or cut off. */
export async function openAnchorLog(options: AnchorLogOptions): Promise<Result<AnchorLog, string>> {
  const { dir, filesystem, agent, incarnation, newest } = options;
  const paths = anchorPaths(dir, incarnation);
  const known = options.position?.incarnation === incarnation ? options.position : null;
  const size = known?.size ?? 0n;
  let bytes = known?.bytes ?? 0;

  const tree = await openTreeFile({ filesystem, path: paths.tree, size });
  if (!tree.ok) return tree;
  const origin = anchorOrigin(agent, incarnation);
  const signed = createSignedTree(origin, tree.value, newest.get(origin) ?? null);

  if (!(await filesystem.exists(paths.entries))) {
    if (size > 0n) return err(`${paths.entries} is missing`);
    await (await filesystem.create(paths.entries)).close();
  }
  // Also of a file that is there: its folder may not have been synced when it was made.
  if (size === 0n) await filesystem.syncDir(dirname(paths.entries));

  async function write(entries: readonly AnchorEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const text = Buffer.from(entries.map((entry) => `${formatEntry(entry)}\n`).join(''));
    const file = await filesystem.open(paths.entries);
    try {
      await file.append(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    bytes += text.length;
    for (const { leaf } of entries) signed.append(hashLeaf(Buffer.from(leaf)));
  }

  const late = await readLate(filesystem, paths.entries, bytes);
  // After a failed fsync what can be read need not be on disk: it is cut off, and written once more. Not before a
  // copy is there: some of it may be signed, and a disk that is full now would take it.
  const copy = copyPath(paths.entries);
  if (late.length > 0)
    await filesystem.replace(copy, `${[String(bytes), ...late.map(formatEntry)].join('\n')}\n`);
  const file = await filesystem.open(paths.entries);
  try {
    if ((await file.size()) < bytes) return err(`${paths.entries} is shorter than it was`);
    await file.truncate(bytes);
  } finally {
    await file.close();
  }
  await write(late);
  if (late.length > 0) await filesystem.remove(copy);
  const { size: signedSize = 0n } = signed.signed() ?? {};
  if (tree.value.size() < signedSize)
    signed.stop(`${paths.entries} ends before entry ${signedSize}, up to which it was signed`);

  return ok({
    ...signed,
    late: sizesOf(late),
    add: write,
    position: () => ({ incarnation, size: tree.value.size(), bytes }),
  });
}

const formatEntry = (entry: AnchorEntry): string => JSON.stringify(entry);
const copyPath = (path: string): string => `${path}.late`;

/** Entries behind a position; those of the copy where a second writing was cut off. */
async function readLate(
  filesystem: Filesystem,
  path: string,
  from: number,
): Promise<readonly AnchorEntry[]> {
  const standing = await readEntries(filesystem, path, from);
  const copy = copyPath(path);
  if (!(await filesystem.exists(copy))) return standing;
  const [begin = '', ...lines] = (await filesystem.readFile(copy)).toString('utf8').split('\n');
  // Of another position it is one that was forgotten.
  const copied =
    begin === String(from) ? lines.map(parseAnchorEntry).filter((one) => one !== null) : [];
  return copied.length > standing.length ? copied : standing;
}

/** Entries from a byte of the file on; an unfinished or broken last line, and all after it, is left out. */
async function readEntries(
  filesystem: Filesystem,
  path: string,
  from: number,
): Promise<readonly AnchorEntry[]> {
  const entries: AnchorEntry[] = [];
  const file = await filesystem.openRead(path);
  try {
    for await (const lines of readLines(file, from, await file.size())) {
      for (const { bytes, whole } of lines) {
        const entry = whole ? parseAnchorEntry(bytes.toString('utf8')) : null;
        if (entry === null) return entries;
        entries.push(entry);
      }
    }
  } finally {
    await file.close();
  }
  return entries;
}

/** The tree of an anchor log as its files have it, for those who only read. */
export async function readAnchorTree(options: {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly incarnation: string;
  readonly position: AnchorPosition | null;
}): Promise<Result<TreeFile, string>> {
  const { dir, filesystem, incarnation } = options;
  const paths = anchorPaths(dir, incarnation);
  const known = options.position?.incarnation === incarnation ? options.position : null;
  const tree = await openTreeFile({ filesystem, path: paths.tree, size: known?.size ?? 0n });
  if (!tree.ok || !(await filesystem.exists(paths.entries))) return tree;
  for (const { leaf } of await readLate(filesystem, paths.entries, known?.bytes ?? 0))
    tree.value.append(hashLeaf(Buffer.from(leaf)));
  return tree;
}

/** Reads a line of the file of entries; null when it is none. */
export function parseAnchorEntry(line: string): AnchorEntry | null {
  const value = readJson(line);
  if (typeof value !== 'object' || value === null) return null;
  const { leaf, note } = value as Record<string, unknown>;
  if (typeof leaf !== 'string' || (note !== undefined && typeof note !== 'string')) return null;
  return note === undefined ? { leaf } : { leaf, note };
}

function sizesOf(entries: readonly AnchorEntry[]): ReadonlyMap<string, bigint> {
  const sizes = new Map<string, bigint>();
  for (const { note } of entries) {
    const parsed = note === undefined ? null : parseNote(note);
    const checkpoint = parsed?.ok === true ? parseCheckpoint(parsed.value.text) : null;
    if (checkpoint !== null) sizes.set(checkpoint.origin, checkpoint.size);
  }
  return sizes;
}
