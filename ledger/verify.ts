/**
 * Verification of a whole ledger folder: every segment, every stream, every finding. It needs no
 * agent, no key and no database, and hashes with @noble/hashes, not with the hasher that sealed.
 * What it cannot see without a trusted size is a tail that was cut off: the verdict says "verified
 * to seq n", never just "valid".
 */
import { join } from 'node:path';
import { parseJson } from '../schemas/canonical.ts';
import { messageOf } from '../schemas/result.ts';
import { nodeFilesystem, type Filesystem } from './filesystem.ts';
import { splitRecord } from './frame.ts';
import { readLines, type Line } from './lines.ts';
import { listSegments, segmentName } from './segment.ts';
import {
  createStreamCheck,
  type Finding,
  type StreamCheck,
  type StreamSummary,
} from './stream-check.ts';

export interface Verification {
  /** `cannot_tell` is never success: the folder is no ledger, or could not be read. */
  readonly verdict: 'intact' | 'broken' | 'cannot_tell';
  readonly records: number;
  readonly segments: number;
  readonly bytes: number;
  readonly streams: readonly StreamSummary[];
  readonly findings: readonly Finding[];
  /** Numbers of a producer that neither arrived nor were refused: lost before the agent. */
  readonly gaps: readonly ProducerGap[];
  /** What is worth knowing and breaks nothing, or why nothing can be told. */
  readonly notes: readonly string[];
}

export interface ProducerGap {
  readonly producer: string;
  readonly after: number;
  readonly before: number;
  readonly stream: string;
  readonly seq: number;
}

export interface VerifyOptions {
  readonly filesystem?: Filesystem;
  /** Called about once per megabyte. */
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void;
}

interface Run {
  readonly checks: Map<string, StreamCheck>;
  readonly findings: Finding[];
  readonly producers: Map<string, number>;
  readonly gaps: ProducerGap[];
  readonly notes: string[];
  records: number;
  bytes: number;
}

/** Verifies the ledger in a folder: `<data>/ledger`, or the data folder itself. */
export async function verifyLedger(
  dir: string,
  options: VerifyOptions = {},
): Promise<Verification> {
  const filesystem = options.filesystem ?? nodeFilesystem;
  const run: Run = {
    checks: new Map(),
    findings: [],
    producers: new Map(),
    gaps: [],
    notes: [],
    records: 0,
    bytes: 0,
  };
  try {
    const names = await filesystem.list(dir);
    const folder = names.includes('ledger') ? join(dir, 'ledger') : dir;
    const segments = listSegments(folder === dir ? names : await filesystem.list(folder));
    if (segments.length === 0)
      return conclude(
        run,
        0,
        `${dir} holds no ledger segment; name the folder of an agent's data or ledger`,
      );
    await verifySegments(folder, segments, filesystem, run, options.onProgress);
    return conclude(run, segments.length, null);
  } catch (error) {
    return conclude(run, 0, `${dir} cannot be read: ${messageOf(error)}`);
  }
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
      run.findings.push({
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

function takeLine(
  line: Line,
  place: { segment: string; line: number },
  isLast: boolean,
  run: Run,
): void {
  run.bytes += line.bytes.length + 1;
  if (!line.whole && isLast) {
    run.notes.push(
      `${place.segment} ends in an unfinished line of ${line.bytes.length} bytes: a torn tail, never acked, that the agent sets aside at its next start`,
    );
    return;
  }
  run.records += 1;
  const record = splitRecord(line.bytes.toString('utf8'));
  const chain = record === null ? null : chainOf(record.eventText);
  if (record === null || chain === null) {
    run.findings.push({
      kind: 'malformed',
      stream: '',
      seq: -1,
      ...place,
      message: 'the line is no record',
    });
    return;
  }
  let check = run.checks.get(chain.stream);
  if (check === undefined) {
    check = createStreamCheck(chain.stream);
    run.checks.set(chain.stream, check);
  }
  check.take(chain.seq, record, place);
  noteProducer(chain, run);
}

interface ChainPlace {
  readonly stream: string;
  readonly seq: number;
  readonly producer: string;
  readonly producerSeq: number;
  readonly refused: number;
}

/** Where a record says it belongs; null when it does not say so in the form of sealtrail/1. */
function chainOf(eventText: string): ChainPlace | null {
  try {
    const event = parseJson(eventText);
    const chain = memberOf(event, 'chain');
    const stream = memberOf(chain, 'stream');
    const seq = memberOf(chain, 'seq');
    const producer = memberOf(memberOf(chain, 'producer'), 'id');
    const producerSeq = memberOf(memberOf(chain, 'producer'), 'seq');
    const refused = memberOf(memberOf(chain, 'producer'), 'refused') ?? 0;
    if (typeof stream !== 'string' || typeof seq !== 'number' || !Number.isSafeInteger(seq))
      return null;
    if (typeof producer !== 'string' || typeof producerSeq !== 'number') return null;
    if (typeof refused !== 'number') return null;
    return { stream, seq, producer, producerSeq, refused };
  } catch {
    // No JSON: the caller reports the line.
    return null;
  }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function noteProducer(chain: ChainPlace, run: Run): void {
  const { producer, producerSeq, refused, stream, seq } = chain;
  const before = run.producers.get(producer) ?? -1;
  if (producerSeq > before + 1 + refused) {
    run.gaps.push({ producer, after: before, before: producerSeq, stream, seq });
  }
  if (producerSeq > before) run.producers.set(producer, producerSeq);
}

function conclude(run: Run, segments: number, obstacle: string | null): Verification {
  const findings = [...run.findings];
  for (const check of run.checks.values()) findings.push(...check.findings());
  findings.sort((a, b) =>
    a.segment === b.segment ? a.line - b.line : a.segment < b.segment ? -1 : 1,
  );
  const verdict = findings.length > 0 ? 'broken' : obstacle === null ? 'intact' : 'cannot_tell';
  return {
    verdict,
    records: run.records,
    segments,
    bytes: run.bytes,
    streams: [...run.checks.values()].map((check) => check.summary()),
    findings,
    gaps: run.gaps,
    notes: obstacle === null ? run.notes : [...run.notes, obstacle],
  };
}
