/** Actions that an open breaker does not refuse: they take place, are kept where there is room, and are loud. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createAudit, type Audit, type AuditFailure, type AuditOptions } from '../../sdk/index.ts';
import { startAgentPeer } from '../support/agent-peer.ts';
import { VOCABULARY } from '../support/agent-process.ts';
import { TEST_KEY } from '../support/sdk-fixture.ts';

const EMERGENCY = {
  action: 'patient.emergency_access',
  actor: { type: 'user', id: 'u-1', name: 'Ada' },
  resource: { type: 'patient', id: 'p-1' },
} as const;
const LOGIN = { ...EMERGENCY, action: 'user.login' } as const;

let dir = '';
let failures: AuditFailure[] = [];
let audit: Audit<unknown>;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sealtrail-glass-'));
  failures = [];
});
afterEach(async () => {
  await audit.close();
  rmSync(dir, { recursive: true, force: true });
});

function open(breaker: AuditOptions['breaker'], bytesMax = 1_000_000): Audit<unknown> {
  audit = createAudit({
    service: 'ward',
    vocabulary: VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath: join(dir, 'agent.sock'),
    timeoutMs: 2000,
    breaker: { failures: 1, forMs: 0, coolDownMs: 60_000, ...breaker },
    spool: { dir: join(dir, 'spool'), afterMs: 30, bytesMax },
    onAuditFailure: (failure) => failures.push(failure),
  });
  return audit;
}

/** One failure, and the breaker is open. */
async function breakDown(): Promise<void> {
  await audit.audited(LOGIN, () => 'in');
  expect(audit.stats().breaker).toBe('open');
  failures = [];
}

it('without an exemption an open breaker refuses the emergency too', async () => {
  open({});
  await breakDown();
  let opened = false;
  await expect(audit.audited(EMERGENCY, () => (opened = true))).rejects.toMatchObject({
    code: 'circuit_open',
    performed: 'no',
  });
  expect(opened).toBe(false);
});

it('exempt, it takes place while everything else is refused; it is spooled, told, and drained', async () => {
  open({ exempt: ['patient.emergency_access'] });
  await breakDown();
  expect(await audit.audited(EMERGENCY, () => 'record 7')).toBe('record 7');
  await expect(audit.audited(LOGIN, () => 'in')).rejects.toMatchObject({ code: 'circuit_open' });
  expect(failures).toMatchObject([
    { action: 'patient.emergency_access', spooled: true },
    { action: 'user.login', spooled: false },
  ]);
  const peer = await startAgentPeer({}, join(dir, 'agent.sock'));
  await expect.poll(() => audit.stats().spool?.drained).toBe(2);
  expect(peer.appended.map(({ text }) => JSON.parse(text).event.action)).toEqual([
    'user.login',
    'patient.emergency_access',
  ]);
  await peer.close();
});

it('exempt, it takes place even with a full spool, and the audit_failure channel says that it is kept nowhere', async () => {
  open({ exempt: ['patient.emergency_access'], failures: 5 }, 1);
  expect(await audit.audited(EMERGENCY, () => 'record 7')).toBe('record 7');
  expect(audit.stats().breaker).toBe('open');
  expect(await audit.audited(EMERGENCY, () => 'record 8')).toBe('record 8');
  expect(failures).toHaveLength(2);
  await audit.close();
  const [name = ''] = readdirSync(join(dir, 'spool'));
  const lines = readFileSync(join(dir, 'spool', name), 'utf8')
    .trimEnd()
    .split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { kind: 'breaker', state: 'open', reason: 'spool_full' },
    { kind: 'audit_failure', action: 'patient.emergency_access', spooled: false },
    { kind: 'audit_failure', action: 'patient.emergency_access', spooled: false },
  ]);
});

it.each([['patient.record_read'], ['patient.emergency_acess']])(
  'an exemption that cannot hold is found by createAudit: %s',
  (action) => {
    open({});
    expect(() => open({ exempt: [action] })).toThrow(/breaker.exempt must be .* fail_open/);
  },
);
