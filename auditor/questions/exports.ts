/** Exports by their size. */
import { sql } from '../sql.ts';
import { COMMON, ROWS } from './columns.ts';
import type { Question } from './question.ts';
import { recordQuestion, recordsFiltered } from './records.ts';

export const exportsOverRows: Question = recordQuestion({
  id: 'exports-over-rows',
  title: 'What left in bulk?',
  help: 'Exports of more rows than you say. How many rows one had is what its event says, as metadata.row_count.',
  parameters: [
    {
      name: 'rows',
      title: 'More than',
      help: 'how many rows an export may have without being shown',
      kind: 'number',
      default: '1000',
      example: '10000',
    },
    {
      name: 'action',
      title: 'Action',
      help: 'the action that is an export, by its name in the list of actions that your applications record',
      kind: 'text',
      default: 'customer.export',
      example: 'file.download',
    },
  ],
  columns: [...COMMON, ROWS],
  build: (question, page) =>
    recordsFiltered(question, page, {
      // A look at the text spares parsing an event without one, and most that have fewer. Whole digits up to the end of
      // the member, and no other member of that name anywhere: then it is what it says.
      condition: sql`r.action = ${question.text('action')}
    AND (SELECT said.rest <> '' AND CASE WHEN ltrim(said.count, '0123456789') = '' AND octet_length(said.count) BETWEEN 1 AND 15
        AND said.count::float8 <= ${question.number('rows')}::float8
      THEN split_part(r.event_bytes, '"row_count":', 3) <> '' ELSE true END
      FROM (SELECT rest, split_part(split_part(rest, '}', 1), ',', 1) AS count
        FROM (SELECT split_part(r.event_bytes, '"row_count":', 2) AS rest OFFSET 0) found OFFSET 0) said)`,
      // A number or, beyond 2^53, a text.
      filter: sql`CASE WHEN r.metadata ->> 'row_count' ~ '^[0-9]{1,30}([.][0-9]{1,30})?$'
  THEN (r.metadata ->> 'row_count')::numeric > ${question.number('rows')}::float8::numeric ELSE false END`,
    }),
});
