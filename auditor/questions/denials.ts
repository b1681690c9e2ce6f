/** Denials by actor and hour: what guessing looks like. */
import { NOTHING, sql } from '../sql.ts';
import type { Question } from './question.ts';
import { asKey, asTime, limitOf } from './records.ts';

export const denialsPerHour: Question = {
  id: 'denials-per-hour',
  title: 'Who was denied again and again?',
  help: 'People and services that were refused so often within one hour that they may be guessing. Hours begin on the full hour of the time zone.',
  parameters: [
    {
      name: 'threshold',
      title: 'At least',
      help: 'from how many denials within one hour on somebody is shown',
      kind: 'number',
      default: '10',
      example: '5',
    },
    {
      name: 'action',
      title: 'Action',
      help: 'count the denials of this action alone (of every action, where none is named)',
      kind: 'text',
      default: '',
      example: 'user.login',
    },
  ],
  columns: [
    { name: 'hour', title: 'Hour from', kind: 'time' },
    { name: 'actor', title: 'Actor', kind: 'text' },
    { name: 'denials', title: 'Denials', kind: 'number' },
    { name: 'first', title: 'First', kind: 'time' },
    { name: 'last', title: 'Last', kind: 'time' },
  ],
  key: ['time', 'text'],
  build: (question, page) => {
    const { tenant, since, until, timeZone } = question;
    const [hour, actor] = page.after ?? [];
    const action = question.text('action');
    const first = sql`date_trunc('hour', ${since}::timestamptz, ${timeZone})`;
    // Day by day: a page of many denials takes but a few, and where there are few a day costs no more than an hour. The
    // range once more by itself: months beyond it are not even planned.
    return sql`SELECT ${asKey('d.hour')} AS hour, d.actor_id, d.denials::text, ${asTime('d.first')} AS first,
  ${asTime('d.last')} AS last
FROM (
  SELECT begins FROM generate_series(${first}, ${until}::timestamptz - interval '1 millisecond', interval '24 hours') AS begins
  WHERE begins + interval '24 hours' > ${hour ?? since}::timestamptz
  ORDER BY begins
) days
CROSS JOIN LATERAL (
  SELECT date_bin('1 hour', r.occurred_at, days.begins) AS hour, r.actor_id, count(*) AS denials,
    min(r.occurred_at) AS first, max(r.occurred_at) AS last
  FROM audit.records r
  WHERE r.tenant_id = ${tenant} AND NOT r.duplicate AND r.outcome = 'denied'
    AND r.occurred_at >= ${since}::timestamptz AND r.occurred_at < ${until}::timestamptz
    AND r.occurred_at >= greatest(days.begins, ${hour ?? since}::timestamptz) AND r.occurred_at < days.begins + interval '24 hours'
    ${action === '' ? NOTHING : sql`AND r.action = ${action}`}
  GROUP BY 1, 2
  HAVING count(*) >= ${question.number('threshold')}::float8
) d
${hour === undefined || actor === undefined ? NOTHING : sql`WHERE (d.hour, d.actor_id) > (${hour}::timestamptz, ${actor} COLLATE "C")`}
ORDER BY days.begins, d.hour, d.actor_id
${limitOf(page)}`;
  },
  readRow: ([hour = null, actor = null, denials = null, first = null, last = null]) => ({
    values: [hour?.replace('000Z', 'Z') ?? null, actor, Number(denials), first, last],
    record: null,
  }),
};
