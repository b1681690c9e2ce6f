/**
 * record(): what is filled in, what is refused before any I/O, and what no longer can change.
 */
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  AuditError,
  createAudit,
  type Audit,
  type AuditEvent,
  type AuditOptions,
  type EventDraft,
} from '../../sdk/index.ts';
import { startAgentPeer, until, type AgentPeer } from '../support/agent-peer.ts';
import { TEST_VOCABULARY, createTestAudit, draft } from '../support/sdk-fixture.ts';

let peer: AgentPeer;
let audit: Audit;

beforeEach(async () => {
  peer = await startAgentPeer();
  audit = createTestAudit(peer.socketPath);
});
afterEach(async () => {
  await audit.close();
  await peer.close();
});

async function failureOf(work: () => Promise<unknown>): Promise<AuditError> {
  const thrown: unknown = await work().catch((error: unknown) => error);
  if (thrown instanceof AuditError) return thrown;
  throw new Error('expected an AuditError');
}

function sent(): AuditEvent {
  return JSON.parse(peer.appended.at(-1)?.text ?? '{}') as AuditEvent;
}

describe('a complete draft', () => {
  it('becomes one whole event and resolves with its receipt', async () => {
    const receipt = await audit.record(draft({ metadata: { row_count: 3 }, changes: ['email'] }));
    expect(receipt).toEqual({
      event_id: sent().event_id,
      stream: 'peer',
      seq: 0,
      this_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(peer.appended).toHaveLength(1);
    expect(sent()).toEqual({
      schema_version: '1.0',
      event_id: expect.stringMatching(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/),
      event: {
        action: 'customer.export',
        category: 'data_access',
        outcome: 'success',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      },
      actor: { type: 'user', id: 'u-1', name: 'Ada', on_behalf_of: null },
      resource: { type: 'customer', id: 'c-1', tenant_id: 'default' },
      source: { ip: null, user_agent: null, service: 'test', service_version: '1.2.3' },
      correlation: { request_id: null, trace_id: null },
      metadata: { row_count: 3 },
      changes: ['email'],
    });
  });

  it('keeps both identities under impersonation', async () => {
    const customer = { type: 'user', id: 'c-9', name: 'Grace' } as const;
    await audit.record(
      draft({ actor: { type: 'admin', id: 'a-1', name: 'Root', on_behalf_of: customer } }),
    );
    expect(sent().actor).toMatchObject({ id: 'a-1', on_behalf_of: customer });
  });

  it('gets the time it names, in UTC', async () => {
    await audit.record(draft({ time: '2026-03-01T12:00:00+02:00' }));
    expect(sent().event.time).toBe('2026-03-01T10:00:00.000Z');
  });
});

describe('a draft that is not to be recorded', () => {
  const incomplete: readonly (readonly [string, Partial<Record<keyof EventDraft, unknown>>])[] = [
    ['/event/action', { action: undefined }],
    ['/event/outcome', { outcome: undefined }],
    ['/actor/id', { actor: undefined }],
    ['/actor/id', { actor: { type: 'user', id: '', name: 'x' } }],
    ['/resource/id', { resource: undefined }],
    ['/resource/id', { resource: { type: 'customer', id: '' } }],
  ];
  for (const [field, fields] of incomplete) {
    it(`is refused before any I/O when ${field} is missing: ${JSON.stringify(fields)}`, async () => {
      const error = await failureOf(() => audit.record(draft(fields as Partial<EventDraft>)));
      expect(error).toMatchObject({ code: 'incomplete_event', field, recorded: 'no' });
      expect(error.hint).toBeTruthy();
      expect(peer.connections()).toBe(0);
      expect(audit.stats().pending).toBe(0);
    });
  }

  it('is refused with a suggestion when the action is not in the vocabulary', async () => {
    const error = await failureOf(() => audit.record(draft({ action: 'customer.exprot' })));
    expect(error).toMatchObject({ code: 'unknown_action', field: '/event/action' });
    expect(error.hint).toContain('"customer.export"');
    expect(peer.connections()).toBe(0);
  });

  it('never quotes free text that stands where an action should', async () => {
    const error = await failureOf(() => audit.record(draft({ action: 'the ssn 078-05-1120' })));
    expect(`${error.message} ${error.hint}`).not.toContain('078-05-1120');
  });

  const unsafe: readonly (readonly [string, string, unknown])[] = [
    ['a depth bomb', 'unsafe_json', nest(64)],
    ['__proto__', 'forbidden_key', { inner: JSON.parse('{"__proto__":{"admin":true}}') }],
    ['a lone surrogate', 'unsafe_json', { text: 'x\ud800' }],
    ['a bigint', 'unsafe_json', { big: 2n ** 70n }],
    ['an unsafe integer', 'unsafe_json', { big: 2 ** 60 }],
    ['a function', 'unsafe_json', { run: () => 1 }],
    ['a throwing getter', 'unsafe_json', throwingGetter()],
    ['a cycle', 'unsafe_json', cycle()],
    ['too many bytes', 'too_large', { text: 'word '.repeat(14_000) }],
  ];
  for (const [what, code, metadata] of unsafe) {
    it(`is refused as ${code} with ${what} in its metadata`, async () => {
      const error = await failureOf(() => audit.record(draft({ metadata: metadata as never })));
      expect(error.code).toBe(code);
      expect(peer.connections()).toBe(0);
    });
  }

  it('leaves no gap in the numbers of those that are', async () => {
    await audit.record(draft());
    await failureOf(() => audit.record(draft({ action: 'nope.nope' })));
    await audit.record(draft());
    expect(peer.appended.map(({ seq }) => seq)).toEqual([0, 1]);
  });
});

describe('what was recorded', () => {
  it('is not changed by what the caller does to the draft afterwards', async () => {
    const metadata = { rows: 1, nested: { list: ['a'] } };
    const changes = ['email'];
    const pending = audit.record(draft({ metadata, changes }));
    metadata.rows = 2;
    metadata.nested.list.push('b');
    changes.push('phone');
    await pending;
    expect(sent().metadata).toEqual({ rows: 1, nested: { list: ['a'] } });
    expect(sent().changes).toEqual(['email']);
  });

  it('holds no raw secret, in the bytes that leave the process', async () => {
    const secrets = ['078-05-1120', '4111 1111 1111 1111', 'hunter2-and-more'];
    const [ssn = '', card = '', password = ''] = secrets;
    await audit.record(draft({ metadata: { ssn, card_number: card, password, note: card } }));
    await audit.record(draft({ metadata: { ssn } }));
    for (const { text } of peer.appended) {
      for (const secret of secrets) expect(text).not.toContain(secret);
      expect(text).not.toContain('4111111111111111');
    }
  });

  it('has ids that rise, also when the clock stands still and steps back', async () => {
    let nowMs = Date.UTC(2026, 0, 1);
    const moved = createTestAudit(peer.socketPath, { clock: { nowMs: () => nowMs } });
    const ids: string[] = [];
    for (const step of [0, 0, 1, -5000, 0, 1, 6000]) {
      nowMs += step;
      ids.push((await moved.record(draft())).event_id);
    }
    await moved.close();
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual([...ids].sort());
  });
});

describe('createAudit', () => {
  const base = { service: 'test', vocabulary: TEST_VOCABULARY };

  function thrownBy(work: () => unknown): AuditError {
    try {
      work();
    } catch (thrown) {
      if (thrown instanceof AuditError) return thrown;
      throw thrown;
    }
    throw new Error('nothing was thrown');
  }

  it('fails loudly without a redaction key, and says where to get one', () => {
    const before = process.env['SEALTRAIL_REDACTION_KEY'];
    delete process.env['SEALTRAIL_REDACTION_KEY'];
    try {
      const error = thrownBy(() => createAudit(base));
      expect(error.code).toBe('redaction_key_missing');
      expect(error.hint).toContain('SEALTRAIL_REDACTION_KEY');
    } finally {
      if (before !== undefined) process.env['SEALTRAIL_REDACTION_KEY'] = before;
    }
  });

  it('refuses a key that is too short, without quoting it', () => {
    const error = thrownBy(() => createAudit({ ...base, redactionKey: 'abcd1234' }));
    expect(error.code).toBe('redaction_key_invalid');
    expect(`${error.message}${error.hint}`).not.toContain('abcd1234');
  });

  it('refuses options that could only fail later, and names the one to blame', () => {
    const wrong: readonly (readonly [string, object])[] = [
      ['service', { service: '' }],
      ['service', { service: 'x'.repeat(257) }],
      ['serviceVersion', { serviceVersion: 'x'.repeat(129) }],
      ['vocabulary', { vocabulary: undefined }],
      ['tenant', { tenant: 'no spaces' }],
      ['timeoutMs', { timeoutMs: 0 }],
      ['timeoutMs', { timeoutMs: Number.NaN }],
      ['socketPath', { socketPath: `/tmp/${'x'.repeat(120)}` }],
      ['queueEventsMax', { queueEventsMax: 1.5 }],
      ['queueBytesMax', { queueBytesMax: 0 }],
    ];
    for (const [option, fields] of wrong) {
      const options: AuditOptions = { ...base, redactionKey: 'ab'.repeat(32), ...fields };
      const error = thrownBy(() => createAudit(options));
      expect([option, error.code]).toEqual([option, 'options_invalid']);
      expect(error.message).toContain(option);
    }
  });

  it('refuses a vocabulary that is none', () => {
    const redactionKey = 'ab'.repeat(32);
    for (const vocabulary of [{}, { version: 1 }, '/nonexistent/vocabulary.json']) {
      const error = thrownBy(() => createAudit({ ...base, vocabulary, redactionKey }));
      expect(error.code).toBe('vocabulary_invalid');
    }
  });

  it('tells the hook of each failure, and a hook that throws does no harm', async () => {
    const seen: string[] = [];
    const hooked = createTestAudit(peer.socketPath, {
      onAuditFailure({ error }) {
        seen.push(error.code);
        throw new Error('hook');
      },
    });
    const warnings: string[] = [];
    const hear = (warning: Error): void => void warnings.push(String(warning));
    process.on('warning', hear);
    onTestFinished(() => void process.off('warning', hear));
    await failureOf(() => hooked.record(draft({ action: 'no.such' })));
    expect(seen).toEqual(['unknown_action']);
    await until(() => warnings.join().includes('onAuditFailure'), 'the warning');
    await hooked.close();
    await failureOf(() => hooked.record(draft()));
    expect(seen).toEqual(['unknown_action', 'closed']);
  });
});

function nest(depth: number): object {
  return depth === 0 ? {} : { inner: nest(depth - 1) };
}

function cycle(): object {
  const object: { self?: object } = {};
  object.self = object;
  return object;
}

function throwingGetter(): object {
  return {
    get secret(): string {
      throw new Error('do not read');
    },
  };
}
