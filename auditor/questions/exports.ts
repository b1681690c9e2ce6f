/** Exports by their size. */
import { sql } from '../sql.ts';
import { COMMON, ROWS } from './columns.ts';
import type { Question } from './question.ts';
import { METADATA_TEXT, recordQuestion, recordsFiltered } from './records.ts';

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
      // The looks at the text spare parsing an event without one, and most that have fewer.
      condition: sql`r.action = ${question.text('action')} AND strpos(r.event_bytes, '"row_count":') > 0
  AND coalesce(substring(${METADATA_TEXT} FROM '^(?:[^{]*,)?"row_count":([0-9]{1,15})(?:,|$)')::float8 > ${question.number('rows')}::float8, true)`,
      // A number or, beyond 2^53, a text.
      filter: sql`CASE WHEN r.metadata ->> 'row_count' ~ '^[0-9]{1,30}([.][0-9]{1,30})?$'
  THEN (r.metadata ->> 'row_count')::numeric > ${question.number('rows')}::float8::numeric ELSE false END`,
    }),
});
