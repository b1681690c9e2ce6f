/**
 * An examination of records, wherever they were read: from the segments of a ledger (verify.ts) or
 * from the store of record (store/verify-store.ts). It hands each record to the check of its stream
 * and draws up the verdict. Pure. What it cannot see without a trusted size is a tail that was cut
 * off: the verdict says "verified to seq n", never just "valid".
 */
import { parseJson } from '../schemas/canonical.ts';
import type { Json } from '../schemas/event.ts';
import type { RecordText } from './frame.ts';
import {
  createStreamCheck,
  FINDINGS_LISTED_MAX,
  type Finding,
  type Place,
  type RecordHashes,
  type StreamCheck,
  type StreamStart,
  type StreamSummary,
} from './stream-check.ts';

export interface Verification {
  /** `cannot_tell` is never success: there are no records, or they could not be read. */
  readonly verdict: 'intact' | 'broken' | 'cannot_tell';
  readonly records: number;
  /** 0 in a store, which has none. */
  readonly segments: number;
  /** Read from the segments; in a store, of the events. */
  readonly bytes: number;
  readonly streams: readonly StreamSummary[];
  /** In the order of the records; at most FINDINGS_LISTED_MAX a stream, and as many of the rest. */
  readonly findings: readonly Finding[];
  /** All findings, listed or not. */
  readonly findings_total: number;
  /** Ledger only: numbers of a producer that neither arrived nor were refused, lost before the agent. */
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

/** What a record says of itself. */
export interface ChainPlace {
  readonly stream: string;
  readonly seq: number;
  readonly producer: string;
  readonly producerSeq: number;
  readonly refused: number;
}

export interface Examination {
  /**
   * Takes the next record in the order in which records are kept; null where it is none. `where` is
   * what is known of its place in a stream without reading it.
   */
  take(
    record: RecordText | null,
    place: Place,
    where?: { readonly stream: string; readonly seq: number },
  ): { event: Json; chain: ChainPlace } | null;
  /** Says that a stream begins behind what was purged of it; before any of its records. */
  begin(stream: string, start: StreamStart): void;
  /** Takes the next place of a stream of which only the hashes are left. */
  takeStub(stream: string, seq: number, stub: RecordHashes, place: Place): void;
  /** Reports what was found beside the chains. */
  report(finding: Finding): void;
  note(text: string): void;
  /** Draws up the verdict; `obstacle` says why the records could not be read to their end. */
  conclude(read: ReadSize, obstacle: string | null): Verification;
}

/** How much was read. */
export interface ReadSize {
  readonly records: number;
  readonly segments: number;
  readonly bytes: number;
  readonly gaps: readonly ProducerGap[];
}

/** Begins an examination. */
export function createExamination(): Examination {
  const checks = new Map<string, StreamCheck>();
  const others: Finding[] = [];
  const notes: string[] = [];
  const doubted = new Set<string>();
  let othersTotal = 0;

  function report(finding: Finding): void {
    othersTotal += 1;
    if (others.length < FINDINGS_LISTED_MAX) others.push(finding);
  }

  /** An incarnation that began in doubt breaks no chain, and is what an auditor must hear of first. */
  function noteBeginning({ event, chain }: { event: Json; chain: ChainPlace }, place: Place): void {
    const reason = memberOf(memberOf(event, 'metadata'), 'reason');
    const incarnation = chain.stream.split('/')[2] ?? '';
    if (typeof reason !== 'string' || !reason.startsWith('rollback:')) return;
    if (doubted.has(incarnation)) return;
    doubted.add(incarnation);
    notes.push(
      `from ${place.segment} line ${place.line} on: incarnation ${incarnation} began after a ${reason}; records of the one before it may be missing here and stand in a store or SIEM`,
    );
  }

  function checkOf(stream: string): StreamCheck {
    const known = checks.get(stream) ?? createStreamCheck(stream);
    checks.set(stream, known);
    return known;
  }

  return {
    report,
    begin: (stream, start) => {
      // A row of another stream may have named this one already; what it broke stays broken.
      if (!checks.has(stream)) checks.set(stream, createStreamCheck(stream, start));
    },
    takeStub: (stream, seq, stub, place) => checkOf(stream).takeStub(seq, stub, place),
    note: (text) => notes.push(text),
    take: (record, place, where = { stream: '', seq: -1 }) => {
      const said = record === null ? null : readChain(record.eventText);
      if (record === null || said === null) {
        report({ kind: 'malformed', ...where, ...place, message: 'this is no record' });
        return null;
      }
      const { stream, seq } = said.chain;
      checkOf(stream).take(seq, record, place);
      if (seq === 0) noteBeginning(said, place);
      return said;
    },
    conclude: ({ records, segments, bytes, gaps }, obstacle) => {
      const all = [...checks.values()];
      const streams = all.map((check) => check.summary());
      const findings = [...all.flatMap((check) => check.findings()), ...others].sort((a, b) =>
        a.segment === b.segment ? a.line - b.line : a.segment < b.segment ? -1 : 1,
      );
      const findings_total = streams.reduce((sum, one) => sum + one.findings, othersTotal);
      return {
        verdict: findings_total > 0 ? 'broken' : obstacle === null ? 'intact' : 'cannot_tell',
        records,
        segments,
        bytes,
        streams,
        findings,
        findings_total,
        gaps,
        notes: obstacle === null ? notes : [...notes, obstacle],
      };
    },
  };
}

/** The event and where it says it belongs; null when it does not say so in the form of sealtrail/1. */
function readChain(eventText: string): { event: Json; chain: ChainPlace } | null {
  const event = tryParse(eventText);
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
  return { event, chain: { stream, seq, producer, producerSeq, refused } };
}

function tryParse(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    // No JSON has no chain either: the caller reports it.
    return null;
  }
}

/** A member of a JSON object; undefined where the value is none or has no such member of its own. */
export function memberOf(value: Json | undefined, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name)
    ? (value as { readonly [name: string]: Json })[name]
    : undefined;
}
