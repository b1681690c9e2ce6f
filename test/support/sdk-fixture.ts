/**
 * An Audit against a scripted peer, and drafts to record.
 */
import { createAudit, type Audit, type AuditOptions, type EventDraft } from '../../sdk/index.ts';

export const TEST_KEY: string = '5a'.repeat(32);

/** Three actions: enough for the SDK, which reads category and fail policy only. */
export const TEST_VOCABULARY: object = {
  version: 1,
  actions: [
    defineAction('customer.export', 'data_access', 'fail_closed'),
    defineAction('customer.delete', 'data_access', 'fail_closed'),
    defineAction('user.login', 'authentication', 'fail_open'),
  ],
};

function defineAction(action: string, category: string, failPolicy: string): object {
  return {
    action,
    category,
    description: `${action} in a test`,
    sensitivity: 'high',
    fail_policy: failPolicy,
    retention_class: 'security',
    ocsf: { class_uid: 6003, activity_id: 2 },
    ecs: { category: ['database'], type: ['access'] },
  };
}

/** Creates an Audit with short waits; `options` win. */
export function createTestAudit(socketPath: string, options: Partial<AuditOptions> = {}): Audit {
  return createAudit({
    service: 'test',
    serviceVersion: '1.2.3',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath,
    timeoutMs: 30_000,
    ...options,
  });
}

/** A complete draft; `fields` win. */
export function draft(fields: Partial<EventDraft> = {}): EventDraft {
  return {
    action: 'customer.export',
    outcome: 'success',
    actor: { type: 'user', id: 'u-1', name: 'Ada' },
    resource: { type: 'customer', id: 'c-1' },
    ...fields,
  };
}
