/**
 * What a certificate says, for somebody who has never seen the code: the verdict, what is proven, and what is not.
 * Each sentence is chosen by what really was looked at. Pure.
 */
import type { Known } from '../../ledger/verify/known.ts';
import type { Asked } from '../answer.ts';
import {
  recordOf,
  type CertificateFinding,
  type JudgedAnswer,
  type StreamProof,
  type Verdict,
} from './certificate.ts';
import type { GatheredRows } from './rows.ts';

export interface Facts {
  readonly asked: Asked;
  readonly login: string;
  readonly rows: Pick<GatheredRows, 'count' | 'records'>;
  /** Read whole. */
  readonly records: number;
  /** Places of which a purge left the hashes alone. */
  readonly purged: number;
  /** How the answer was held against the records; null: it was not. */
  readonly judged: JudgedAnswer | null;
  readonly proofs: readonly StreamProof[];
  readonly known: Pick<Known, 'isJudged' | 'isAnchorAsked'> | null;
}

/** The verdict in a sentence. */
export function describeFinding(
  verdict: Verdict,
  { rows, records, judged }: Facts,
  [first, ...others]: readonly CertificateFinding[],
  doubt: string,
): string {
  if (verdict === 'cannot_tell') return `Cannot tell: ${doubt}.`;
  if (verdict === 'intact' || first === undefined) {
    const around = ['of its time', 'around it'][rows.count] ?? 'around them';
    const said = `Intact: ${shownOf(rows)} and ${count(records, 'record')} ${around} are as they were sealed`;
    const masked = judged?.masked ?? 0;
    return masked === 0
      ? `${said}.`
      : `${said}; but the answer lacks ${count(masked, 'record')} that ${masked === 1 ? 'answers' : 'answer'} the question under the id of another act (see the notes).`;
  }
  const more = others.length === 0 ? '' : ` (and ${count(others.length, 'more finding')})`;
  const record = recordOf(first);
  const where =
    first.rows.length === 0
      ? `in the range${record && `, at ${record}`}`
      : `at row ${first.rows.join(' or ')}${record && `, ${record}`}`;
  return `BROKEN ${where}: ${first.message}${more}.`;
}

/** What an intact answer proves. */
export function tellProven({ asked, rows, records, judged, proofs }: Facts): readonly string[] {
  const said: string[] = [];
  if (rows.records > 0)
    said.push(
      `Each of the ${count(rows.records, 'record')} in the answer is, byte for byte, what the agent sealed when it was received: its hash was computed again from its text.`,
    );
  said.push(
    `Of the records of tenant ${asked.tenant} received from ${asked.since} up to ${asked.until}, none was changed, removed, added or moved: all ${count(records, 'record')} of that time, of ${count(proofs.length, 'stream')}, and their neighbours were read and fit together.`,
    'What the columns say by which questions are answered is what the sealed events say, for each of these records, and each event is shown once.',
  );
  if (judged !== null) said.push(tellJudged(judged, records, rows));
  const signed = proofs.filter(({ is_trusted }) => is_trusted);
  if (signed.length > 0 && signed.length === proofs.length) {
    const keys = [...new Set(signed.flatMap((one) => one.keys))].sort();
    said.push(
      `These are the records that the agent signed (${keys.join(', ')}): somebody who changed one and sealed all that follow again, or cut off the end up to the size that was signed, would have been seen.`,
    );
  } else {
    const held = proofs.filter(({ checkpoint }) => checkpoint !== null).length;
    const which = held === proofs.length ? '' : ` of ${held} of ${count(proofs.length, 'stream')}`;
    if (held > 0) said.push(`The records${which} have the tree of the checkpoints that are known.`);
  }
  const anchored = proofs.filter((one) => one.anchored !== null);
  if (anchored.length > 0) {
    const times = anchored.map((one) => one.anchored?.time ?? '').sort();
    const by = [...new Set(anchored.flatMap((one) => one.anchored?.by ?? []))].sort();
    said.push(
      `Outside the operator's reach, ${by.join(' and ')} had what was signed by ${times.at(-1)}: nobody could rewrite it since without their help.`,
    );
  }
  return said;
}

/** What holding the answer against the records has shown: by rules apart from the statement. */
function tellJudged(
  { by, matching, repeated, masked }: JudgedAnswer,
  records: number,
  rows: Facts['rows'],
): string {
  const read = `of the ${count(records, 'record')} that were read`;
  const again =
    repeated === 0
      ? ''
      : ` Of them ${count(repeated, 'record')} ${repeated === 1 ? 'repeats' : 'repeat'} an event that another one has.`;
  const lacking =
    masked === 0
      ? ''
      : `, but for ${count(masked, 'event')} under the id of another act, which no query shows (see the notes)`;
  if (by === 'rows')
    return `The answer is complete${lacking}: ${matching.toLocaleString('en-US')} ${read} answer the question, by a rule that shares nothing with the statement, and ${rows.count === 1 ? 'the one row is what they are' : `the ${count(rows.count, 'row')} are what they are`}: the database kept none back.${again}`;
  if (by === 'figures')
    return `The figures are right, and no row is missing${lacking}: they were computed again, by a rule that shares nothing with the statement, from the ${count(matching, 'record')} that count, ${read}.${again}`;
  if (by === 'excused')
    return `No row is missing${lacking}: of the ${count(matching, 'record')} that could be one, ${read}, each is a row, or what keeps it out of the answer was shown, by a rule that shares nothing with the statement.${again}`;
  return `Each row is one of the ${count(matching, 'record')} that could be one, ${read}, by a rule that shares nothing with the statement.${again}`;
}

/** What the answer does not prove, whatever came out. */
export function tellNotProven({
  asked,
  rows,
  purged,
  judged,
  proofs,
  known,
}: Facts): readonly string[] {
  const said: string[] = [];
  const bare = proofs.filter(({ checkpoint }) => checkpoint === null).map(({ stream }) => stream);
  const isAllBare = bare.length === proofs.length;
  if (isAllBare || bare.length > 0)
    said.push(
      `That the whole history${isAllBare ? '' : ` of ${bare.join(', ')}`} was not written anew: no checkpoint was held against it. Somebody with full power over the database could have changed a record and sealed all that follow again, or cut off the end, and this certificate would not show it.`,
    );
  if (!isAllBare && known?.isJudged !== true)
    said.push(
      'Who signed the checkpoints: no trusted key was named. Somebody with full power over the database could have put checkpoints of his own there, and this certificate would not show it.',
    );
  if (known?.isAnchorAsked !== true)
    said.push(
      "That the operator did not write the history anew together with the agent's key: no outside witness or time-stamp was asked for. When the records were sealed rests on the agent's clock.",
    );
  for (const { stream, to, tree, checkpoint, after } of proofs)
    if (checkpoint !== null && tree !== null && tree.size < to)
      said.push(
        `That nothing was cut off behind the end of ${stream}, or changed from seq ${tree.size} on and sealed again: those records are under no checkpoint yet.`,
      );
    else if (checkpoint !== null && after === null)
      said.push(
        `That ${stream} ends before seq ${to}: somebody with full power over the database could have cut off its end together with the checkpoints that tell of it. Those that the agent keeps would show it (--checkpoints).`,
      );
  for (const { stream, to, anchored } of proofs)
    if (anchored !== null && BigInt(anchored.size) < BigInt(to))
      said.push(
        `That outsiders had records of ${stream} from seq ${anchored.size} on: what was anchored ends before them.`,
      );
  const behind = proofs.filter(({ first, before }) => first > 0 && before === null);
  if (behind.length > 0)
    said.push(
      `What stood in records that were purged under the retention policy: of ${count(behind.length, 'stream')} the range begins right behind them.`,
    );
  if (purged > 0)
    said.push(
      `Whether ${count(purged, 'record')} of the range, of which a purge left the hashes alone, answered the question: that cannot be judged.`,
    );
  const isFigures = rows.records < rows.count || judged?.by === 'figures';
  if (judged === null && isFigures)
    said.push(
      'The figures in rows that count or compare: the database computed them. Certified are all records of that time from which they were computed; the statement can be run again by hand.',
    );
  if (judged?.by === 'candidates')
    said.push(
      'Which of the records that could be rows are rows, and where a gap begins: that rests on other records as well, and on the database, which picked. Whoever has full power over it can have it keep some back.',
    );
  if (judged?.by === 'excused')
    said.push(
      'That what came before the range is as the database shows it: there lies some of what makes a record a row, or keeps it out (an earlier access, the assignment of a ticket and its end). Whoever has full power over the database can have it keep some of that back, or make up what was never sealed.',
    );
  if (judged === null && !isFigures)
    said.push(
      'That the answer has every row that the statement finds: the database picked them, and whoever has full power over it can have it keep some back, or all. What it was to pick from is certified.',
    );
  said.push(
    `That no record of another time of receipt states a time between ${asked.since} and ${asked.until}: such records (reported late, or by a wrong clock) are found by their time column, which is compared for those alone that were found.`,
    'That the application reported everything that happened, and told the truth: a certificate begins where a record was received.',
    'That the time an event states is right: it is the clock of the application that reported it.',
    'That there is no stream of this tenant of which the store never heard, or that was taken out of it together with its checkpoints.',
  );
  return said;
}

function shownOf({ count: rows, records }: Pick<GatheredRows, 'count' | 'records'>): string {
  if (rows === 0) return 'the answer has no row,';
  if (records !== rows) return `the records behind ${count(rows, 'row')}`;
  return rows === 1 ? 'the one row' : `all ${count(rows, 'row')}`;
}

function count(n: number, what: string): string {
  return `${n.toLocaleString('en-US')} ${what}${n === 1 ? '' : 's'}`;
}
