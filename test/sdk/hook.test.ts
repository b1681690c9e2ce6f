/** The application's hooks: whatever one does, record() is answered, the process lives, and the failure of the hook is told. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Audit, AuditFailure } from '../../sdk/index.ts';
import { createTestAudit, draft } from '../support/sdk-fixture.ts';

let dir = '';
let warnings: Error[] = [];
const hear = (warning: Error): void => void warnings.push(warning);

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sealtrail-hook-'));
  warnings = [];
  process.on('warning', hear);
});
afterEach(() => {
  process.off('warning', hear);
  rmSync(dir, { recursive: true, force: true });
});

function open(onAuditFailure: (failure: AuditFailure) => unknown): Audit {
  const options = { timeoutMs: 20, onAuditFailure: onAuditFailure as () => void };
  return createTestAudit(join(dir, 'nobody.sock'), options);
}

const hookWarnings = (): string[] =>
  warnings.flatMap((one) =>
    'code' in one && one.code === 'SEALTRAIL_HOOK_FAILED' ? [one.message] : [],
  );

it('a hook that throws stops nothing, and is a warning', async () => {
  await using audit = open(() => {
    throw new Error('pager away');
  });
  await expect(audit.record(draft())).rejects.toMatchObject({ code: 'agent_unavailable' });
  await expect.poll(hookWarnings).toEqual(['onAuditFailure threw: pager away']);
});

it('a hook that rejects does not end the process, and is a warning', async () => {
  await using audit = open(() => Promise.reject(new Error('pager away')));
  await expect(audit.record(draft())).rejects.toMatchObject({ code: 'agent_unavailable' });
  await expect.poll(hookWarnings).toEqual(['onAuditFailure threw: pager away']);
});

it('a hook that never resolves holds nobody up', async () => {
  await using audit = open(() => new Promise(() => undefined));
  await expect(audit.record(draft())).rejects.toMatchObject({ code: 'agent_unavailable' });
});

it('a hook that records, and so fails itself, is called once for each failure and not for its own', async () => {
  let calls = 0;
  const answers: unknown[] = [];
  let audit: Audit | null = null;
  audit = open(() => {
    calls += 1;
    // Refused at once, within the call: nothing is sent of a draft with a fault.
    answers.push(audit?.record(draft({ action: 'no.such' })).catch((error: unknown) => error));
  });
  await expect(audit.record(draft())).rejects.toMatchObject({ code: 'agent_unavailable' });
  expect(await Promise.all(answers)).toMatchObject([{ code: 'unknown_action' }]);
  expect(calls).toBe(1);
  await expect.poll(hookWarnings).toHaveLength(1);
  await audit.close();
});
