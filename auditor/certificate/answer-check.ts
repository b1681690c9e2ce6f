/**
 * Holds an answer against the records that were verified: each record that answers the question is a row, each row answers
 * it, and figures are those that the records give. What answers is said by rules that share nothing with the statement
 * (auditor/rules/), so a row that the database keeps back, by a policy, a view or a damaged index, is missed. Pure.
 *
 * An event that several records carry is shown once, and which of them it is, no hash says. So where the database calls a record
 * a repetition, the one that it repeats must stand in the streams that were read; if it tells of the same act, it was held
 * against the question in its turn, and if not, the answer lacks an act, and says so (repetitions.ts).
 */
import type { Asked } from '../answer.ts';
import { resolveAsked } from '../resolve.ts';
import { factsOf } from '../rules/facts.ts';
import type { Beyond } from '../rules/excuse.ts';
import { ruleOf, type Rule } from '../rules/rule.ts';
import type { CertificateFinding, JudgedAnswer } from './certificate.ts';
import { createRepetitions, type At, type Originals } from './repetitions.ts';
import type { GatheredRows, PlacedRow } from './rows.ts';

/** A record that was read whole. */
export interface JudgedRecord {
  readonly stream: string;
  /** Number of the stream in the store: records of one moment stand in its order. */
  readonly streamId: number;
  readonly seq: number;
  readonly this_hash: string;
  readonly event: unknown;
  readonly text: string;
  /** The database says that another record carries the event as well, and is the one that is shown. */
  readonly isRepetition: boolean;
  /** Rows of the answer that show it. */
  readonly rows: readonly number[];
}

export interface AnswerCheck {
  /** Is told each place that was read, whole or not, and whether a trusted key has signed it. */
  pass(at: At, isSigned: boolean): void;
  /** Tells when it says that it happened, where it has a say in the answer; Infinity: it has none. */
  take(record: JudgedRecord): number;
  /** `beyond`: what is looked for beyond what was verified. */
  conclude(rows: GatheredRows, beyond: Beyond): Promise<CheckedAnswer>;
}

export interface CheckedAnswer {
  /** Null: the question has no rule. */
  readonly judged: JudgedAnswer | null;
  /** There was more than is kept, and so nothing can be told. */
  readonly isTooMuch: boolean;
  readonly findings: readonly CertificateFinding[];
  readonly findings_total: number;
  /** Records that answer, of an event whose id stands for another act. */
  readonly notes: readonly string[];
  /** Such a record, whose event's id stands for an act that no trusted key has signed; null: there is none. */
  readonly unsigned: Pick<JudgedRecord, 'stream' | 'seq'> | null;
}

export const UNCHECKED: CheckedAnswer = {
  ...{ judged: null, isTooMuch: false, findings: [], findings_total: 0, notes: [], unsigned: null },
};
const FINDINGS_MAX = 1_000;
const NOTES_MAX = 20;

/** Begins the check of an answer. */
export function createAnswerCheck(asked: Asked, originals: Originals): AnswerCheck {
  const found = resolveAsked(asked);
  const rule = found.ok ? ruleOf(found.value.resolved) : null;
  return rule === null ? NO_CHECK : checkBy(rule, originals);
}

/** Holds it against nothing. */
export const NO_CHECK: AnswerCheck = {
  pass: () => undefined,
  take: () => Infinity,
  conclude: () => Promise.resolve(UNCHECKED),
};

function checkBy(rule: Rule, originals: Originals): AnswerCheck {
  const { kind, figures, excuses } = rule;
  const findings: CertificateFinding[] = [];
  const repetitions = createRepetitions(originals);
  let total = 0;
  let matching = 0;

  function report(finding: CertificateFinding): void {
    total += 1;
    if (findings.length < FINDINGS_MAX) findings.push(finding);
  }

  function judgeRow({ stream, seq, rows }: JudgedRecord, isMatch: boolean): void {
    const wrong = { kind: 'row_differs', rows: rows.slice(0, 1), stream, seq };
    if (!isMatch) report({ ...wrong, message: 'the record does not answer the question' });
    if (rows.length > 1)
      report({ ...wrong, rows, message: 'the answer shows the record more than once' });
  }

  function judgeEvents(byStream: GatheredRows['byStream']): void {
    const shown = new Map<string, PlacedRow>();
    for (const [stream, placed] of byStream)
      for (const one of placed) {
        const { event_id, this_hash, row, seq } = one;
        const other = shown.get(event_id);
        shown.set(event_id, one);
        // Of the record itself that was said already.
        if (other === undefined || other.this_hash === this_hash) continue;
        const message = 'the answer shows the event more than once';
        report({ kind: 'row_differs', rows: [other.row, row], stream, seq, message });
      }
  }

  return {
    pass: repetitions.pass,
    take: (record) => {
      const facts = factsOf(record.event, record.text);
      const isMatch = rule.matches(facts, record.stream);
      const { stream, streamId, seq, rows } = record;
      const isRepetition = record.isRepetition && rows.length === 0;
      if (rows.length > 0) judgeRow(record, isMatch);
      if (isMatch) matching += 1;
      const hasSay = isMatch || excuses?.uses(facts) === true;
      if (isRepetition && hasSay) repetitions.take(facts, record, isMatch);
      if (!isRepetition) {
        repetitions.judge(facts, record);
        excuses?.take(facts, { stream, streamId, seq, row: rows[0] }, isMatch);
        if (isMatch) figures?.take(facts);
        if (isMatch && kind === 'rows' && rows.length === 0)
          report({ kind: 'hidden', rows: [], stream, seq, message: HIDDEN });
      }
      return hasSay ? facts.ms : Infinity;
    },
    conclude: async (rows, beyond) => {
      const { repeated, masked, unrepeated, isTooMuch } = repetitions.conclude();
      for (const place of unrepeated)
        report({ kind: 'hidden', rows: [], ...place, message: UNREPEATED });
      judgeEvents(rows.byStream);
      const isAll =
        (figures === null || compareFigures(figures, rows, report)) &&
        (excuses === null || (await lookForExcuses(excuses, beyond, report)));
      const judged = { by: kind, matching, repeated, masked: masked.length };
      const notes = masked.slice(0, NOTES_MAX).map(describeMasked);
      const unsigned = masked.find(({ isSigned }) => !isSigned) ?? null;
      const found = { findings, findings_total: total, notes, unsigned };
      return { judged, isTooMuch: isTooMuch || !isAll, ...found };
    },
  };
}

function describeMasked({ stream, seq }: Pick<JudgedRecord, 'stream' | 'seq'>): string {
  return `record ${stream} seq ${seq} answers the question, or has a say in it, and is in no answer, since its event has the id of another act: look at it by itself (\`sealtrail investigate\` takes its place)`;
}

const HIDDEN = 'the record answers the question, and the database kept it out of the answer';
const UNREPEATED =
  'the record is marked as the repetition of an event that no other record of the streams carries, and so no query shows it';

/** False: there are more than are kept. */
async function lookForExcuses(
  excuses: NonNullable<Rule['excuses']>,
  beyond: Beyond,
  report: (finding: CertificateFinding) => void,
): Promise<boolean> {
  const said = await excuses.conclude(beyond);
  for (const { stream, seq, row = 0 } of said?.wrong ?? [])
    report({ kind: 'row_differs', rows: [row], stream, seq, message: excuses.why });
  for (const { stream, seq } of said?.hidden ?? [])
    report({ kind: 'hidden', rows: [], stream, seq, message: HIDDEN });
  return said !== null;
}

/** False: there are more than are kept. */
function compareFigures(
  figures: NonNullable<Rule['figures']>,
  { figures: shown, count, records }: GatheredRows,
  report: (finding: CertificateFinding) => void,
): boolean {
  const expected = figures.conclude();
  if (expected === null || shown.length < count - records) return false;
  const keyOf = (values: readonly unknown[]): string =>
    JSON.stringify(values.slice(0, figures.key));
  const left = new Map(expected.map((values) => [keyOf(values), values]));
  const wrong = { kind: 'figure_differs', stream: '', seq: -1 };
  for (const { row, values } of shown) {
    const right = left.get(keyOf(values));
    left.delete(keyOf(values));
    if (right !== undefined && right.every((value, at) => isSame(value, values[at]))) continue;
    const said = right === undefined ? 'no such row' : JSON.stringify(right);
    report({ ...wrong, rows: [row], message: `the verified records give ${said}` });
  }
  for (const values of left.values())
    report({
      ...{ ...wrong, kind: 'hidden', rows: [] },
      message: `the verified records give a row that the answer does not have: ${JSON.stringify(values)}`,
    });
  return true;
}

/** Fractions of a minute are computed by others in other ways. */
function isSame(one: unknown, other: unknown): boolean {
  if (typeof one !== 'number' || typeof other !== 'number') return one === other;
  return Math.abs(one - other) <= 1e-9 * Math.max(1, Math.abs(one));
}
