/** Accesses outside working hours, as the clock on the wall has them. */
import type { AskError, Column } from '../answer.ts';
import { NOTHING, sql } from '../sql.ts';
import { COMMON, type RecordColumn } from './columns.ts';
import type { Question, Resolved } from './question.ts';
import { behind, inRange, limitOf, ORDER, recordQuestion, SELECT } from './records.ts';

const DAYS: readonly string[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const CLOCK = /^([01][0-9]|2[0-3]):[0-5][0-9]$/;

const LOCAL: Column = { name: 'local_time', title: 'By the clock there', kind: 'text' };
const localColumn: RecordColumn = { ...LOCAL, of: (_event, _question, extra) => extra[0] ?? null };

export const offHours: Question = recordQuestion({
  id: 'off-hours',
  title: 'Who worked outside working hours?',
  help: 'Events before working hours, after them, or on a day off, by the clock of the time zone. When summer time ends, that clock shows an hour twice: the second one counts.',
  parameters: [
    {
      name: 'actor',
      title: 'Actor',
      help: 'look at what this person or service did (at what anybody did, where none is named)',
      kind: 'text',
      default: '',
      example: 'u_admin_alice',
    },
    {
      name: 'category',
      title: 'Category',
      help: 'which kind of actions, by the category that the list of actions gives them; * for all',
      kind: 'text',
      default: 'data_access',
      example: 'authentication',
    },
    {
      name: 'opens',
      title: 'Opens',
      help: 'when the working day begins, in hours and minutes by the clock of the time zone',
      kind: 'text',
      default: '08:00',
      example: '07:30',
    },
    {
      name: 'closes',
      title: 'Closes',
      help: 'when the working day ends, by the same clock',
      kind: 'text',
      default: '18:00',
      example: '20:00',
    },
    {
      name: 'days',
      title: 'Working days',
      help: 'on which days people work: mon, tue, wed, thu, fri, sat, sun, with commas between them',
      kind: 'text',
      default: 'mon,tue,wed,thu,fri',
      example: 'mon,tue,wed,thu',
    },
  ],
  columns: [localColumn, ...COMMON],
  check: (question) => findFault(question),
  build: (question, page) => {
    const { since, until, timeZone } = question;
    const from = page.after?.[0] ?? since;
    const actor = question.text('actor');
    const category = question.text('category');
    const numbers = question.list('days').map((day) => String(DAYS.indexOf(day) + 1));
    // The closed stretches of each day in order, each walked along the index: nothing else is read.
    return sql`SELECT r.*
FROM (
  SELECT greatest(stretch.begins, ${from}::timestamptz) AS begins, least(stretch.ends, ${until}::timestamptz) AS ends
  FROM generate_series(date_trunc('day', ${from}::timestamptz AT TIME ZONE ${timeZone}),
    ${until}::timestamptz AT TIME ZONE ${timeZone}, interval '1 day') AS day
  CROSS JOIN LATERAL (SELECT extract(isodow FROM day)::int::text = ANY (${numbers}::text[]) AS works) calendar
  CROSS JOIN LATERAL (SELECT day AT TIME ZONE ${timeZone} AS begins, (day + interval '1 day') AT TIME ZONE ${timeZone} AS ends,
    (day + ${question.text('opens')}::time) AT TIME ZONE ${timeZone} AS opens,
    (day + ${question.text('closes')}::time) AT TIME ZONE ${timeZone} AS closes) clock
  -- Where the clock leaves the opening out, it may open behind the close.
  CROSS JOIN LATERAL (VALUES
    (clock.begins, CASE WHEN works THEN clock.opens ELSE clock.ends END),
    (CASE WHEN works THEN greatest(clock.opens, clock.closes) END, clock.ends)
  ) AS stretch (begins, ends)
  -- A day that the clock leaves out whole ends where it begins.
  WHERE clock.begins < clock.ends AND stretch.begins < stretch.ends
  ORDER BY 1
) closed
CROSS JOIN LATERAL (
  SELECT ${SELECT}, to_char(r.occurred_at AT TIME ZONE ${timeZone}, 'YYYY-MM-DD HH24:MI:SS Dy') AS local,
    r.occurred_at AS at, r.stream_id AS in_stream, r.seq AS at_seq
  FROM audit.records r
  WHERE ${inRange(question, page)}
    AND r.occurred_at >= closed.begins AND r.occurred_at < closed.ends
    ${actor === '' ? NOTHING : sql`AND r.actor_id = ${actor}`}
    ${category === '*' ? NOTHING : sql`AND r.category = ${category}`}
    ${behind(page)}
  ORDER BY ${ORDER}
  ${limitOf(page)} OFFSET 0
) r
WHERE closed.begins < closed.ends
ORDER BY closed.begins, r.at, r.in_stream, r.at_seq
${limitOf(page)}`;
  },
});

function findFault(question: Resolved): AskError | null {
  const fault = (parameter: string, message: string): AskError => ({
    kind: 'invalid',
    parameter,
    message,
  });
  for (const name of ['opens', 'closes'])
    if (!CLOCK.test(question.text(name))) return fault(name, 'is no time of the day like 08:00');
  if (question.text('opens') >= question.text('closes'))
    return fault('closes', 'must be after the opening');
  const wrong = question.list('days').find((day) => !DAYS.includes(day));
  return wrong === undefined ? null : fault('days', `${wrong} is none of ${DAYS.join(', ')}`);
}
