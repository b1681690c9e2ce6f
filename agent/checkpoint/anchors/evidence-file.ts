/**
 * What anchors have given for the checkpoints of an anchor log, kept beside it: a line each, the first of a
 * checkpoint with its note. A torn line was a crash's; the anchor is asked again for the next checkpoint.
 *
 *   {"size":"<n>","quorum":<k>,"note":"<signed checkpoint>","evidence":{…}}\n      {"size":"<n>","evidence":{…}}\n
 */
import { dirname, join } from 'node:path';
import { parseEvidence, type AnchorEvidence } from '../../../ledger/anchor-evidence.ts';
import type { Filesystem } from '../../../ledger/filesystem.ts';
import { readLines } from '../../../ledger/lines.ts';
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

/**
 * Reads the evidence of an incarnation, checkpoints in the order in which they were published. With `above`, which is
 * of a log of years: only of checkpoints that are larger, and none beyond the first that a quorum has.
 */
export async function readEvidence(
  filesystem: Filesystem,
  dir: string,
  incarnation: string,
  above?: bigint,
): Promise<readonly AnchoredCheckpoint[]> {
  const path = evidencePath(dir, incarnation);
  const found = new Map<string, { head: Head; line: number; evidence: AnchorEvidence[] }>();
  let at = 0;
  let reached: bigint | null = null;
  const isWanted = (size: bigint): boolean =>
    above === undefined || (size > above && (reached === null || size <= reached));
  if (!(await filesystem.exists(path))) return [];
  const file = await filesystem.openRead(path);
  try {
    for await (const lines of readLines(file, 0, await file.size()))
      for (const { bytes, whole } of lines) {
        at += 1;
        // A time-stamp is 5 KB of it, and most are of other checkpoints.
        const [, stated] = SIZE.exec(bytes.toString('latin1', 0, SIZE_END)) ?? [];
        if (stated !== undefined && !isWanted(BigInt(stated))) continue;
        const line = whole ? parseLine(bytes.toString('utf8')) : null;
        if (line === null) continue;
        const known =
          found.get(line.size) ?? (line.head && { head: line.head, line: at, evidence: [] });
        if (known === null) continue;
        known.evidence.push(line.evidence);
        found.set(line.size, known);
        const anchors = new Set(known.evidence.map(({ anchor }) => anchor)).size;
        if (anchors >= known.head.quorum && isWanted(BigInt(line.size)))
          reached = BigInt(line.size);
      }
  } finally {
    await file.close();
  }
  const chosen = [...found].filter(([size]) => isWanted(BigInt(size)));
  return chosen.map(([size, { head, line, evidence }]) => ({
    size: BigInt(size),
    ...head,
    line,
    // Of an anchor that was asked twice the first answer counts: its time is the earlier one.
    evidence: evidence.filter(
      ({ anchor }, at) => evidence.findIndex((one) => one.anchor === anchor) === at,
    ),
  }));
}

/** How each of our lines begins, and within how many bytes. */
const SIZE = /^\{"size":"([0-9]{1,20})"/;
const SIZE_END = 40;

interface Head {
  readonly quorum: number;
  readonly note: string;
}

function parseLine(
  text: string,
): { readonly size: string; readonly head: Head | null; readonly evidence: AnchorEvidence } | null {
  const value = readJson(text);
  if (typeof value !== 'object' || value === null) return null;
  const { size, quorum, note, ...rest } = value as Record<string, unknown>;
  const evidence = parseEvidence(rest['evidence']);
  if (typeof size !== 'string' || !/^[0-9]{1,20}$/.test(size) || evidence === null) return null;
  const isHead = typeof note === 'string' && typeof quorum === 'number';
  return { size, head: isHead ? { quorum, note } : null, evidence };
}
