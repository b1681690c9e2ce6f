/** An investigation as a whole: what is joined, what is said to be missing, and what a terminal is shown. */
import { expect, test } from 'vitest';
import type { AuditEvents } from '../../../auditor/join/audit-events.ts';
import type { FoundEvent } from '../../../auditor/join/found-event.ts';
import { investigate } from '../../../auditor/join/investigate.ts';
import type { LogLine } from '../../../auditor/join/log-line.ts';
import type { LogSource, TraceSource } from '../../../auditor/join/source.ts';
import { formatInvestigation } from '../../../cli/investigate-view.ts';
import { err, ok } from '../../../schemas/result.ts';
import { createSealer, type EventFields } from '../../store/sealed.ts';
import { span, TRACE } from './spans.ts';

const sealer = createSealer();
const found = (fields: EventFields): FoundEvent => {
  const { event, this_hash } = sealer.seal({ requestId: 'req-4711', traceId: TRACE, ...fields });
  return { event, this_hash, isHashRight: true };
};
/** A store with these events. */
const storeOf = (...events: readonly FoundEvent[]): AuditEvents => {
  const those = (is: (event: FoundEvent['event']) => boolean): ReturnType<AuditEvents['find']> =>
    Promise.resolve(
      ok({ events: events.filter(({ event }) => is(event)), unreadable: [], isCut: false }),
    );
  return {
    find: (id) =>
      those(({ event_id, correlation: { request_id, trace_id } }) =>
        [event_id, request_id, trace_id].includes(id),
      ),
    findRelated: (tenant, { request, trace }) =>
      those(
        ({ resource, correlation }) =>
          resource.tenant_id === tenant &&
          (correlation.request_id === request || correlation.trace_id === trace),
      ),
    close: () => undefined,
  };
};
const line = (message: string): LogLine => ({
  ...{ where: 'app.log:1', joined_by: 'request_id', time: null, level: null, service: null },
  ...{ message, text: message },
});
const logs = (...lines: readonly LogLine[]): LogSource => ({
  name: 'app.log',
  find: async () => ok({ lines, total: lines.length, notes: [] }),
});
const traces: TraceSource = {
  name: 'traces',
  find: async () => ok({ spans: [span('handler', 0, 50)], notes: [] }),
  findByUser: async () => ok({ spans: [], notes: [] }),
};

test('a place that cannot be read leaves the rest of the answer, says so, and the whole is not whole', async () => {
  const away: LogSource = { name: 'logs.example', find: async () => err('does not answer') };
  const event = found({ metadata: { row_count: 7 } });
  const answer = await investigate(event.event.event_id, {
    ...{ events: storeOf(event), store: 'store' },
    ...{ logs: [logs(line('done')), away], traces: [traces] },
  });
  expect(answer).toMatchObject({
    isWhole: false,
    lines_total: 1,
    answers: { rows: [{ rows: 7 }] },
  });
  expect(answer.missing, 'not mistaken for an empty place').toEqual([]);
  expect(formatInvestigation(answer)).toContain('logs    logs.example: NOT READ: does not answer');
});

test('an event of the same trace is shown, and its own request is not joined along', async () => {
  const [mine, next] = [found({}), found({ requestId: 'req-4712' })];
  const asked: string[] = [];
  const spying: LogSource = {
    name: 'app.log',
    find: async ({ requests }) => {
      asked.push(...requests);
      return ok({ lines: [line('x')], total: 1, notes: [] });
    },
  };
  const answer = await investigate(mine.event.event_id, {
    ...{ events: storeOf(mine, next), store: 'store', logs: [spying], traces: [traces] },
  });
  expect(answer.events).toHaveLength(2);
  expect(asked).toEqual(['req-4711']);
});

test('an event of another tenant that shares the ids is no part of it', async () => {
  const [mine, theirs] = [found({}), found({ tenant: 'globex' })];
  const answer = await investigate(mine.event.event_id, {
    ...{ events: storeOf(mine, theirs), store: 'store', logs: [logs(line('x'))], traces: [traces] },
  });
  expect(answer.events.map(({ event }) => event.event_id)).toEqual([mine.event.event_id]);
});

test('what logs, spans and events say cannot move the cursor, colour the terminal or turn the text', async () => {
  const evil = '\u001b[2J\u001b]0;x\u0007\u009b31m\u202egpj.exe\r\nINTACT\u2028x';
  const event = found({ actor: `u-1${evil}`, metadata: { note: evil } });
  const answer = await investigate(event.event.event_id, {
    ...{ events: storeOf(event), store: 'store', logs: [logs(line(evil))] },
    traces: [{ ...traces, find: async () => ok({ spans: [span(evil, 0, 9)], notes: [evil] }) }],
  });
  const shown = formatInvestigation(answer);
  expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u);
  expect(shown).toContain(String.raw`\u{1b}[2J`);
  expect(shown.split('\n')).not.toContain('INTACT');
});

test('a trace that names another user than the record does is pointed at', async () => {
  const event = found({ actor: 'u_admin_bob' });
  const spans = [span('handler', 0, 9, { attributes: { 'user.id': 'u_admin_alice' } })];
  const answer = await investigate(event.event.event_id, {
    ...{ events: storeOf(event), store: 'store', logs: [logs(line('x'))] },
    traces: [{ ...traces, find: async () => ok({ spans, notes: [] }) }],
  });
  expect(formatInvestigation(answer)).toContain(
    'u_admin_alice, as the spans say: NOT WHO THE RECORD NAMES (u_admin_bob)',
  );
});

test('an event recorded again word for word is one; another act under its id is shown, and nothing is certain', async () => {
  const metadata = { row_count: 7 };
  const first = found({ event_id: '01KAVV6B3QK7Q0XXXXXXXXXXXX', actor: 'u-1', metadata });
  const { event_id } = first.event;
  const again = { ...first, event: { ...first.event, chain: { ...first.event.chain, seq: 99 } } };
  const ask = (...events: readonly FoundEvent[]): ReturnType<typeof investigate> =>
    investigate(event_id, {
      ...{ events: storeOf(...events), store: 'store', logs: [logs(line('x'))], traces: [traces] },
    });
  expect(await ask(first, again)).toMatchObject({ isWhole: true, events: [first] });
  const other = found({ event_id, actor: 'u-2', requestId: 'req-4713', metadata });
  const answer = await ask(first, again, other);
  expect(answer.events).toEqual([first, other]);
  expect(answer.isWhole).toBe(false);
  expect(answer.requests).toEqual(['req-4711', 'req-4713']);
  expect(formatInvestigation(answer)).toMatch(/MISSING\n.*recorded 2 times, and each tells of/);
});

test('a record that was changed after it was sealed is shown, and the whole is not whole', async () => {
  const changed = { ...found({ metadata: { row_count: 7 } }), isHashRight: false };
  const answer = await investigate(changed.event.event_id, {
    ...{ events: storeOf(changed), store: 'store', logs: [logs(line('x'))], traces: [traces] },
  });
  expect(answer).toMatchObject({ isWhole: false, events: [changed] });
  expect(formatInvestigation(answer)).toMatch(/MISSING\n.*does not have the hash that it states/);
});

test('a hundred thousand spans below one are a tree like any other', async () => {
  const many = Array.from({ length: 130_000 }, (_, n) =>
    span('step', 1, 2, { id: n.toString(16).padStart(8, '0'), parent: 'handler' }),
  );
  const event = found({});
  const answer = await investigate(event.event.event_id, {
    ...{ events: storeOf(event), store: 'store', logs: [logs(line('x'))] },
    traces: [
      { ...traces, find: async () => ok({ spans: [span('handler', 0, 50), ...many], notes: [] }) },
    ],
  });
  expect(answer.tree.nodes).toHaveLength(130_001);
});
