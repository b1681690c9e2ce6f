/** audited() without an agent that takes the event: what does not begin, what is taken back, what takes place all the same, and what is said of it. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createAudit, DeniedError, type Audit } from '../../sdk/index.ts';
import { startAgentPeer, type AgentPeer } from '../support/agent-peer.ts';
import { CLOSED, OPEN, useAuditing } from '../support/auditing.ts';
import { eventually } from '../support/eventually.ts';
import { TEST_KEY, TEST_VOCABULARY } from '../support/sdk-fixture.ts';

const auditing = useAuditing();
const { open, failures } = auditing;

/** How long what is never answered waits. */
const UNANSWERED_MS = 200;
const nowhere = (): string => join(auditing.dir, 'nobody.sock');

describe('a fail-closed action that cannot be audited', () => {
  it('does not begin without an agent', async () => {
    let begun = false;
    const attempt = open(nowhere(), 100).audited(CLOSED, () => void (begun = true));
    await expect(attempt).rejects.toMatchObject({ code: 'agent_unavailable', performed: 'no' });
    expect(begun).toBe(false);
    expect(failures).toMatchObject([{ action: 'customer.delete', fail_policy: 'fail_closed' }]);
  });

  it.each([
    [{ ...CLOSED, action: 'customer.delte' }, 'unknown_action'],
    [{ ...CLOSED, metadata: { n: 2 ** 60 } }, 'unsafe_json'],
    [{ ...CLOSED, resource: { type: 'customer', id: '' } }, 'incomplete_event'],
  ])('does not begin with a draft that would be refused: %#', async (wrong, code) => {
    let begun = false;
    const attempt = open().audited(wrong, () => void (begun = true));
    await expect(attempt).rejects.toMatchObject({ code, performed: 'no' });
    expect(begun).toBe(false);
  });

  it('does not begin while the agent puts events off', async () => {
    await using full = await disposable({
      refuse: () => ({ kind: 'disk_full', message: 'the disk is full' }),
    });
    const audit = open(full.peer.socketPath, 5000);
    const first = audit.record({ ...CLOSED, outcome: 'success' });
    const heard = first.catch((error: unknown) => error);
    await expect.poll(() => full.peer.arrivals.length).toBeGreaterThan(1);
    let begun = false;
    await expect(audit.audited(CLOSED, () => void (begun = true))).rejects.toMatchObject({
      code: 'disk_full',
      performed: 'no',
    });
    expect(begun).toBe(false);
    // One that is under way when its time is over hears that.
    expect(await heard).toMatchObject({ code: expect.stringMatching(/^(disk_full|timeout)$/) });
  });

  it('is not committed when the agent is lost in between', async () => {
    await using dying = await openToDying();
    const steps: string[] = [];
    const attempt = dying.audit.audited(CLOSED, () => void steps.push('act'), {
      commit: () => void steps.push('commit'),
      rollback: () => void steps.push('rollback'),
    });
    await expect(attempt).rejects.toMatchObject({ code: 'timeout', performed: 'no' });
    expect(steps).toEqual(['act', 'rollback']);
  });

  it('says that it took place when there was no commit to hold back', async () => {
    await using dying = await openToDying();
    let begun = false;
    const attempt = dying.audit.audited(CLOSED, () => void (begun = true));
    await expect(attempt).rejects.toMatchObject({ code: 'timeout', performed: 'yes' });
    expect(begun).toBe(true);
    expect(failures).toMatchObject([{ action: 'customer.delete', spooled: false }]);
  });

  it('says that nothing was changed when it was not recorded, also where the rollback fails', async () => {
    await using dying = await openToDying();
    const attempt = dying.audit.audited(CLOSED, () => 'prepared', {
      commit: () => 'never',
      rollback: () => Promise.reject(new Error('connection lost')),
    });
    await expect(attempt).rejects.toMatchObject({ name: 'AuditError', performed: 'no' });
  });

  it('opens the breaker by its refusals, so that the next ones need not wait', async () => {
    const audit = createAudit({
      service: 'test',
      vocabulary: TEST_VOCABULARY,
      redactionKey: TEST_KEY,
      socketPath: nowhere(),
      timeoutMs: 20,
      breaker: { failures: 3, forMs: 0, coolDownMs: 60_000 },
    });
    auditing.closing.push(audit);
    for (let n = 0; n < 3; n++)
      await expect(audit.audited(CLOSED, () => 1)).rejects.toMatchObject({
        code: 'agent_unavailable',
      });
    await expect(audit.audited(CLOSED, () => 1)).rejects.toMatchObject({ code: 'circuit_open' });
  });

  it('gives the error of the action as the cause when neither worked', async () => {
    await using dying = await openToDying();
    const denial = new DeniedError('not yours');
    const attempt = dying.audit.audited(CLOSED, () => Promise.reject(denial));
    await expect(attempt).rejects.toMatchObject({
      name: 'AuditError',
      performed: 'no',
      cause: denial,
    });
  });
});

describe('a fail-open action that cannot be audited', () => {
  it('takes place, is spooled, and alerts', async () => {
    const audit = open(nowhere(), 100);
    expect(await audit.audited(OPEN, () => 'in')).toBe('in');
    expect(failures).toMatchObject([{ action: 'user.login', spooled: true }]);
    expect(audit.stats()).toMatchObject({ failures: 0, breaker: 'closed', spool: { spooled: 1 } });
  });

  it('keeps its own error, and is spooled as denied', async () => {
    const denial = new DeniedError('wrong password');
    const audit = open(nowhere(), 100);
    await expect(audit.audited(OPEN, () => Promise.reject(denial))).rejects.toBe(denial);
    expect(audit.stats().spool).toMatchObject({ spooled: 1 });
  });

  it('takes place even with a draft that is refused, and alerts', async () => {
    const draft = { ...OPEN, metadata: { n: 2 ** 60 } };
    expect(await open().audited(draft, () => 'in')).toBe('in');
    expect(failures).toMatchObject([{ spooled: false, error: { code: 'unsafe_json' } }]);
  });
});

/** Connected to an agent that is lost with the next event: when it connected plays no part in what is said of that one. */
async function openToDying(): Promise<{ audit: Audit<unknown> } & AsyncDisposable> {
  let isLost = false;
  const dying = await disposable({ onBatch: () => (isLost ? 'drop' : 'ack') });
  const audit = open(dying.peer.socketPath, UNANSWERED_MS);
  await eventually(() => audit.record({ ...CLOSED, outcome: 'success' }));
  isLost = true;
  failures.length = 0;
  return { audit, [Symbol.asyncDispose]: () => dying[Symbol.asyncDispose]() };
}

async function disposable(
  script: Parameters<typeof startAgentPeer>[0],
): Promise<{ peer: AgentPeer } & AsyncDisposable> {
  const started = await startAgentPeer(script);
  return { peer: started, [Symbol.asyncDispose]: () => started.close() };
}
