/**
 * A run of the verifier over a ledger: takes its records in their order, one by one or summed up by the chunk,
 * and hands them to the check of their stream, to what is known of the stream, and to the count of each producer.
 */
import { isUtf8 } from 'node:buffer';
import { readChain, type ChainPlace, type ChainRead } from '../chain-place.ts';
import {
  createExamination,
  type Examination,
  type ProducerGap,
  type Verification,
} from '../examination.ts';
import { splitRecord } from '../frame.ts';
import { isRemovalOf, type Front } from '../front.ts';
import type { Line } from '../lines.ts';
import type { Place } from '../stream-check.ts';
import type { ChunkSummary } from './summary.ts';
import { createKnownCheck, type Cover, type Known, type KnownCheck } from './known.ts';

export interface LedgerRun {
  readonly examination: Examination;
  /** Number of the next record. */
  records(): number;
  /** Goes on with another record: those between are missing. */
  skipTo(record: number): void;
  bytes(): number;
  /** Takes the next line; `isLast`: of the last segment. */
  takeLine(line: Line, place: Place, isLast: boolean): void;
  /** Takes whole lines, the first of which is line `before` + 1; false: they do not go on where all streams stand. */
  takeSummary(summary: ChunkSummary, bytes: number, segment: string, before: number): boolean;
  /** Whether the record of the removal of what is not there has been seen. */
  isRemovalSeen(): boolean;
  conclude(segments: number, obstacle: string | null): Verification;
}

export interface RunOptions {
  /** What stands for segments that are not read; null: the first one is. */
  readonly front: Front | null;
  readonly known: Known | null;
  /** Whether it is read to its end, so that more may not be known of it than stands there. */
  readonly isToEnd: boolean;
}

/** Begins a run. Rejects with the system's error. */
export async function beginRun({ front, known, isToEnd }: RunOptions): Promise<LedgerRun> {
  const examination = createExamination();
  const producers = new Map(front?.state.producers);
  const gaps: ProducerGap[] = [];
  const checks = new Map<string, KnownCheck>();
  let records = front?.first ?? 0;
  let bytes = 0;
  /** Records of the removal of what is not there. */
  const removals: Pick<ChainPlace, 'stream' | 'seq'>[] = [];
  let end: Place = { segment: '', line: 0 };

  for (const [stream, { next_seq, head_hash }] of front?.state.streams ?? []) {
    examination.begin(stream, { seq: next_seq, head: head_hash });
    const said = known?.streams.get(stream);
    if (known === null || said === undefined) continue;
    const base = await known.readBase(stream, BigInt(next_seq));
    checks.set(stream, createKnownCheck(stream, said, base ?? BigInt(next_seq)));
  }

  function checkOf(stream: string): KnownCheck | undefined {
    const begun = checks.get(stream);
    if (begun !== undefined) return begun;
    const said = known?.streams.get(stream);
    if (said === undefined) return undefined;
    const check = createKnownCheck(stream, said);
    checks.set(stream, check);
    return check;
  }

  function noteProducer(
    { producer, producerSeq, refused, stream, seq }: ChainPlace,
    least = -1,
  ): void {
    const before = Math.max(producers.get(producer) ?? -1, least);
    if (producerSeq > before + 1 + refused)
      gaps.push({ producer, after: before, before: producerSeq, stream, seq });
    if (producerSeq > before) producers.set(producer, producerSeq);
  }

  function noteRemoval({ event, chain: { stream, seq } }: ChainRead): void {
    if (front !== null && isRemovalOf(front, event)) removals.push({ stream, seq });
  }

  /** Whoever has the files can put such a record behind the last checkpoint. Null: a trusted key has signed one, or no key was given. */
  function doubtRemoval(covers: ReadonlyMap<string, Cover>): string | null {
    const [first] = removals;
    const isSigned = ({ stream, seq }: Pick<ChainPlace, 'stream' | 'seq'>): boolean =>
      BigInt(covers.get(stream)?.signed_to ?? 0) > BigInt(seq);
    if (known?.isJudged !== true || first === undefined || removals.some(isSigned)) return null;
    return `that earlier segments were removed rests on record ${first.seq} of ${first.stream}, which is under no checkpoint that a trusted key has signed; if they were removed just now, ask again in a minute`;
  }

  return {
    examination,
    records: () => records,
    skipTo: (record) => (records = record),
    bytes: () => bytes,
    takeLine: (line, place, isLast) => {
      bytes += line.bytes.length + 1;
      if (!line.whole && isLast) {
        examination.note(
          `${place.segment} ends in an unfinished line of ${line.bytes.length} bytes: a torn tail, never acked, that the agent sets aside at its next start`,
        );
        return;
      }
      records += 1;
      end = place;
      const record = isUtf8(line.bytes) ? splitRecord(line.bytes.toString('utf8')) : null;
      const said = examination.take(record, place);
      if (said === null || record === null) return;
      checkOf(said.chain.stream)?.take(said.chain.seq, record.this_hash, place);
      noteProducer(said.chain);
      noteRemoval(said);
    },
    takeSummary: (summary, size, segment, before) => {
      const { runs } = summary;
      if (
        !runs.every(({ stream, first, prev_hash }) => examination.isNext(stream, first, prev_hash))
      )
        return false;
      for (const run of runs) {
        const place = { segment, line: before + (run.parts.at(-1)?.lastLine ?? 0) + 1 };
        examination.takeRun(run, place);
        checkOf(run.stream)?.takeRun(run, place);
      }
      for (const { producer, steps, last } of summary.producers) {
        for (const step of steps) noteProducer(step, step.before);
        producers.set(producer, Math.max(producers.get(producer) ?? -1, last));
      }
      for (const { line, eventText } of summary.notable) {
        const said = readChain(eventText);
        if (said === null) continue;
        if (said.chain.seq === 0)
          examination.noteGenesis(said, { segment, line: before + line + 1 });
        noteRemoval(said);
      }
      records += summary.records;
      bytes += size;
      end = { segment, line: before + summary.records };
      return true;
    },
    isRemovalSeen: () => removals.length > 0,
    conclude: (segments, obstacle) => {
      const covers = new Map<string, Cover>();
      const behind = { ...end, line: end.line + 1 };
      for (const finding of known?.findings ?? []) examination.report(finding);
      for (const note of known?.notes ?? []) examination.note(note);
      for (const [stream, said] of known?.streams ?? []) {
        const check =
          checks.get(stream) ??
          (isToEnd && obstacle === null ? createKnownCheck(stream, said) : null);
        if (check === null) continue;
        const { findings, cover } = check.conclude(isToEnd && obstacle === null ? behind : null);
        covers.set(stream, cover);
        for (const finding of findings) examination.report(finding);
      }
      const read = { records: records - (front?.first ?? 0), segments, bytes, gaps };
      const doubt = obstacle ?? doubtRemoval(covers);
      return examination.conclude(read, doubt, known === null ? null : { ...known, covers });
    },
  };
}
