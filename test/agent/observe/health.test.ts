import { expect, test } from 'vitest';
import { decideLive, decideReady } from '../../../agent/observe/health.ts';
import { agentStatus, appendStatus, sinkStatus } from './support.ts';

const failed = ({ checks }: ReturnType<typeof decideReady>): string[] =>
  checks.filter(({ ok }) => !ok).map(({ name }) => name);

test('an agent that takes events is live and ready, and lists what was checked', () => {
  expect(decideLive(agentStatus()).ok).toBe(true);
  const ready = decideReady(agentStatus());
  expect(ready.ok).toBe(true);
  expect(ready.checks.map(({ name }) => name)).toEqual(['append', 'queue', 'sink postgresql']);
});

test.each([
  ['disk_full', true],
  ['stopped', true],
  ['failed', false],
] as const)('a ledger that is %s: live is %s, ready is false', (state, live) => {
  const status = agentStatus({ append: appendStatus({ state }) });
  expect(decideLive(status).ok).toBe(live);
  expect(failed(decideReady(status))).toEqual(['append']);
});

test('a full queue is live, and not ready until there is room', () => {
  const full = agentStatus({ append: appendStatus({ queue_events: 100 }) });
  expect(decideLive(full).ok).toBe(true);
  expect(failed(decideReady(full))).toEqual(['queue']);
  const room = agentStatus({ append: appendStatus({ queue_events: 99 }) });
  expect(decideReady(room).ok).toBe(true);
});

test('a sink that retries leaves the agent ready: events are acked, and wait', () => {
  const sink = sinkStatus('postgresql', {
    state: 'retrying',
    lag_records: 1e6,
    lag_seconds: 86_400,
  });
  expect(decideReady(agentStatus({ sinks: [sink] })).ok).toBe(true);
});

test('a required sink that has stopped makes the agent unready, another one does not', () => {
  const required = sinkStatus('postgresql', { state: 'stopped' });
  const optional = sinkStatus('file/ecs', { state: 'stopped', required: false });
  expect(failed(decideReady(agentStatus({ sinks: [required, optional] })))).toEqual([
    'sink postgresql',
  ]);
  expect(decideReady(agentStatus({ sinks: [optional] })).ok).toBe(true);
});
