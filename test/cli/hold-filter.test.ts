/** A hold that could hold nothing is refused, and times mean the same on every host. */
import { expect, test } from 'vitest';
import { findFilterFault } from '../../cli/hold-filter.ts';
import { readZonedTime } from '../../cli/zoned-time.ts';

test('a time is a day in UTC, or says its zone', () => {
  expect(readZonedTime('2026-01-31')).toBe('2026-01-31T00:00:00.000Z');
  expect(readZonedTime('2026-01-31T08:00+01:00')).toBe('2026-01-31T07:00:00.000Z');
  expect(readZonedTime('2026-01-31T08:00:00.5Z')).toBe('2026-01-31T08:00:00.500Z');
  for (const text of [
    '2026-01-31T08:00',
    '1',
    'March 7',
    '2026-02-30',
    '2026-02-30T00:00Z',
    '',
    '26-1-1',
  ])
    expect([text, readZonedTime(text)]).toEqual([text, null]);
});

test('a filter that no event could fit is refused', () => {
  const [from, to] = ['2026-01-01T00:00:00.000Z', '2026-04-01T00:00:00.000Z'];
  const id = '01J9ZQ4W7Y8B6M2K3N5P0R1S2V';
  for (const filter of [{ from, to }, { from }, { to: from }, { actor: 'u' }, { eventIds: [id] }])
    expect(findFilterFault(filter)).toBeNull();
  for (const [filter, fault] of [
    [{}, 'name what to hold'],
    [{ from: to, to: from }, 'before'],
    [{ from, to: from }, 'before'],
    [{ tenant: 'acme', actor: '' }, 'empty'],
    [{ eventIds: [id.toLowerCase()] }, 'no event id'],
  ] as const)
    expect(findFilterFault(filter)).toContain(fault);
});
