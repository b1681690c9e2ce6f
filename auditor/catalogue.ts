/** The questions that an auditor can ask, in the order in which they are listed. */
import { suggest } from '../schemas/suggest.ts';
import type { AskError } from './answer.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import {
  actionOccurrences,
  actorActivity,
  allActivity,
  impersonations,
  resourceHistory,
} from './questions/activity.ts';
import { denialsPerHour } from './questions/denials.ts';
import { exportsOverRows } from './questions/exports.ts';
import { firstTimeAccess } from './questions/first-time.ts';
import { producerGaps } from './questions/gaps.ts';
import { offHours } from './questions/off-hours.ts';
import type { Question } from './questions/question.ts';
import { silences } from './questions/silences.ts';
import { subjectActivity } from './questions/subject.ts';
import { accessOutsideTickets, accessWithoutTicket } from './questions/tickets.ts';

export const CATALOGUE: readonly Question[] = [
  allActivity,
  actorActivity,
  resourceHistory,
  actionOccurrences,
  impersonations,
  accessWithoutTicket,
  accessOutsideTickets,
  denialsPerHour,
  subjectActivity,
  offHours,
  firstTimeAccess,
  exportsOverRows,
  producerGaps,
  silences,
];

/** The question of that name. */
export function findQuestion(id: string): Result<Question, AskError> {
  const found = CATALOGUE.find((question) => question.id === id);
  if (found !== undefined) return ok(found);
  const near = suggest(
    id,
    CATALOGUE.map((question) => question.id),
  );
  const hint =
    near === null ? 'without a question `sealtrail ask` lists them' : `did you mean ${near}?`;
  return err({
    kind: 'invalid',
    parameter: 'question',
    message: `there is no question ${JSON.stringify(id.slice(0, 64))}; ${hint}`,
  });
}
