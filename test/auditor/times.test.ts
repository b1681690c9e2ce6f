/** Times as people say them. Pure. */
import { expect, test } from 'vitest';
import { formatCsvLine } from '../../auditor/csv.ts';
import { readTime } from '../../auditor/times.ts';

const NOW = Date.parse('2026-11-27T10:00:00.000Z');
const read = (text: string, edge: 'since' | 'until', timeZone = 'Europe/Berlin'): unknown => {
  const time = readTime(text, edge, timeZone, NOW);
  return time.ok ? time.value : time.error;
};

test.each([
  ['2026-10', '2026-09-30T22:00:00.000Z', '2026-10-31T23:00:00.000Z'],
  ['last-month', '2026-09-30T22:00:00.000Z', '2026-10-31T23:00:00.000Z'],
  ['2026-10-25', '2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z'],
  ['2026-12-31', '2026-12-30T23:00:00.000Z', '2026-12-31T23:00:00.000Z'],
  ['today', '2026-11-26T23:00:00.000Z', '2026-11-27T23:00:00.000Z'],
  ['yesterday', '2026-11-25T23:00:00.000Z', '2026-11-26T23:00:00.000Z'],
  ['last-week', '2026-11-15T23:00:00.000Z', '2026-11-22T23:00:00.000Z'],
  ['last-year', '2024-12-31T23:00:00.000Z', '2025-12-31T23:00:00.000Z'],
  ['24h', '2026-11-26T10:00:00.000Z', '2026-11-26T10:00:00.000Z'],
  ['now', '2026-11-27T10:00:00.000Z', '2026-11-27T10:00:00.000Z'],
  ['2026-10-01T08:00:00+02:00', '2026-10-01T06:00:00.000Z', '2026-10-01T06:00:00.000Z'],
])('%s, by the clock of Berlin', (text, since, until) => {
  expect([read(text, 'since'), read(text, 'until')]).toEqual([since, until]);
});

test('a day whose midnight the clock leaves out begins with its first instant', () => {
  expect(read('2018-11-04', 'since', 'America/Sao_Paulo')).toBe('2018-11-04T03:00:00.000Z');
});

test.each(['2026-13', '2026-02-30', '2026-10-01T08:00:00', 'last-mnth', '', 'constructor'])(
  '%s is no time, and it is said what is',
  (text) => {
    expect(read(text, 'since')).toMatch(/is no time/);
  },
);

test('a mistyped word is recognised', () => {
  expect(read('last-mnth', 'since')).toMatch(/did you mean last-month\?/);
});

test('a cell of CSV is never a formula', () => {
  for (const start of ['=', '+', '-', '@', '\t', '\r', ' =', '\n=', '\uff1d'])
    expect(formatCsvLine([`${start}HYPERLINK("x")`])).toMatch(/^"?'/);
  expect(formatCsvLine(['a', 'a,b', 'a"b', 'a\nb', -5, null])).toBe(
    'a,"a,b","a""b","a\nb",-5,\r\n',
  );
});
