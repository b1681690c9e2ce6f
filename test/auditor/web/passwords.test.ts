/** Passwords, waits and times of the auditor's page, each by itself. */
import { describe, expect, test } from 'vitest';
import {
  createPasswordCheck,
  hashPassword,
  isPasswordHash,
} from '../../../auditor/web/passwords.ts';
import { countRows } from '../../../auditor/web/timeline.ts';
import { fromWall, parseLocal, rangeOf } from '../../../auditor/web/times.ts';

describe('a password', () => {
  test('is kept as scrypt with its cost beside it, salted anew each time', async () => {
    const [one, other] = [await hashPassword('correct horse'), await hashPassword('correct horse')];
    expect(one).toMatch(/^scrypt\$32768\$8\$3\$/);
    expect(one).not.toBe(other);
    expect(isPasswordHash(one)).toBe(true);
    const check = createPasswordCheck();
    expect(await check.isRight('correct horse', one)).toBe(true);
    expect(await check.isRight('correct horsf', one)).toBe(false);
  });

  test.each([
    ['scrypt$32767$8$3', 'no power of two'],
    ['scrypt$131072$8$1', 'more memory than there is for it'],
    ['scrypt$0$8$1', 'nothing'],
  ])('with the cost %s is no hash: %s', (head) => {
    const rest = `$${'A'.repeat(22)}$${'A'.repeat(43)}`;
    expect(isPasswordHash(head + rest)).toBe(false);
    expect(isPasswordHash(`scrypt$16384$8$1${rest}`)).toBe(true);
  });

  test('of a name that there is not costs the same work, and is never right', async () => {
    const check = createPasswordCheck();
    const hash = await hashPassword('correct horse');
    const cpuOf = async (of: string | undefined): Promise<number> => {
      const began = process.cpuUsage();
      expect(await check.isRight('guess', of)).toBe(false);
      const { user, system } = process.cpuUsage(began);
      return user + system;
    };
    const [known, unknown] = [await cpuOf(hash), await cpuOf(undefined)];
    expect(unknown).toBeGreaterThan(known / 3);
    expect(unknown).toBeLessThan(known * 3);
  });
});

describe('times', () => {
  const now = Date.parse('2026-03-29T12:00:30.000Z');
  test('of a month are those of the zone, over a change of its clocks', () => {
    expect(rangeOf('this-month', now, 'Europe/Zurich')).toEqual({
      since: '2026-02-28T23:00:00.000Z',
      until: '2026-03-31T22:00:00.000Z',
    });
    expect(rangeOf('last-month', Date.parse('2026-01-15T00:00:00Z'), 'UTC')?.since).toBe(
      '2025-12-01T00:00:00.000Z',
    );
    expect(rangeOf('day', now, 'UTC')?.until).toBe('2026-03-29T12:01:00.000Z');
  });

  test('of a wall clock are one each, also where it shows them twice or never', () => {
    expect(parseLocal('2026-07-01T12:00', 'Europe/Zurich')).toBe('2026-07-01T10:00:00.000Z');
    expect(parseLocal('2026-10-25T02:30', 'Europe/Zurich')).toBe('2026-10-25T00:30:00.000Z');
    expect(new Date(fromWall(Date.UTC(2026, 2, 29, 2, 30), 'Europe/Zurich')).toISOString()).toBe(
      '2026-03-29T00:30:00.000Z',
    );
    expect(parseLocal('yesterday', 'UTC')).toBeNull();
  });

  test('of rows with outcomes that there are not open one series, not one each', async () => {
    const asked = {
      ...{ question: 'q', tenant: 't', parameters: {}, timeZone: 'UTC' },
      ...{ since: '2026-10-20T00:00:00.000Z', until: '2026-10-21T00:00:00.000Z' },
    };
    const columns = [
      { name: 'time', title: 'Time', kind: 'time' },
      { name: 'outcome', title: 'Outcome', kind: 'text' },
    ] as const;
    async function* rows(): AsyncGenerator<{ values: string[]; record: null }> {
      for (let n = 0; n < 50; n += 1)
        yield { values: [asked.since, n === 0 ? 'denied' : `forged-${n}`], record: null };
    }
    const timeline = await countRows(asked, columns, rows());
    expect(timeline?.series).toEqual(['denied', 'other']);
    expect(timeline?.buckets[0]?.counts).toEqual([1, 49]);
  });

  test('fall into every day of the range once, also those of 23 and 25 hours', async () => {
    const asked = {
      ...{ question: 'q', tenant: 't', parameters: {}, timeZone: 'Europe/Zurich' },
      ...{ since: '2026-10-20T22:00:00.000Z', until: '2026-10-29T23:00:00.000Z' },
    };
    const columns = [{ name: 'time', title: 'Time', kind: 'time' }] as const;
    async function* rows(): AsyncGenerator<{ values: string[]; record: null }> {
      for (let hour = 0; hour < 217; hour += 1)
        yield {
          values: [new Date(Date.parse(asked.since) + hour * 3_600_000).toISOString()],
          record: null,
        };
    }
    const timeline = await countRows(asked, columns, rows());
    expect(timeline?.buckets.map(({ counts }) => counts[0])).toEqual([
      24, 24, 24, 24, 25, 24, 24, 24, 24,
    ]);
  });
});
