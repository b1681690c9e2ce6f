/**
 * What anchors had of an anchor log, for the verifier: the newest of its checkpoints that enough of them had. There may
 * be half a million, each with time-stamps of some kilobytes: a few are read, and judged, at a time.
 */
import type { AnchorPolicy } from '../../ledger/anchor-policy.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import type { FindingKind, Place } from '../../ledger/stream-check.ts';
import { readEvidence } from './anchors/evidence-file.ts';
import { judgeAnchors } from './anchors/judge.ts';

export interface NamedPolicy {
  readonly policy: AnchorPolicy;
  readonly path: string;
}

/** Tells of a finding. */
export type Report = (
  kind: FindingKind,
  where: { readonly stream: string; readonly seq: number },
  place: Place,
  message: string,
) => void;

export interface EvidenceQuestion {
  readonly dir: string;
  readonly incarnation: string;
  /** Sizes of the checkpoints that were published and fit the log, in the order of publication. */
  readonly published: readonly bigint[];
  readonly policy: NamedPolicy;
  /** When the last round before this size of the log was; undefined: there is none. */
  readonly timeBefore: (size: bigint) => string | undefined;
  readonly report: Report;
}

/** Size of a checkpoint of the log, and when and by whom it was had. */
export interface AnchoredSize {
  readonly size: bigint;
  readonly time: string;
  readonly by: readonly string[];
}

/** How far anchors have the log. */
export interface AnchoredLog {
  /** The newest that is shown; null: none is. */
  readonly anchored: AnchoredSize | null;
  /** Why newer ones are not, in a sentence; null: there are none. */
  readonly hole: string | null;
}

/** So many of the newest are looked at one by one; of older ones some. */
const NEWEST = 64;

/**
 * The newest checkpoint that anchors had as the policy asks. Behind the newest few, of anchors that have been away for
 * long, it goes back in steps that double, and then looks for the end of what they had by halving.
 */
export async function findAnchored(question: EvidenceQuestion): Promise<AnchoredLog> {
  const { published } = question;
  const { anchored: newest, lacks } = await judgeAll(question, published.slice(-NEWEST));
  const anchored = newest ?? (await findOlder(question));
  const behind = published.filter((size) => size > (anchored?.size ?? -1n));
  if (behind.length === 0 || lacks === '') return { anchored, hole: null };
  const sizes = `${behind.length} checkpoints, of sizes ${behind[0]} to ${behind.at(-1)}`;
  const looked = behind.length > NEWEST ? ' (of those but the newest some were looked at)' : '';
  return { anchored, hole: `${sizes}, are shown at too few anchors${looked}: ${lacks}` };
}

async function findOlder(question: EvidenceQuestion): Promise<AnchoredSize | null> {
  const { published } = question;
  const newest = published.length - 1;
  let without = Math.max(0, published.length - NEWEST);
  for (let step = NEWEST; without > 0; step *= 2) {
    let at = Math.max(0, newest - step);
    let best = await judgeOne(question, at);
    if (best === null) {
      without = at;
      continue;
    }
    while (without - at > 1) {
      const middle = (at + without) >>> 1;
      const judged = await judgeOne(question, middle);
      if (judged === null) without = middle;
      else {
        best = judged;
        at = middle;
      }
    }
    return best;
  }
  return null;
}

async function judgeOne(question: EvidenceQuestion, at: number): Promise<AnchoredSize | null> {
  return (await judgeAll(question, question.published.slice(at, at + 1))).anchored;
}

/** Judges these, the newest first; ends with the first that is enough. */
async function judgeAll(
  { dir, incarnation, policy, timeBefore, report }: EvidenceQuestion,
  sizes: readonly bigint[],
): Promise<{ readonly anchored: AnchoredSize | null; readonly lacks: string }> {
  const asked = new Set(sizes);
  const isWanted = (size: bigint): boolean => asked.has(size);
  const given = await readEvidence(nodeFilesystem, dir, incarnation, { isWanted });
  /** What the newest lacks. */
  let lacks = '';
  for (const { size, note, evidence, line } of given.toReversed()) {
    const roundTime = timeBefore(size);
    if (roundTime === undefined) {
      lacks ||= 'no time stands before them in the log';
      continue;
    }
    const judging = { note, evidence, policy: policy.policy, policyPath: policy.path, roundTime };
    const judged = await judgeAnchors(judging);
    if (judged.ok && judged.value.time !== null)
      return { anchored: { size, time: judged.value.time, by: judged.value.by }, lacks };
    // A policy that asks for none: nothing is lacking.
    if (judged.ok) continue;
    lacks ||= judged.error.message;
    if (judged.error.kind !== 'invalid') continue;
    const where = { stream: note.split('\n')[0] ?? '', seq: Number(size) - 1 };
    const place = { segment: `anchor/${incarnation}.evidence`, line };
    report('bad_signature', where, place, judged.error.message);
  }
  return { anchored: null, lacks };
}
