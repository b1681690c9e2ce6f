/**
 * Anchor logs as the verifier reads them: each is grown from its entries and held against its signed checkpoints, those
 * in the folder and those that came from elsewhere. Up to where it fits, the streams' checkpoints in it are as good as
 * signed, and anchored where an anchor had it.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { formatStreamHead, streamKey } from '../../ledger/anchor-leaf.ts';
import { parseCheckpoint } from '../../ledger/checkpoint.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { readLines } from '../../ledger/lines.ts';
import { hashLeaf } from '../../ledger/merkle/hash.ts';
import { createTreeCheck } from '../../ledger/merkle/tree-check.ts';
import { parseNote } from '../../ledger/note.ts';
import type { Place } from '../../ledger/stream-check.ts';
import type { Anchoring, KnownCheckpoint } from '../../ledger/verify/known.ts';
import { anchorPaths, parseAnchorEntry } from './anchor-log.ts';
import { readEvidenceLines } from './anchors/evidence-file.ts';
import { findAnchored, type NamedPolicy, type Report } from './known-evidence.ts';
import { createPackedEntries, type PackedEntries } from './packed-entries.ts';

/** A checkpoint of an anchor log, and whether a trusted key has signed it. */
export type LogCheckpoint = Omit<KnownCheckpoint, 'note'>;

export interface AnchorSources {
  readonly dir: string | null;
  /** Checkpoints of anchor logs that are known, by origin. */
  readonly logs: ReadonlyMap<string, readonly LogCheckpoint[]>;
  readonly takeNote: (note: string, place: Place) => void;
  readonly policy: NamedPolicy | null;
  readonly report: Report;
}

export interface KnownAnchors {
  /** Of streams. There may be a million, and of each there is one object. */
  readonly checkpoints: readonly KnownCheckpoint[];
  /** By stream. */
  readonly anchorings: ReadonlyMap<string, Anchoring>;
  /** What anchors lack of the logs. */
  readonly notes: readonly string[];
}

interface Log {
  /** Checkpoints of streams, in the order of the log. */
  readonly entries: PackedEntries;
  /** Of heartbeats, by turns the index and the time in ms since the epoch. */
  readonly beats: readonly number[];
  /** Up to this size a trusted checkpoint fits. */
  readonly signedTo: bigint;
  /** Up to this size any does. */
  readonly fitsTo: bigint;
}

const HEARTBEAT = /^sealtrail\/heartbeat\/v1\n([0-9TZ:.-]{20,30})\n$/;

/** Reads the anchor logs of a folder. Rejects with the system's error. */
export async function readKnownAnchors(sources: AnchorSources): Promise<KnownAnchors> {
  const { dir, logs, policy } = sources;
  const checkpoints: KnownCheckpoint[] = [];
  const anchorings = new Map<string, Anchoring>();
  const notes: string[] = [];
  if (dir === null || !(await nodeFilesystem.exists(join(dir, 'anchor'))))
    return { checkpoints, anchorings, notes };
  const names = await nodeFilesystem.list(join(dir, 'anchor'));
  for (const name of names.filter((one) => one.endsWith('.ndjson')).sort()) {
    const incarnation = name.slice(0, -'.ndjson'.length);
    const segment = `anchor/${incarnation}.evidence`;
    const published: bigint[] = [];
    for await (const { size, head, line } of readEvidenceLines(nodeFilesystem, dir, incarnation)) {
      if (head === null) continue;
      sources.takeNote(head.note, { segment, line });
      published.push(size);
    }
    const origin =
      [...logs.keys()].find((one) => one.endsWith(`/${incarnation}`)) ??
      `sealtrail/?/${incarnation}`;
    const log = await readLog(incarnation, origin, sources);
    log.entries.signedBefore(log.signedTo);
    for (const entry of log.entries) checkpoints.push(entry);
    if (policy === null) continue;
    const { beats, fitsTo } = log;
    const { anchored, hole } = await findAnchored({
      ...{ dir, incarnation, policy, report: sources.report },
      published: [...new Set(published)].filter((size) => size <= fitsTo),
      timeBefore: (size) => timeBefore(beats, size),
    });
    if (hole !== null) notes.push(`of the anchor log ${origin}, ${hole}`);
    if (anchored === null) continue;
    for (const { origin: stream, size, index } of log.entries)
      if (BigInt(index) < anchored.size)
        anchorings.set(stream, { size, time: anchored.time, by: anchored.by });
  }
  return { checkpoints, anchorings, notes };
}

async function readLog(
  incarnation: string,
  origin: string,
  { dir, logs, report }: AnchorSources,
): Promise<Log> {
  const known = logs.get(origin) ?? [];
  const tree = createTreeCheck(known);
  const path = anchorPaths(dir ?? '', incarnation).entries;
  const blinding = await readBlindingKey(dir ?? '');
  const segment = `anchor/${incarnation}.ndjson`;
  const entries = createPackedEntries(path);
  const beats: number[] = [];
  const newest = new Map<string, bigint>();
  let line = 0;
  const file = await nodeFilesystem.openRead(path);
  try {
    reading: for await (const lines of readLines(file, 0, await file.size()))
      for (const { bytes, start, whole } of lines) {
        const index = line++;
        const place = { segment, line };
        const entry = whole ? parseAnchorEntry(bytes.toString('utf8')) : null;
        if (entry === null) {
          // What was not written whole is written again by the next start.
          if (whole)
            report(
              'checkpoint_unreadable',
              { stream: origin, seq: index },
              place,
              'this is no entry of an anchor log',
            );
          break reading;
        }
        const begin = BigInt(index);
        tree.takeRange({ begin, end: begin + 1n, hashes: [hashLeaf(Buffer.from(entry.leaf))] });
        const [, time] = HEARTBEAT.exec(entry.leaf) ?? [];
        if (time !== undefined) beats.push(index, Date.parse(time));
        if (entry.note === undefined) continue;
        const parsed = parseNote(entry.note);
        const text = parsed.ok ? parsed.value.text : '';
        const checkpoint = parseCheckpoint(text);
        if (checkpoint === null || !isLeafOf(entry.leaf, checkpoint.origin, text, blinding)) {
          report(
            'rewritten',
            { stream: origin, seq: index },
            place,
            'the checkpoint beside this entry of the anchor log is not the one that the entry fixes',
          );
          continue;
        }
        if (checkpoint.size < (newest.get(checkpoint.origin) ?? 0n))
          report(
            'rewritten',
            { stream: checkpoint.origin, seq: Number(checkpoint.size) },
            place,
            'the anchor log holds a smaller checkpoint of the stream behind a larger one',
          );
        newest.set(checkpoint.origin, checkpoint.size);
        entries.add(checkpoint, { index, start, bytes: bytes.length });
      }
  } finally {
    await file.close();
  }
  const verdict = tree.conclude();
  const end = { segment, line: line + 1 };
  if (verdict.kind === 'root_differs')
    report(
      'rewritten',
      { stream: origin, seq: Number(verdict.verifiedTo) },
      end,
      `the anchor log does not have the tree that was signed at size ${verdict.trusted}`,
    );
  if (verdict.kind === 'truncated')
    report(
      'truncated',
      { stream: origin, seq: Number(verdict.size) },
      end,
      `the anchor log ends with entry ${verdict.size}, and was signed at size ${verdict.trusted}`,
    );
  const fitsTo = verdict.verifiedTo;
  const signedTo = known.reduce(
    (most, { size, isSigned }) => (isSigned && size <= fitsTo && size > most ? size : most),
    0n,
  );
  return { entries, beats, signedTo, fitsTo };
}

/** The time of the last heartbeat before this size of the log. */
function timeBefore(beats: readonly number[], size: bigint): string | undefined {
  let at = beats.length - 2;
  while (at >= 0 && BigInt(beats[at] ?? 0) >= size) at -= 2;
  const time = beats[at + 1];
  return at < 0 || time === undefined || Number.isNaN(time)
    ? undefined
    : new Date(time).toISOString();
}

async function readBlindingKey(dir: string): Promise<Buffer | null> {
  const path = join(dir, 'blinding.key');
  if (!(await nodeFilesystem.exists(path))) return null;
  return Buffer.from((await nodeFilesystem.readFile(path)).toString('utf8').trim(), 'hex');
}

/** Without the key the name of the stream in the leaf cannot be judged, and its checkpoint still can. */
function isLeafOf(leaf: string, origin: string, text: string, blinding: Buffer | null): boolean {
  if (blinding !== null)
    return leaf === formatStreamHead(streamKey(blinding, origin), origin, text);
  return leaf.split('\n')[2] === createHash('sha256').update(text).digest('hex');
}
