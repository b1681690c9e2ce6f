/** audited(): what is refused before the action, what is recorded of it, and what is said afterwards. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAudit, DeniedError, type Audit, type AuditFailure } from '../../sdk/index.ts';
import { startAgentPeer, type AgentPeer } from '../support/agent-peer.ts';
import { eventually } from '../support/eventually.ts';
import { TEST_KEY, TEST_VOCABULARY } from '../support/sdk-fixture.ts';

const CLOSED = {
  action: 'customer.delete',
  actor: { type: 'user', id: 'u-1', name: 'Ada' },
  resource: { type: 'customer', id: 'c-1' },
} as const;
const OPEN = { ...CLOSED, action: 'user.login' } as const;

let dir = '';
let peer: AgentPeer;
let failures: AuditFailure[] = [];
let audits: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sealtrail-audited-'));
  failures = [];
  audits = [];
  peer = await startAgentPeer();
});
afterEach(async () => {
  await Promise.all(audits.map((audit) => audit.close()));
  await peer.close();
  rmSync(dir, { recursive: true, force: true });
});

function open(socketPath: string = peer.socketPath, timeoutMs = 30_000): Audit<unknown> {
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath,
    timeoutMs,
    // Where there is an agent nothing is to be spooled, however long its ack takes.
    spool: { dir: join(dir, 'spool'), afterMs: timeoutMs },
    onAuditFailure: (failure) => failures.push(failure),
  });
  audits.push(audit);
  return audit;
}

/** What was recorded: action, outcome and the name of the error. */
function recorded(of: AgentPeer = peer): unknown[] {
  return of.appended.map(({ text }) => {
    const { event, metadata } = JSON.parse(text) as {
      event: { action: string; outcome: string };
      metadata: { error?: string };
    };
    return [event.action, event.outcome, metadata.error];
  });
}

/** How long what is never answered waits. */
const UNANSWERED_MS = 200;
const nowhere = (): string => join(dir, 'nobody.sock');

describe('an action that can be audited', () => {
  it('is recorded as a success, and its value returned', async () => {
    expect(await open().audited(CLOSED, () => Promise.resolve(41))).toBe(41);
    expect(recorded()).toEqual([['customer.delete', 'success', undefined]]);
  });

  it('is recorded as a failure when it throws, without the message', async () => {
    const failing = (): never => {
      throw Object.assign(new Error('password hunter22'), { code: 'E_QUOTA' });
    };
    await expect(open().audited(CLOSED, failing)).rejects.toThrow('hunter22');
    expect(recorded()).toEqual([['customer.delete', 'failure', 'E_QUOTA']]);
    expect(peer.appended[0]?.text).not.toContain('hunter22');
  });

  it('is recorded as denied for a DeniedError, or for what the caller calls a denial', async () => {
    const audit = open();
    const denial = new DeniedError('not yours');
    await expect(audit.audited(CLOSED, () => Promise.reject(denial))).rejects.toBe(denial);
    const forbidden = Object.assign(new Error('no'), { status: 403 });
    const isDenied = (error: unknown): boolean => error === forbidden;
    await expect(audit.audited(CLOSED, () => Promise.reject(forbidden), { isDenied })).rejects.toBe(
      forbidden,
    );
    expect(recorded()).toEqual([
      ['customer.delete', 'denied', 'DeniedError'],
      ['customer.delete', 'denied', 'Error'],
    ]);
  });

  it.each([
    ['nothing at all', undefined, 'Error'],
    ['null', null, 'Error'],
    ['a text', 'hunter22', 'Error'],
    ['an error that cannot be looked at', hostileError(), 'Error'],
  ])('is recorded as a failure when it throws %s', async (_what, thrown, name) => {
    let heard: unknown = 'nothing';
    const isDenied = (error: unknown): boolean => (error as { status: number }).status === 403;
    const rolledBack: string[] = [];
    const rollback = (): void => void rolledBack.push('rollback');
    await open()
      .audited(CLOSED, () => Promise.reject(thrown), { isDenied, rollback })
      .catch((error: unknown) => void (heard = error));
    expect(heard === thrown).toBe(true);
    expect(recorded()).toEqual([['customer.delete', 'failure', name]]);
    expect(rolledBack).toEqual(['rollback']);
  });

  it('keeps its own error when the rollback fails as well, which is a warning', async () => {
    const warnings: string[] = [];
    const hear = ({ message }: Error): void => void warnings.push(message);
    process.on('warning', hear);
    const rollback = (): never => {
      throw new Error('connection lost');
    };
    const denial = new DeniedError('not yours');
    const attempt = open().audited(CLOSED, () => Promise.reject(denial), { rollback });
    await expect(attempt).rejects.toBe(denial);
    expect(recorded()).toEqual([['customer.delete', 'denied', 'DeniedError']]);
    await expect
      .poll(() => warnings)
      .toEqual(['rollback of customer.delete threw: connection lost']);
    process.off('warning', hear);
  });

  it('is recorded with what it notes, however it ends', async () => {
    const audit = open();
    const draft = { ...CLOSED, metadata: { ticket: 'T-1', rows: 0 } };
    await audit.audited(draft, (note) => note({ metadata: { rows: 2 }, changes: ['name'] }));
    const failing = audit.audited(draft, (note) => {
      note({ metadata: { rows: 1 } });
      throw new RangeError('too far');
    });
    await expect(failing).rejects.toThrow('too far');
    const events = peer.appended.map(({ text }) => JSON.parse(text) as Record<string, unknown>);
    expect(events).toMatchObject([
      { metadata: { ticket: 'T-1', rows: 2 }, changes: ['name'] },
      { metadata: { ticket: 'T-1', rows: 1, error: 'RangeError' } },
    ]);
    expect(events[1]).not.toHaveProperty('changes');
  });

  it('may be nested: each is recorded as it ended', async () => {
    const audit = open();
    const outer = audit.audited(CLOSED, async () => {
      await audit.audited(OPEN, () => 'in');
      throw new RangeError('too far');
    });
    await expect(outer).rejects.toThrow('too far');
    expect(recorded()).toEqual([
      ['user.login', 'success', undefined],
      ['customer.delete', 'failure', 'RangeError'],
    ]);
  });

  it('is committed after the ack, and never before', async () => {
    const steps: string[] = [];
    await open().audited(CLOSED, () => void steps.push('act'), {
      commit: () => void steps.push(`commit after ${peer.appended.length}`),
      rollback: () => void steps.push('rollback'),
    });
    expect(steps).toEqual(['act', 'commit after 1']);
  });

  it('is recorded as a failure as well, and taken back, when the commit throws', async () => {
    const steps: string[] = [];
    const commit = (): never => {
      throw new RangeError('serialization');
    };
    const rollback = (): void => void steps.push('rollback');
    await expect(open().audited(CLOSED, () => undefined, { commit, rollback })).rejects.toThrow(
      'serialization',
    );
    expect(recorded()).toEqual([
      ['customer.delete', 'success', undefined],
      ['customer.delete', 'failure', 'RangeError'],
    ]);
    expect(steps).toEqual(['rollback']);
  });
});

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
    audits.push(audit);
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
  [isLost, failures] = [true, []];
  return { audit, [Symbol.asyncDispose]: () => dying[Symbol.asyncDispose]() };
}

/** Its name, its code and its kind throw. */
function hostileError(): Error {
  const refuse = (): never => {
    throw new TypeError('hands off');
  };
  return new Proxy(new Error('hunter22'), { get: refuse, has: refuse, getPrototypeOf: refuse });
}

async function disposable(
  script: Parameters<typeof startAgentPeer>[0],
): Promise<{ peer: AgentPeer } & AsyncDisposable> {
  const started = await startAgentPeer(script);
  return { peer: started, [Symbol.asyncDispose]: () => started.close() };
}
