/** All that the trail has of a person, by their token: as who acted, as whom somebody acted, as whose record it was. */
import { indexableResourceId } from '../../store/rows.ts';
import { sql, type Sql } from '../sql.ts';
import { COMMON } from './columns.ts';
import type { Question } from './question.ts';
import { behind, inRange, limitOf, ORDER, recordQuestion, SELECT } from './records.ts';

export const subjectActivity: Question = recordQuestion({
  id: 'subject-activity',
  title: 'What does the trail hold about this person?',
  help: 'All events in which the person acted, in which somebody acted in their name, or which were about their record. The trail knows a person by a token: one for what they did, another for what was done with their record. `sealtrail subject tokens` names both.',
  parameters: [
    {
      name: 'subject',
      title: 'Subject',
      help: 'the token that stands for the person in the events',
      kind: 'text',
      example: 'sub_7qk4wz2m5n6p',
    },
  ],
  columns: COMMON,
  build: (question, page) => {
    const subject = question.text('subject');
    const id = indexableResourceId(subject);
    const roles: readonly [Sql, Sql][] = [
      [sql``, sql`r.actor_id = ${subject}`],
      [sql``, sql`r.on_behalf_of_id = ${subject} AND r.actor_id <> ${subject}`],
      [
        sql`types CROSS JOIN LATERAL`,
        sql`r.resource_type = types.type AND r.resource_id = ${id} AND r.actor_id <> ${subject}
    AND r.on_behalf_of_id IS DISTINCT FROM ${subject}`,
      ],
    ];
    const parts = roles.map(
      (
        [driver, condition],
        index,
      ) => sql`${index === 0 ? sql`` : sql`UNION ALL `}(SELECT r.* FROM ${driver} (
  SELECT ${SELECT}, r.occurred_at AS at, r.stream_id AS in_stream, r.seq AS at_seq
  FROM audit.records r
  WHERE ${inRange(question, page)}
    AND ${condition}
    ${behind(page)}
  ORDER BY ${ORDER}
  ${limitOf(page)}) r
ORDER BY r.at, r.in_stream, r.at_seq)
`,
    );
    // The kinds of record that the tenant has, each found by a step along the index.
    return sql`WITH RECURSIVE types (type) AS (
  SELECT min(t.resource_type) FROM audit.records t WHERE t.tenant_id = ${question.tenant}
  UNION ALL
  SELECT (SELECT min(t.resource_type) FROM audit.records t
    WHERE t.tenant_id = ${question.tenant} AND t.resource_type > types.type)
  FROM types WHERE types.type IS NOT NULL
)
SELECT * FROM (
${parts.reduce((all, part) => sql`${all}${part}`)}) r
ORDER BY r.at, r.in_stream, r.at_seq
${limitOf(page)}`;
  },
});
