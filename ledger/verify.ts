/**
 * Verification of a whole ledger folder: every segment, every stream, every finding. It needs no
 * agent, no key and no database, and hashes with @noble/hashes, not with the hasher that sealed.
 */
import { join } from 'node:path';
import { messageOf } from '../schemas/result.ts';
import {
  createExamination,
  type ChainPlace,
  type Examination,
  type ProducerGap,
  type Verification,
} from './examination.ts';
import { nodeFilesystem, type Filesystem } from './filesystem.ts';
import { splitRecord } from './frame.ts';
import { isRemovalOf, readFront, type Front } from './front.ts';
import { readLines, type Line } from './lines.ts';
import { listSegments, segmentName } from './segment.ts';
import type { Place } from './stream-check.ts';

export type { ProducerGap, Verification };

export interface VerifyOptions {
  readonly filesystem?: Filesystem;
  /** Called about once per megabyte. */
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void;
}

interface Run {
  /** What stands for segments that were removed; null where none were, or it is not to be believed. */
  readonly front: Front | null;
  readonly examination: Examination;
  readonly producers: Map<string, number>;
  readonly gaps: ProducerGap[];
  records: number;
  bytes: number;
  /** The record of the removal has been seen. */
  isRemoved: boolean;
}

/** Verifies the ledger in a folder: `<data>/ledger`, or the data folder itself. */
export async function verifyLedger(
  dir: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const filesystem = options.filesystem ?? nodeFilesystem;
  let run = beginRun(null);
  const conclude = (segments: number, obstacle: string | null): Verification =>
    run.examination.conclude({ ...run, segments }, obstacle);
  try {
    const names = await filesystem.list(dir);
    const folder = names.includes('ledger') ? join(dir, 'ledger') : dir;
    const segments = listSegments(folder === dir ? names : await filesystem.list(folder));
    const [first] = segments;
    if (first === undefined)
      return conclude(
        0,
        `${dir} holds no ledger segment; name the folder of an agent's data or ledger`,
      );
    const front = first === 0 ? null : await readFront(filesystem, folder, first);
    if (front !== null) {
      run = beginRun(front);
      await verifySegments(folder, segments, filesystem, run, options.onProgress);
      if (run.isRemoved) {
        run.examination.note(
          `the ledger begins with record ${first}: earlier segments were removed, as the ledger itself records; what they held is in the store`,
        );
        return conclude(segments.length, null);
      }
      // Nothing in the ledger says so: it is judged as one whose beginning was taken away.
      run = beginRun(null);
    }
    await verifySegments(folder, segments, filesystem, run, options.onProgress);
    return conclude(segments.length, null);
  } catch (error) {
    return conclude(0, `${dir} cannot be read: ${messageOf(error)}`);
  }
}

function beginRun(front: Front | null): Run {
  const examination = createExamination();
  for (const [stream, { next_seq, head_hash }] of front?.state.streams ?? [])
    examination.begin(stream, { seq: next_seq, head: head_hash });
  const producers = new Map(front?.state.producers);
  const records = front?.first ?? 0;
  return { front, examination, producers, gaps: [], records, bytes: 0, isRemoved: false };
}

async function verifySegments(
  folder: string,
  segments: readonly number[],
  filesystem: Filesystem,
  run: Run,
  onProgress: VerifyOptions['onProgress'],
): Promise<void> {
  const sizes = await Promise.all(
    segments.map((first) => sizeOf(filesystem, join(folder, segmentName(first)))),
  );
  const bytesTotal = sizes.reduce((sum, size) => sum + size, 0);
  for (const [index, first] of segments.entries()) {
    const segment = segmentName(first);
    if (first !== run.records) {
      const message = `the segment begins with record ${first}, but ${run.records} records stand before it: records, or a whole segment, were removed or added`;
      run.examination.report({
        kind: 'segment_missing',
        stream: '',
        seq: -1,
        segment,
        line: 1,
        message,
      });
      run.records = first;
    }
    const file = await filesystem.openRead(join(folder, segment));
    try {
      let line = 0;
      for await (const lines of readLines(file, 0, sizes[index] ?? 0)) {
        for (const one of lines)
          takeLine(one, { segment, line: ++line }, index === segments.length - 1, run);
        onProgress?.(run.bytes, bytesTotal);
      }
    } finally {
      await file.close();
    }
  }
}

async function sizeOf(filesystem: Filesystem, path: string): Promise<number> {
  const file = await filesystem.openRead(path);
  try {
    return await file.size();
  } finally {
    await file.close();
  }
}

function takeLine(line: Line, place: Place, isLast: boolean, run: Run): void {
  run.bytes += line.bytes.length + 1;
  if (!line.whole && isLast) {
    run.examination.note(
      `${place.segment} ends in an unfinished line of ${line.bytes.length} bytes: a torn tail, never acked, that the agent sets aside at its next start`,
    );
    return;
  }
  run.records += 1;
  const said = run.examination.take(splitRecord(line.bytes.toString('utf8')), place);
  if (said === null) return;
  noteProducer(said.chain, run);
  if (run.front !== null && isRemovalOf(run.front, said.event)) run.isRemoved = true;
}

function noteProducer(chain: ChainPlace, run: Run): void {
  const { producer, producerSeq, refused, stream, seq } = chain;
  const before = run.producers.get(producer) ?? -1;
  if (producerSeq > before + 1 + refused) {
    run.gaps.push({ producer, after: before, before: producerSeq, stream, seq });
  }
  if (producerSeq > before) run.producers.set(producer, producerSeq);
}
