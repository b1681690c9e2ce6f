/** audited(): when an action has taken place, and what is recorded of it. Without an agent, see audited-fail-policy.test.ts. */
import { describe, expect, it } from 'vitest';
import { DeniedError } from '../../sdk/index.ts';
import { CLOSED, OPEN, useAuditing } from '../support/auditing.ts';

const auditing = useAuditing();
const { open } = auditing;

/** What was recorded: action, outcome and the name of the error. */
function recorded(): unknown[] {
  return auditing.peer.appended.map(({ text }) => {
    const { event, metadata } = JSON.parse(text) as {
      event: { action: string; outcome: string };
      metadata: { error?: string };
    };
    return [event.action, event.outcome, metadata.error];
  });
}

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
    expect(auditing.peer.appended[0]?.text).not.toContain('hunter22');
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
    const events = auditing.peer.appended.map(
      ({ text }) => JSON.parse(text) as Record<string, unknown>,
    );
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
      commit: () => void steps.push(`commit after ${auditing.peer.appended.length}`),
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

/** Its name, its code and its kind throw. */
function hostileError(): Error {
  const refuse = (): never => {
    throw new TypeError('hands off');
  };
  return new Proxy(new Error('hunter22'), { get: refuse, has: refuse, getPrototypeOf: refuse });
}
