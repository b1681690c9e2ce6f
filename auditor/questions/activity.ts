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
  help: 'Every event of the time that you choose, in the order in which they happened.',
  parameters: [OUTCOME],
  columns: COMMON,
  build: (question, page) => recordsWhere(question, page, sql`true ${outcomeIs(question)}`),
});

export const actorActivity: Question = recordQuestion({
  id: 'actor-activity',
  title: 'What did this actor do?',
  help: 'All that one person or service did, also what they did in the name of somebody else.',
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
  help: 'All that was done to one record, whoever did it and in whatever role.',
  parameters: [
    {
      name: 'type',
      title: 'Kind of record',
      help: 'what kind of thing it is, by the word that the events have for it',
      kind: 'text',
      example: 'customer',
    },
    {
      name: 'id',
      title: 'Record',
      help: 'which one: its id, as the events show it',
      kind: 'text',
      example: 'c-9',
    },
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
  help: 'Each time that one action was done: by whom, and to what.',
  parameters: [
    {
      name: 'action',
      title: 'Action',
      help: 'what was done, by its name in the list of actions that your applications record (the vocabulary)',
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
  help: 'All that the administrator did in the name of another person, with the ticket that was given as the reason, where there is one.',
  parameters: [ACTOR],
  columns: COMMON,
  build: (question, page) =>
    recordsWhere(
      question,
      page,
      sql`r.actor_id = ${question.text('actor')} AND r.on_behalf_of_id IS NOT NULL`,
    ),
});
