/** What an actor touched for the first time. */
import { NOTHING, sql } from '../sql.ts';
import { COMMON } from './columns.ts';
import { ACTOR } from './parameters.ts';
import type { Question } from './question.ts';
import { recordQuestion, recordsFiltered } from './records.ts';

export const firstTimeAccess: Question = recordQuestion({
  id: 'first-time-access',
  title: 'What did this actor touch for the first time?',
  help: 'Events on a record, or on a kind of record, with which the person or service had nothing to do in the days before. That need not be wrong: it says where to look closer.',
  parameters: [
    ACTOR,
    {
      name: 'of',
      title: 'First of',
      help: 'whether that very record was new to them, or its kind',
      kind: 'choice',
      choices: ['record', 'kind'],
      default: 'record',
      example: 'kind',
    },
    {
      name: 'days',
      title: 'Looking back',
      help: 'how many days before an event are looked through for an earlier one; a day is 24 hours',
      kind: 'number',
      default: '90',
      example: '30',
    },
  ],
  columns: COMMON,
  build: (question, page) => {
    const actor = question.text('actor');
    const record =
      question.text('of') === 'kind' ? NOTHING : sql`AND p.resource_id = r.resource_id`;
    return recordsFiltered(question, page, {
      condition: sql`r.actor_id = ${actor}`,
      filter: sql`(SELECT true FROM audit.records p
    WHERE p.tenant_id = r.tenant_id AND NOT p.duplicate AND p.actor_id = ${actor}
      AND p.resource_type = r.resource_type ${record}
      AND p.occurred_at >= r.occurred_at - ${question.number('days')}::float8 * interval '24 hours'
      AND p.occurred_at <= r.occurred_at
      AND (p.occurred_at, p.stream_id, p.seq) < (r.occurred_at, r.stream_id, r.seq)
    LIMIT 1) IS NULL`,
    });
  },
});
