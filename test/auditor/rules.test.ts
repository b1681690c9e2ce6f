/** Each rule by which an answer is held against records, by itself: what it takes, and what it does not. */
import type { ClientBase } from 'pg';
import { describe, expect, test } from 'vitest';
import type { Asked } from '../../auditor/answer.ts';
import { lookBeyond } from '../../auditor/certificate/originals.ts';
import { planStream } from '../../auditor/certificate/plan.ts';
import { resolveAsked } from '../../auditor/resolve.ts';
import type { ExcuseVerdict } from '../../auditor/rules/excuse.ts';
import { factsOf } from '../../auditor/rules/facts.ts';
import { ruleOf, type Rule } from '../../auditor/rules/rule.ts';
import type { StoredRecord } from '../../store/store.ts';
import { createSealer, type EventFields } from '../store/sealed.ts';
import { ASKED, fieldsOf } from './evidence-store.ts';

const NOBODY = { isThere: () => Promise.resolve(false), ticketEvents: () => Promise.resolve([]) };

function ruleFor(asked: Partial<Asked>): Rule {
  const found = resolveAsked({ ...ASKED, ...asked });
  if (!found.ok) throw new Error(found.error.message);
  const rule = ruleOf(found.value.resolved);
  if (rule === null) throw new Error('the question has no rule');
  return rule;
}

const seal = (fields: EventFields): StoredRecord => createSealer('a/b/c', 'acme').seal(fields);
const factsFor = (fields: EventFields): ReturnType<typeof factsOf> => {
  const { event, eventText } = seal(fields);
  return factsOf(event, eventText);
};

test('a record answers within its tenant and its time, the end left out', () => {
  const { matches } = ruleFor({});
  const answers = (fields: EventFields): boolean => matches(factsFor(fields), 'a/b/c');
  expect(answers({ time: ASKED.since })).toBe(true);
  expect(answers({ time: '2026-03-03T23:59:59.999Z' })).toBe(true);
  expect(answers({ time: ASKED.until })).toBe(false);
  expect(answers({ time: '2026-03-01T23:59:59.999Z' })).toBe(false);
  expect(answers({ time: ASKED.since, tenant: 'zeta' })).toBe(false);
  expect(answers({ time: ASKED.since, actor: 'u-2' })).toBe(false);
});

/** What a question says of records, which all are rows, or none. */
async function judge(
  asked: Partial<Asked>,
  all: readonly EventFields[],
  isRow: boolean,
): Promise<{ readonly [kind in keyof ExcuseVerdict]: readonly number[] }> {
  const { excuses, matches } = ruleFor(asked);
  for (const [seq, fields] of all.entries()) {
    const facts = factsFor(fields);
    const isMatch = matches(facts, 'a/b/c');
    const place = { stream: 'a/b/c', streamId: 1, seq, row: isRow && isMatch ? seq : undefined };
    excuses?.take(facts, place, isMatch);
  }
  const { wrong, hidden } = (await excuses?.conclude(NOBODY)) ?? { wrong: [], hidden: [] };
  return { wrong: wrong.map(({ seq }) => seq), hidden: hidden.map(({ seq }) => seq) };
}

describe('what was touched for the first time', () => {
  const asked = { question: 'first-time-access', parameters: { actor: 'u-1', days: '1' } };
  const at = (hour: number, resourceId: string): EventFields => ({
    time: new Date(Date.UTC(2026, 2, 2, hour)).toISOString(),
    resourceId,
  });
  const all = [at(1, 'c-1'), at(2, 'c-1'), at(3, 'c-2'), at(27, 'c-1'), at(26, 'c-3')];

  test('a row with an earlier event is wrong, and a first one that is no row is hidden', async () => {
    expect(await judge(asked, all, true)).toEqual({ wrong: [1], hidden: [] });
    expect((await judge(asked, all, false)).hidden.toSorted()).toEqual([0, 2, 3, 4]);
    const kinds = { ...asked, parameters: { ...asked.parameters, of: 'kind' } };
    expect((await judge(kinds, all, true)).wrong.toSorted()).toEqual([1, 2, 3, 4]);
  });
});

describe('what no ticket covers', () => {
  const asked = {
    question: 'access-outside-tickets',
    parameters: { actor: 'u-1', actions: 'customer.export' },
  };
  const at = (hour: number): Pick<EventFields, 'time'> => ({
    time: new Date(Date.UTC(2026, 2, 2, hour)).toISOString(),
  });
  const ticket = { actor: 'u-9', resourceType: 'ticket', resourceId: 'T-1' };
  const assign = {
    ...ticket,
    action: 'ticket.assign',
    metadata: { assignee: 'u-1', customer: 'c-1' },
  };
  const access = { resourceId: 'c-1' };

  test('a row that a ticket covers is wrong: its own, for that customer, from its assignment to its end', async () => {
    const all = [
      { ...access, ...at(0) },
      { ...assign, ...at(1) },
      { ...access, ...at(2) },
      { ...access, ...at(3), resourceId: 'c-2' },
      { ...access, ...at(4), metadata: { ticket: 'T-2' } },
      { ...ticket, action: 'ticket.close', ...at(5) },
      { ...access, ...at(6) },
    ];
    expect(await judge(asked, all, true)).toEqual({ wrong: [2], hidden: [] });
    expect(await judge(asked, all, false)).toEqual({ wrong: [], hidden: [0, 3, 4, 6] });
  });

  test.each([
    ['failed', { outcome: 'failure' as const }],
    ['was of another thing', { resourceType: 'customer' }],
    ['was to somebody else', { metadata: { assignee: 'u-2', customer: 'c-1' } }],
    ['was said by a number', { metadata: { assignee: 1, customer: 'c-1' } }],
  ])('an assignment that %s covers nothing', async (_, over) => {
    const all = [
      { ...assign, ...over, ...at(1) },
      { ...access, ...at(2) },
    ];
    expect((await judge(asked, all, false)).hidden).toEqual([1]);
  });
});

describe('what is shown of before the range', () => {
  const wanted = {
    ...{ actor: 'u-1', resourceType: 'customer', resourceId: 'c-1' },
    ...{ from: Date.UTC(2026, 2, 1), before: Date.UTC(2026, 2, 2) },
  };
  const right = { ...fieldsOf(5), actor: 'u-1', resourceId: 'c-1' };

  /** What the database gives, whatever it is asked. */
  async function isThere(fields: EventFields, over: object = {}): Promise<boolean> {
    const { event, eventText, prev_hash, this_hash } = seal({ ...right, ...fields });
    const row = {
      ...{ stream_id: 1, seq: '0', event_id: event.event_id, event_bytes: eventText },
      ...{ prev_hash, this_hash, ...over },
    };
    const client = { query: () => Promise.resolve({ rows: [row] }) };
    return lookBeyond(client as unknown as ClientBase, ASKED).isThere(wanted);
  }

  test('a sealed event on that thing, by that actor, then', async () => {
    expect(await isThere({})).toBe(true);
  });

  test.each([
    ['has another hash', {}, { this_hash: '0'.repeat(64) }],
    ['is of another event', {}, { event_id: 'another' }],
    ['is of another tenant', { tenant: 'zeta' }, {}],
    ['is by somebody else', { actor: 'u-2' }, {}],
    ['is on something else', { resourceId: 'c-2' }, {}],
    ['is on another kind of thing', { resourceType: 'invoice' }, {}],
    ['is of earlier', { time: '2026-02-27T00:00:00.000Z' }, {}],
    ['is of later', { time: ASKED.since }, {}],
  ])('and none that %s', async (_, fields, over) => {
    expect(await isThere(fields, over)).toBe(false);
  });
});

test('of receipts, as of checkpoints, those count up to which a stream is read; a checkpoint beyond its end where no other covers the range', () => {
  const checkpoint = (size: bigint) => ({
    ...{ origin: 'a/b/c', size, root: new Uint8Array(32), note: '', isSigned: true },
  });
  const known = {
    checkpoints: [60n, 100n, 120n].map(checkpoint),
    receipts: [10, 99, 100, 110].map((seq) => ({ seq, this_hash: '' })),
    anchoring: null,
  };
  const none = { of: [], recorded: [] };
  const planned = (to: number, end: number): readonly unknown[] => {
    const plan = planStream({ from: 24, to }, { begin: 0, end }, known, none);
    const { receipts = [], checkpoints = [] } = plan.known ?? {};
    return [plan.window.end, checkpoints.length, receipts.map(({ seq }) => seq)];
  };
  expect(planned(72, 120)).toEqual([100, 2, [10, 99]]);
  expect(planned(72, 80)).toEqual([100, 2, [10, 99]]);
  expect(planned(40, 80)).toEqual([60, 1, [10]]);
  expect(planned(120, 120)).toEqual([null, 3, [10, 99, 100, 110]]);
});
