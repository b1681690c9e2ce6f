/** Denials by actor and hour: what guessing looks like. */
import { NOTHING, sql } from '../sql.ts';
import type { Question } from './question.ts';
import { asKey, asTime, limitOf } from './records.ts';

export const denialsPerHour: Question = {
  id: 'denials-per-hour',
  title: 'Who was denied again and again?',
  help: 'Actors with at least so many denials within an hour. Hours begin on the full hour of the time zone.',
  parameters: [
    {
      name: 'threshold',
      title: 'At least',
      help: 'denials within the hour',
      kind: 'number',
      default: '10',
      example: '5',
    },
    {
      name: 'action',
      title: 'Action',
      help: 'denials of this action; none: of any',
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
    return sql`SELECT ${asKey('hours.hour')} AS hour, d.actor_id, d.denials::text, ${asTime('d.first')} AS first,
  ${asTime('d.last')} AS last
FROM (
  SELECT hour FROM generate_series(date_trunc('hour', ${hour ?? since}::timestamptz, ${timeZone}),
    ${until}::timestamptz - interval '1 millisecond', interval '1 hour') AS hour
  ORDER BY hour
) hours
CROSS JOIN LATERAL (
  SELECT r.actor_id, count(*) AS denials, min(r.occurred_at) AS first, max(r.occurred_at) AS last
  FROM audit.records r
  WHERE r.tenant_id = ${tenant} AND NOT r.duplicate AND r.outcome = 'denied'
    AND r.occurred_at >= greatest(hours.hour, ${since}::timestamptz)
    AND r.occurred_at < least(hours.hour + interval '1 hour', ${until}::timestamptz)
    ${action === '' ? NOTHING : sql`AND r.action = ${action}`}
  GROUP BY r.actor_id
  HAVING count(*) >= ${question.number('threshold')}::float8
) d
${hour === undefined || actor === undefined ? NOTHING : sql`WHERE (hours.hour, d.actor_id) > (${hour}::timestamptz, ${actor} COLLATE "C")`}
ORDER BY hours.hour, d.actor_id
${limitOf(page)}`;
  },
  readRow: ([hour = null, actor = null, denials = null, first = null, last = null]) => ({
    values: [hour?.replace('000Z', 'Z') ?? null, actor, Number(denials), first, last],
    record: null,
  }),
};
