/** The shop's job: work without a request names itself, and one run's events belong together. */
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { findUser } from '../../examples/shop/people.ts';
import { IDLE_MS, sweepSessions } from '../../examples/shop/session-sweep.ts';
import { createSessions } from '../../examples/shop/sessions.ts';
import { createAudit, type AuditEvent } from '../../sdk/index.ts';
import { startAgentPeer } from '../support/agent-peer.ts';
import { TEST_KEY } from '../support/sdk-fixture.ts';

it('idle sessions end, each with an event of the job, none of a person', async () => {
  const peer = await startAgentPeer();
  const { socketPath } = peer;
  const audit = createAudit({
    service: 'shop',
    vocabulary: 'config/vocabulary.json',
    redactionKey: TEST_KEY,
    socketPath,
  });
  const sessions = createSessions();
  const users = ['alice', 'bob'].map(findUser).filter((user) => user !== undefined);
  const tokens = users.map((user) => sessions.open(user));
  const log = pino({ level: 'silent' });

  await sweepSessions(sessions, audit, log, Date.now());
  expect(peer.appended).toEqual([]);
  await sweepSessions(sessions, audit, log, Date.now() + IDLE_MS + 1000);
  const events = peer.appended.map(({ text }) => JSON.parse(text) as AuditEvent);
  expect(events.map(({ actor, metadata }) => [actor.type, actor.id, metadata['user_id']])).toEqual([
    ['service', 'cron/session-sweep', 'u_alice'],
    ['service', 'cron/session-sweep', 'u_bob'],
  ]);
  expect(events[0]?.correlation).toMatchObject({
    request_id: events[1]?.correlation.request_id,
    workflow_id: 'session-sweep',
  });
  for (const token of tokens) expect(JSON.stringify(events)).not.toContain(token);

  await audit.close();
  await peer.close();
});
