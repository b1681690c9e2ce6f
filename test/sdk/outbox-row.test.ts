/** A row that was not taken: which refusals are the event's fault, and which the moment's. */
import { expect, it } from 'vitest';
import { AuditError, REFUSAL_HINTS, type AuditErrorCode } from '../../sdk/errors.ts';
import { decideFate, eventOf, type OutboxRow } from '../../sdk/outbox/row.ts';
import { createBell } from '../../sdk/outbox/bell.ts';

const LATER = [
  'agent_unavailable',
  'timeout',
  'queue_full',
  'closed',
  'disk_full',
  'storage_failed',
  'shutting_down',
];
const DOUBTFUL = ['unauthorized', 'protocol_error', 'refused'];
/** The rest are about options, and never come from sending. */
const SENDING = [...Object.keys(REFUSAL_HINTS), ...LATER, ...DOUBTFUL] as AuditErrorCode[];

it('what the agent refuses for its content is set aside at once, and nothing else is', () => {
  for (const code of SENDING) {
    const fates = [1, 4, 5, 1000].map((n) => decideFate(new AuditError(code, 'x'), n).kind);
    if (LATER.includes(code)) expect([code, fates]).toEqual([code, Array(4).fill('later')]);
    else if (DOUBTFUL.includes(code))
      expect([code, fates]).toEqual([code, ['later', 'later', 'aside', 'aside']]);
    else expect([code, fates]).toEqual([code, Array(4).fill('aside')]);
  }
});

it('a line that would break the frame, or is another event than the row says, does not leave', () => {
  const row: OutboxRow = {
    id: '1',
    event_id: 'A',
    action: 'a.b',
    line: '{"event_id":"A","x":"ä"}',
    lane: null,
    attempts: 0,
  };
  const whole = eventOf(row);
  expect(whole.ok && whole.value.bytes.toString('utf8', 0, whole.value.end)).toBe(row.line);
  expect(whole.ok && whole.value.bytes[whole.value.end]).toBe(0x0a);
  for (const line of [
    `${row.line}\n${row.line}`,
    '{"event_id":\n"A"}',
    '{"event_id":"B"}',
    'null',
    '',
    '{',
  ])
    expect(eventOf({ ...row, line })).toMatchObject({ ok: false, error: { code: 'malformed' } });
  const long = `{"event_id":"A","x":"${'ä'.repeat(40_000)}"}`;
  expect(eventOf({ ...row, line: long })).toMatchObject({ error: { code: 'too_large' } });
});

it('a ring before the wait is heard once; a pause is not shortened and loses no ring', async () => {
  const bell = createBell();
  bell.ring();
  await bell.wait(600_000);
  let heard = false;
  const waiting = bell.wait(600_000).then(() => (heard = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(heard).toBe(false);
  bell.ring();
  await waiting;
  let over = false;
  const pausing = bell.pause(30).then(() => (over = true));
  bell.ring();
  await new Promise((resolve) => setImmediate(resolve));
  expect(over).toBe(false);
  await pausing;
  await bell.wait(600_000);
  const last = bell.pause(600_000);
  bell.close();
  await Promise.all([last, bell.wait(600_000), bell.pause(600_000)]);
});
