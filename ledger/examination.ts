/**
 * An examination of records, wherever they were read: from the segments of a ledger (verify.ts) or
 * from the store of record (store/verify-store.ts). It hands each record to the check of its stream
 * and draws up the verdict. Pure. What it cannot see without a trusted size is a tail that was cut
 * off: the verdict says "verified to seq n", never just "valid".
 */
import type { ChainHash } from '../schemas/brand.ts';
import { memberOf, readChain, type ChainRead } from './chain-place.ts';
import type { RecordText } from './frame.ts';
import type { Run } from './verify/summary.ts';
import type { Cover } from './verify/known.ts';
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
  /** Read. */
  readonly records: number;
  /** 0 in a store, which has none. */
  readonly segments: number;
  /** Read from the segments; in a store, of the events. */
  readonly bytes: number;
  readonly streams: readonly ExaminedStream[];
  /** In the order of the records; at most FINDINGS_LISTED_MAX a stream, and as many of the rest. */
  readonly findings: readonly Finding[];
  /** All findings, listed or not. */
  readonly findings_total: number;
  /** Ledger only: numbers of a producer that neither arrived nor were refused, lost before the agent. */
  readonly gaps: readonly ProducerGap[];
  /** What is worth knowing and breaks nothing, or why nothing can be told. */
  readonly notes: readonly string[];
}

export interface ExaminedStream extends StreamSummary {
  /** How far checkpoints reach into it; null where none were looked at, or it has none. */
  readonly cover: Cover | null;
}

export interface ProducerGap {
  readonly producer: string;
  readonly after: number;
  readonly before: number;
  readonly stream: string;
  readonly seq: number;
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
  ): ChainRead | null;
  /** Says that a stream begins behind what was purged of it; before any of its records. */
  begin(stream: string, start: StreamStart): void;
  /** Whether a run's first record goes on where its stream stands. */
  isNext(stream: string, seq: number, prev_hash: ChainHash): boolean;
  /** Takes records whose content and links among each other were checked; isNext MUST hold. */
  takeRun(run: Run, lastPlace: Place): void;
  /** Notes what the first record of a stream says of how it began. */
  noteGenesis(said: ChainRead, place: Place): void;
  /** Takes the next place of a stream of which only the hashes are left. */
  takeStub(stream: string, seq: number, stub: RecordHashes, place: Place): void;
  /** Reports what was found beside the chains. */
  report(finding: Finding): void;
  note(text: string): void;
  /** Draws up the verdict; `obstacle` says why the records could not be read to their end. */
  conclude(read: ReadSize, obstacle: string | null, covered?: Covered | null): Verification;
}

/** What was known of the streams, by name. */
export interface Covered {
  readonly covers: ReadonlyMap<string, Cover>;
  /** Whether keys were given: a stream that they do not vouch for is then not proven. */
  readonly isJudged: boolean;
  /** Whether a policy was given: a stream that its anchors did not have is then not proven. */
  readonly isAnchorAsked: boolean;
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
  function noteGenesis({ event, chain }: ChainRead, place: Place): void {
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
    isNext: (stream, seq, prev_hash) => checkOf(stream).isNext(seq, prev_hash),
    takeRun: ({ stream, parts }, place) => {
      const last = parts.at(-1);
      if (last !== undefined) checkOf(stream).takeRun(last.end, last.head, place);
    },
    noteGenesis,
    takeStub: (stream, seq, stub, place) => checkOf(stream).takeStub(seq, stub, place),
    note: (text) => notes.push(text),
    take: (record, place, where = { stream: '', seq: -1 }) => {
      const said = record === null ? null : readChain(record.eventText);
      if (record === null || said === null) {
        report({ kind: 'malformed', ...where, ...place, message: 'this is no record' });
        return null;
      }
      const { stream, seq } = said.chain;
      checkOf(stream).take(seq, record, place, said.event);
      if (seq === 0) noteGenesis(said, place);
      return said;
    },
    conclude: ({ records, segments, bytes, gaps }, obstacle, covered = null) => {
      const all = [...checks.values()];
      const streams = all.map((check) => examined(check.summary(), covered));
      const doubts = streams.flatMap((stream) => doubtsOf(stream, covered));
      notes.push(...doubts.slice(0, DOUBTS_NOTED_MAX));
      const findings = [...all.flatMap((check) => check.findings()), ...others].sort((a, b) =>
        a.segment === b.segment ? a.line - b.line : a.segment < b.segment ? -1 : 1,
      );
      const findings_total = streams.reduce((sum, one) => sum + one.findings, othersTotal);
      return {
        verdict:
          findings_total > 0
            ? 'broken'
            : obstacle === null && doubts.length === 0
              ? 'intact'
              : 'cannot_tell',
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

const DOUBTS_NOTED_MAX = 20;

/** What was asked for and is not there: reasons why nothing can be told, and none to think that anybody lied. */
function doubtsOf({ stream, cover }: ExaminedStream, covered: Covered | null): string[] {
  if (covered === null) return [];
  if (covered.isJudged && (cover?.signed_to ?? null) === null)
    return [`no key that is trusted has signed a checkpoint of ${stream} that its records fit`];
  if (covered.isAnchorAsked && (cover?.anchored ?? null) === null)
    return [
      `no checkpoint of ${stream} that its records fit was with the anchors that the policy asks for`,
    ];
  return [];
}

/** What is proven of a stream, given what is known of it besides. */
function examined(summary: StreamSummary, covered: Covered | null): ExaminedStream {
  const cover = covered?.covers.get(summary.stream) ?? null;
  const from = cover?.rewritten_from ?? null;
  const verified = summary.verified_to ?? -1;
  if (from === null || from > verified) return { ...summary, cover };
  const unproven = summary.unproven + verified + 1 - from;
  return { ...summary, verified_to: from === 0 ? null : from - 1, unproven, cover };
}
