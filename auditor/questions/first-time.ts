/** What an actor touched for the first time. */
import { NOTHING, sql } from '../sql.ts';
import { COMMON } from './columns.ts';
import { ACTOR } from './parameters.ts';
import type { Question } from './question.ts';
import { recordQuestion, recordsWhere } from './records.ts';

export const firstTimeAccess: Question = recordQuestion({
  id: 'first-time-access',
  title: 'What did this actor touch for the first time?',
  help: 'Events on a record, or on a kind of record, that the actor had no event on in the days before.',
  parameters: [
    ACTOR,
    {
      name: 'of',
      title: 'First of',
      help: 'the record itself, or its kind',
      kind: 'choice',
      choices: ['record', 'kind'],
      default: 'record',
      example: 'kind',
    },
    {
      name: 'days',
      title: 'Looking back',
      help: 'so many times 24 hours before the event',
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
    return recordsWhere(
      question,
      page,
      sql`r.actor_id = ${actor}
  AND (SELECT true FROM audit.records p
    WHERE p.tenant_id = r.tenant_id AND NOT p.duplicate AND p.actor_id = ${actor}
      AND p.resource_type = r.resource_type ${record}
      AND p.occurred_at >= r.occurred_at - ${question.number('days')}::float8 * interval '24 hours'
      AND p.occurred_at <= r.occurred_at
      AND (p.occurred_at, p.stream_id, p.seq) < (r.occurred_at, r.stream_id, r.seq)
    LIMIT 1) IS NULL`,
    );
  },
});
