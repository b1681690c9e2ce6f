/**
 * The OpenTelemetry bridge: a log record with audit attributes becomes an audit event, and one
 * that does not is never lost in silence.
 */
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { createAuditLoggerProvider, type Audit, type AuditEvent } from '../../sdk/index.ts';
import { startAgentPeer, until, type AgentPeer } from '../support/agent-peer.ts';
import { createTestAudit } from '../support/sdk-fixture.ts';

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

const attributes = {
  'audit.actor.id': 'u-1',
  'audit.actor.type': 'user',
  'audit.action': 'export',
  'audit.outcome': 'success',
  'audit.target.id': 'c-1',
  'audit.target.type': 'customer',
  'audit.source.id': '10.0.0.9',
  'audit.source.type': 'ipv4',
  row_count: 12,
};

it('a record with audit attributes becomes an event', async () => {
  const span = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 };
  createAuditLoggerProvider(audit)
    .getLogger('shop')
    .emit({
      eventName: 'customer.export',
      timestamp: [1_767_225_600, 5_000_000],
      attributes,
      body: { note: 'asked for', raw: new Uint8Array([1, 2]) },
      context: trace.setSpanContext(ROOT_CONTEXT, span),
    });
  await audit.flush();
  const event = JSON.parse(peer.appended[0]?.text ?? '{}') as AuditEvent;
  expect(event).toMatchObject({
    event: { action: 'customer.export', outcome: 'success', time: '2026-01-01T00:00:00.005Z' },
    actor: { type: 'user', id: 'u-1', name: 'u-1', on_behalf_of: null },
    resource: { type: 'customer', id: 'c-1', tenant_id: 'default' },
    source: { ip: '10.0.0.9' },
    correlation: { trace_id: span.traceId, span_id: span.spanId },
    metadata: {
      row_count: 12,
      'audit.action': 'export',
      'audit.source.type': 'ipv4',
      body: { note: 'asked for', raw: 'AQI=' },
    },
  });
});

it('says denial, delegation, tenant and names with the attributes that the agent reads too', async () => {
  createAuditLoggerProvider(audit)
    .getLogger('shop')
    .emit({
      eventName: 'customer.export',
      attributes: {
        ...attributes,
        'audit.record.id': '01K7ZQ3V8R4M2N6P9T5W1X0YAB',
        'audit.outcome': 'failure',
        'audit.actor.name': 'Ada',
        'audit.target.name': 'Grace Ltd',
        'sealtrail.outcome': 'denied',
        'sealtrail.on_behalf_of.id': 'c-9',
        'sealtrail.on_behalf_of.type': 'user',
        'sealtrail.tenant_id': 'acme',
        'sealtrail.request_id': 'req-1',
        'sealtrail.workflow_id': 'wf-1',
        'session.id': 's-1',
        'user_agent.original': 'curl/8',
        body: 'an attribute',
      },
      body: 'the body',
    });
  await audit.flush();
  const event = JSON.parse(peer.appended[0]?.text ?? '{}') as AuditEvent;
  expect(event).toMatchObject({
    event_id: '01K7ZQ3V8R4M2N6P9T5W1X0YAB',
    event: { outcome: 'denied' },
    actor: { name: 'Ada', on_behalf_of: { type: 'user', id: 'c-9', name: 'c-9' } },
    resource: { name: 'Grace Ltd', tenant_id: 'acme' },
    source: { user_agent: 'curl/8' },
    correlation: { request_id: 'req-1', workflow_id: 'wf-1' },
    metadata: { body: 'an attribute', 'record.body': 'the body' },
  });
  expect(event.actor.session_id).toMatch(/^s-1$/);
});

it('an unknown outcome is recorded as failure, and named', async () => {
  const logger = createAuditLoggerProvider(audit).getLogger('shop');
  logger.emit({
    eventName: 'customer.export',
    attributes: { ...attributes, 'audit.outcome': 'unknown' },
  });
  await audit.flush();
  const event = JSON.parse(peer.appended[0]?.text ?? '{}') as AuditEvent;
  expect(event.event.outcome).toBe('failure');
  expect(event.metadata['audit.outcome']).toBe('unknown');
});

it('a record that cannot be recorded reaches the hook', async () => {
  const failures: unknown[] = [];
  const provider = createAuditLoggerProvider(audit, { onFailure: (error) => failures.push(error) });
  provider.getLogger('shop').emit({ body: 'just a log line' });
  await until(() => failures.length === 1, 'the failure');
  expect(failures[0]).toMatchObject({ code: 'incomplete_event' });
});

it('a record that cannot be recorded is a process warning where there is no hook', async () => {
  const warnings: string[] = [];
  const hear = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', hear);
  onTestFinished(() => void process.off('warning', hear));
  createAuditLoggerProvider(audit).getLogger('shop').emit({ body: 'just a log line' });
  // The process may have warned of something else.
  await until(() => warnings.join().includes('incomplete_event'), 'the warning');
});
