/**
 * What anchors have given for the checkpoints of an anchor log, kept beside it: a line each, the first of a
 * checkpoint with its note. A torn line was a crash's; the anchor is asked again for the next checkpoint.
 *
 *   {"size":"<n>","quorum":<k>,"note":"<signed checkpoint>","evidence":{…}}\n      {"size":"<n>","evidence":{…}}\n
 */
import { dirname, join } from 'node:path';
import { parseEvidence, type AnchorEvidence } from '../../../ledger/anchor-evidence.ts';
import type { Filesystem } from '../../../ledger/filesystem.ts';
import { readBlocksBackward, readLines } from '../../../ledger/lines.ts';
import { readJson } from '../../../schemas/untrusted-json.ts';
import type { Publication } from './anchor.ts';

/** A checkpoint of the anchor log with what anchors have given for it. */
export interface AnchoredCheckpoint {
  readonly size: bigint;
  readonly note: string;
  /** Anchors that were asked for, when it was published. */
  readonly quorum: number;
  readonly evidence: readonly AnchorEvidence[];
  /** Of the note in its file, from 1. */
  readonly line: number;
}

export interface EvidenceFile {
  /** Durable when it resolves. Rejects with the system's error. */
  keep(publication: Publication, evidence: AnchorEvidence, quorum: number): Promise<void>;
}

/** Path of the evidence of an incarnation's anchor log. */
export function evidencePath(dir: string, incarnation: string): string {
  return join(dir, 'anchor', `${incarnation}.evidence`);
}

/** Creates it over a folder of checkpoints; opens nothing before there is something to keep. */
export function createEvidenceFile(filesystem: Filesystem, dir: string): EvidenceFile {
  /** Of each log, the checkpoint whose note stands in its file last. */
  const noted = new Map<string, bigint>();
  let last: Promise<void> = Promise.resolve();

  async function append(
    { checkpoint: { origin, size }, note }: Publication,
    evidence: AnchorEvidence,
    quorum: number,
  ): Promise<void> {
    const path = evidencePath(dir, origin.split('/')[2] ?? '');
    if (!(await filesystem.exists(path))) {
      await (await filesystem.create(path)).close();
    }
    // Also of a file that is there: its folder may not have been synced when it was made.
    if (!noted.has(origin)) await filesystem.syncDir(dirname(path));
    const head = noted.get(origin) === size ? {} : { quorum, note };
    // After a torn line ours begins a new one.
    const begin = noted.has(origin) ? '' : '\n';
    const line = `${begin}${JSON.stringify({ size: String(size), ...head, evidence })}\n`;
    const file = await filesystem.open(path);
    try {
      await file.append(Buffer.from(line));
      await file.datasync();
    } finally {
      await file.close();
    }
    noted.set(origin, size);
  }

  return {
    keep: (publication, evidence, quorum) => {
      // One after the other; after a failed one none, since its line may be half there.
      last = last.then(() => append(publication, evidence, quorum));
      return last;
    },
  };
}

/** What one anchor gave, as it stands in the file. */
export interface EvidenceLine {
  readonly size: bigint;
  /** With the first of a checkpoint. */
  readonly head: Head | null;
  readonly evidence: AnchorEvidence;
  /** From 1. */
  readonly line: number;
}

/**
 * Reads the lines of an incarnation's evidence, and keeps none: a year of them takes gigabytes. `isWanted`: of which
 * checkpoints; asked before a line is taken apart.
 */
export async function* readEvidenceLines(
  filesystem: Filesystem,
  dir: string,
  incarnation: string,
  isWanted: (size: bigint) => boolean = () => true,
): AsyncGenerator<EvidenceLine, void> {
  const path = evidencePath(dir, incarnation);
  if (!(await filesystem.exists(path))) return;
  const file = await filesystem.openRead(path);
  let at = 0;
  try {
    for await (const lines of readLines(file, 0, await file.size()))
      for (const { bytes, whole } of lines) {
        at += 1;
        // A time-stamp is 5 KB of it, and most are of other checkpoints.
        const [, stated] = SIZE.exec(bytes.toString('latin1', 0, SIZE_END)) ?? [];
        if (stated !== undefined && !isWanted(BigInt(stated))) continue;
        const line = whole ? parseLine(bytes.toString('utf8')) : null;
        if (line !== null && isWanted(line.size)) yield { ...line, line: at };
      }
  } finally {
    await file.close();
  }
}

/**
 * Reads the evidence of an incarnation, checkpoints in the order in which they were published: of those that are larger
 * than `above`, and none beyond the first that a quorum has; or of those that `isWanted`.
 */
export async function readEvidence(
  filesystem: Filesystem,
  dir: string,
  incarnation: string,
  wanted?: { readonly above: bigint } | { readonly isWanted: (size: bigint) => boolean },
): Promise<readonly AnchoredCheckpoint[]> {
  const found = new Map<bigint, { head: Head; line: number; evidence: AnchorEvidence[] }>();
  let reached: bigint | null = null;
  const isWanted = (size: bigint): boolean => {
    if (wanted === undefined) return true;
    if ('isWanted' in wanted) return wanted.isWanted(size);
    return size > wanted.above && (reached === null || size <= reached);
  };
  for await (const one of readEvidenceLines(filesystem, dir, incarnation, isWanted)) {
    const { size, head, line, evidence } = one;
    const known = found.get(size) ?? (head && { head, line, evidence: [] });
    if (known === null) continue;
    known.evidence.push(evidence);
    found.set(size, known);
    const anchors = new Set(known.evidence.map(({ anchor }) => anchor)).size;
    if (anchors >= known.head.quorum && isWanted(size)) reached = size;
  }
  const chosen = [...found].filter(([size]) => isWanted(size));
  return chosen.map(([size, { head, line, evidence }]) => ({
    size,
    ...head,
    line,
    // Of an anchor that was asked twice the first answer counts: its time is the earlier one.
    evidence: evidence.filter(
      ({ anchor }, at) => evidence.findIndex((one) => one.anchor === anchor) === at,
    ),
  }));
}

/** What each anchor has had of late, by its name: the largest size in the last megabyte of the file. */
export async function readGiven(
  filesystem: Filesystem,
  dir: string,
  incarnation: string,
): Promise<ReadonlyMap<string, bigint>> {
  const given = new Map<string, bigint>();
  const path = evidencePath(dir, incarnation);
  if (!(await filesystem.exists(path))) return given;
  const file = await filesystem.openRead(path);
  try {
    for await (const block of readBlocksBackward(file)) {
      for (const text of block.toString('utf8').split('\n')) {
        const line = parseLine(text);
        if (line === null) continue;
        const { anchor } = line.evidence;
        if (line.size > (given.get(anchor) ?? 0n)) given.set(anchor, line.size);
      }
      break;
    }
  } finally {
    await file.close();
  }
  return given;
}

/** How each of our lines begins, and within how many bytes. */
const SIZE = /^\{"size":"([0-9]{1,20})"/;
const SIZE_END = 40;

interface Head {
  readonly quorum: number;
  readonly note: string;
}

function parseLine(text: string): Omit<EvidenceLine, 'line'> | null {
  const value = readJson(text);
  if (typeof value !== 'object' || value === null) return null;
  const { size, quorum, note, ...rest } = value as Record<string, unknown>;
  const evidence = parseEvidence(rest['evidence']);
  if (typeof size !== 'string' || !/^[0-9]{1,20}$/.test(size) || evidence === null) return null;
  const isHead = typeof note === 'string' && typeof quorum === 'number';
  return { size: BigInt(size), head: isHead ? { quorum, note } : null, evidence };
}
