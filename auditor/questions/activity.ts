/** What happened: all of it, by an actor, to a record, of one kind. */
import { indexableResourceId } from '../../store/rows.ts';
import { sql } from '../sql.ts';
import { COMMON } from './columns.ts';
import { ACTOR, OUTCOME, outcomeIs } from './parameters.ts';
import type { Question } from './question.ts';
import { recordQuestion, recordsWhere } from './records.ts';

export const allActivity: Question = recordQuestion({
  id: 'all-activity',
  title: 'What happened?',
  help: 'Every event of the range, in order.',
  parameters: [OUTCOME],
  columns: COMMON,
  build: (question, page) => recordsWhere(question, page, sql`true ${outcomeIs(question)}`),
});

export const actorActivity: Question = recordQuestion({
  id: 'actor-activity',
  title: 'What did this actor do?',
  help: 'Every event of one actor, also what they did as somebody else.',
  parameters: [ACTOR, OUTCOME],
  columns: COMMON,
  build: (question, page) =>
    recordsWhere(
      question,
      page,
      sql`r.actor_id = ${question.text('actor')} ${outcomeIs(question)}`,
    ),
});

export const resourceHistory: Question = recordQuestion({
  id: 'resource-history',
  title: 'Who touched this record?',
  help: 'Every event on one record, whoever did it and in whatever role.',
  parameters: [
    {
      name: 'type',
      title: 'Kind of record',
      help: 'as it stands in the events',
      kind: 'text',
      example: 'customer',
    },
    { name: 'id', title: 'Record', help: 'its id', kind: 'text', example: 'c-9' },
  ],
  columns: COMMON,
  build: (question, page) =>
    recordsWhere(
      question,
      page,
      sql`r.resource_type = ${question.text('type')} AND r.resource_id = ${indexableResourceId(question.text('id'))}`,
    ),
});

export const actionOccurrences: Question = recordQuestion({
  id: 'action-occurrences',
  title: 'Where was this done?',
  help: 'Every occurrence of one action.',
  parameters: [
    {
      name: 'action',
      title: 'Action',
      help: 'as the vocabulary names it',
      kind: 'text',
      example: 'customer.export',
    },
    OUTCOME,
  ],
  columns: COMMON,
  build: (question, page) =>
    recordsWhere(question, page, sql`r.action = ${question.text('action')} ${outcomeIs(question)}`),
});

export const impersonations: Question = recordQuestion({
  id: 'impersonations',
  title: 'When did this administrator act as somebody else?',
  help: 'Every event of the actor on behalf of another person, with the ticket where one is named.',
  parameters: [ACTOR],
  columns: COMMON,
  build: (question, page) =>
    recordsWhere(
      question,
      page,
      sql`r.actor_id = ${question.text('actor')} AND r.on_behalf_of_id IS NOT NULL`,
    ),
});
