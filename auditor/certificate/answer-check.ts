/**
 * Holds an answer against the records that were verified: each record that answers the question is a row, each row answers
 * it, and figures are those that the records give. What answers is said by rules that share nothing with the statement
 * (auditor/rules/), so a row that the database keeps back, by a policy, a view or a damaged index, is missed. Pure.
 *
 * An event that several records carry is shown once, and which of them it is, no hash says: where the database calls a record
 * a repetition, the one that it repeats must be a row, or be shown to be there.
 */
import type { Asked } from '../answer.ts';
import { resolveAsked } from '../resolve.ts';
import { factsOf } from '../rules/facts.ts';
import type { Beyond } from '../rules/excuse.ts';
import { ruleOf, type Rule } from '../rules/rule.ts';
import type { CertificateFinding, JudgedAnswer } from './certificate.ts';
import type { GatheredRows } from './rows.ts';

/** A record that was read whole. */
export interface JudgedRecord {
  readonly stream: string;
  /** Number of the stream in the store: records of one moment stand in its order. */
  readonly streamId: number;
  readonly seq: number;
  readonly event: unknown;
  readonly text: string;
  /** The database says that another record carries the event as well, and is the one that is shown. */
  readonly isRepetition: boolean;
  /** Rows of the answer that show it. */
  readonly rows: readonly number[];
}

export interface AnswerCheck {
  take(record: JudgedRecord): void;
  conclude(rows: GatheredRows, store: AnswerStore): Promise<CheckedAnswer>;
}

/** What is looked for beyond what was verified: sealed records that the database shows. */
export interface AnswerStore extends Beyond {
  /** Those of some ids of which a record that is shown is there. */
  findShown(ids: readonly string[]): Promise<ReadonlySet<string>>;
}

export interface CheckedAnswer {
  /** Null: the question has no rule, or there was more than is kept. */
  readonly judged: JudgedAnswer | null;
  readonly findings: readonly CertificateFinding[];
  readonly findings_total: number;
}

const FINDINGS_MAX = 1_000;
const REPETITIONS_MAX = 1_000_000;

/** Begins the check of an answer. */
export function createAnswerCheck(asked: Asked): AnswerCheck {
  const found = resolveAsked(asked);
  const rule = found.ok ? ruleOf(found.value.resolved) : null;
  return rule === null ? NOTHING : checkBy(rule);
}

const NOTHING: AnswerCheck = {
  take: () => undefined,
  conclude: () => Promise.resolve({ judged: null, findings: [], findings_total: 0 }),
};

function checkBy(rule: Rule): AnswerCheck {
  const { kind, figures, excuses } = rule;
  const findings: CertificateFinding[] = [];
  /** By event, the last record that is said to repeat it. */
  const repetitions = new Map<string, Pick<JudgedRecord, 'stream' | 'seq'>>();
  let total = 0;
  let matching = 0;
  let repeated = 0;
  let isTooMuch = false;

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

  return {
    take: (record) => {
      const facts = factsOf(record.event, record.text);
      const isMatch = rule.matches(facts, record.stream);
      const { stream, streamId, seq, rows, isRepetition } = record;
      if (rows.length > 0) judgeRow(record, isMatch);
      if (!isRepetition || rows.length > 0)
        excuses?.take(facts, { stream, streamId, seq, row: rows[0] }, isMatch);
      if (!isMatch) return;
      matching += 1;
      if (isRepetition && rows.length === 0) {
        repeated += 1;
        if (repetitions.size >= REPETITIONS_MAX) isTooMuch = true;
        else repetitions.set(facts.eventId, { stream, seq });
        return;
      }
      figures?.take(facts);
      if (kind === 'rows' && rows.length === 0)
        report({ kind: 'hidden', rows: [], stream, seq, message: HIDDEN });
    },
    conclude: async (rows, store) => {
      let masked = 0;
      if (repetitions.size > 0) {
        for (const placed of rows.byStream.values())
          for (const { event_id } of placed) repetitions.delete(event_id);
        const there = await store.findShown([...repetitions.keys()]);
        for (const [id, place] of repetitions)
          if (!there.has(id)) report({ kind: 'hidden', rows: [], ...place, message: UNREPEATED });
          else if (kind === 'rows') masked += 1;
      }
      const isComputed = figures === null || compareFigures(figures, rows, report);
      const isLooked = excuses === null || (await lookForExcuses(excuses, store, report));
      const by = isLooked ? kind : 'candidates';
      const judged = isTooMuch || !isComputed ? null : { by, matching, repeated, masked };
      return { judged, findings, findings_total: total };
    },
  };
}

const HIDDEN = 'the record answers the question, and the database kept it out of the answer';
const UNREPEATED =
  'the record is marked as the repetition of an event that no other record carries, and so no query shows it';

/** False: there are more than are kept. */
async function lookForExcuses(
  excuses: NonNullable<Rule['excuses']>,
  store: AnswerStore,
  report: (finding: CertificateFinding) => void,
): Promise<boolean> {
  const said = await excuses.conclude(store);
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
