import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../schemas/event.ts';
import { mapToOcsf, type OcsfDocument } from '../../schemas/ocsf.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { exampleVocabulary, mappings } from '../support/definitions.ts';
import { makeRecord } from '../support/events.ts';

const BY = { name: 'edge-1', version: '0.1.0' };
const bob = { type: 'user', id: 'u_bob', name: 'Bob' } as const;
const { actor, resource, source } = makeRecord().event;

function mapAs(action: string, over: Parameters<typeof makeRecord>[0] = {}): OcsfDocument {
  const definition = exampleVocabulary.actions.get(action);
  if (definition === undefined) throw new Error(`no ${action} in the example vocabulary`);
  const outcome = over?.event?.outcome ?? 'success';
  const event = { ...makeRecord().event.event, action, outcome };
  return mapToOcsf(makeRecord({ ...over, event }), definition, BY);
}

test('a record reads in OCSF as one would expect', () => {
  const record = makeRecord();
  const definition = exampleVocabulary.actions.get('payment.charge') ?? null;
  expect(mapToOcsf(record, definition, BY)).toEqual({
    class_uid: 6003,
    class_name: 'API Activity',
    category_uid: 6,
    activity_id: 1,
    activity_name: 'Create',
    type_uid: 600301,
    type_name: 'API Activity: Create',
    status_id: 1,
    status: 'Success',
    status_code: 'success',
    action_id: 1,
    disposition_id: 1,
    severity_id: 1,
    time: Date.parse('2026-03-01T10:00:00.000Z'),
    message: 'Alice: customer.read customer c_17, success',
    metadata: {
      version: '1.8.0',
      uid: record.event.event_id,
      event_code: 'customer.read',
      original_time: '2026-03-01T10:00:00.000Z',
      logged_time: Date.parse('2026-03-01T10:00:00.001Z'),
      product: { name: 'shop', version: '1.2.3' },
      loggers: [{ name: 'edge-1', version: '0.1.0', product: { name: 'Sealtrail' } }],
      profiles: ['security_control', 'trace'],
      tenant_uid: 'acme',
      correlation_uid: 'req-1',
      log_name: record.event.chain.stream,
      log_version: '1.0',
      sequence: 7,
    },
    actor: { user: { uid: 'u_alice', name: 'Alice', type: 'user', type_id: 1 } },
    src_endpoint: { ip: '10.0.0.7' },
    http_request: { uid: 'req-1', user_agent: 'curl/8' },
    trace: { uid: '0af7651916cd43dd8448eb211c80319c' },
    api: { operation: 'customer.read', service: { name: 'shop' } },
    resources: [{ uid: 'c_17', type: 'customer' }],
    raw_data_hash: { algorithm: 'SHA-256', algorithm_id: 3, value: record.this_hash },
    unmapped: {
      category: 'data_access',
      sensitivity: 'high',
      resource: { uid: 'c_17', type: 'customer' },
      metadata: { ticket: 'T-12', row_count: 3 },
      prev_hash: record.prev_hash,
    },
  });
});

test('denied, failure and success can be told apart by attributes that OCSF defines', () => {
  fc.assert(
    fc.property(mappings, ({ record, definition }) => {
      const mapWith = (outcome: Outcome): OcsfDocument =>
        mapToOcsf(
          { ...record, event: { ...record.event, event: { ...record.event.event, outcome } } },
          definition,
          BY,
        );
      expect(mapWith('success')).toMatchObject({ status_id: 1, action_id: 1, disposition_id: 1 });
      expect(mapWith('denied')).toMatchObject({ status_id: 2, action_id: 2, disposition_id: 2 });
      expect(mapWith('failure')).toMatchObject({ status_id: 2 });
      expect(mapWith('failure')).not.toHaveProperty('action_id');
    }),
    { numRuns: 300 },
  );
});

test('an action that no vocabulary has any more is API Activity, Other, under its own name', () => {
  const document = mapToOcsf(makeRecord(), null, BY);
  expect(document).toMatchObject({
    class_uid: 6003,
    activity_id: 99,
    type_uid: 600399,
    activity_name: 'customer.read',
  });
});

test('severity follows what was attempted, and only where it did not go well', () => {
  const severity = (action: string, outcome: Outcome): unknown =>
    mapAs(action, { event: { ...makeRecord().event.event, outcome } })['severity_id'];
  expect(severity('customer.export', 'success')).toBe(1);
  expect(severity('customer.export', 'denied')).toBe(4);
  expect(severity('payment.charge', 'failure')).toBe(3);
  expect(severity('user.login', 'failure')).toBe(2);
});

describe('the class has the right user', () => {
  test('who signs in is the account that is the resource, else the actor', () => {
    const account = { ...resource, type: 'user', id: 'u_carol' };
    expect(mapAs('user.login', { resource: account })).toMatchObject({ user: { uid: 'u_carol' } });
    expect(mapAs('user.login')).toMatchObject({ user: { uid: actor.id } });
  });

  test('who is impersonated is the user of the switch; the actor stays the actor', () => {
    const document = mapAs('user.impersonate', { actor: { ...actor, on_behalf_of: bob } });
    expect(document).toMatchObject({
      user: { uid: 'u_bob' },
      actor: { user: { uid: actor.id } },
      account_switch_type_id: 2,
      unmapped: { on_behalf_of: { uid: 'u_bob' } },
    });
  });

  test('a role is granted to the resource, or is the resource', () => {
    const account = { ...resource, type: 'user', id: 'u_bob', name: 'Bob' };
    expect(
      mapAs('role.grant', { resource: account, metadata: { roles: ['auditor', 'billing'] } }),
    ).toMatchObject({ user: { uid: 'u_bob', name: 'Bob' }, privileges: ['auditor', 'billing'] });
    const role = { ...resource, type: 'role', id: 'auditor' };
    expect(mapAs('role.grant', { resource: role, metadata: { user_id: 'u_bob' } })).toMatchObject({
      user: { uid: 'u_bob' },
      privileges: ['auditor'],
    });
  });

  test('what nobody said is called unknown, never made up', () => {
    const role = { ...resource, type: 'role', id: 'auditor' };
    expect(mapAs('role.grant', { resource: role })).toMatchObject({ user: { uid: 'unknown' } });
  });
});

test('without an address the service is the endpoint; what is no IP is a name', () => {
  const endpointOf = (ip: string | null): unknown =>
    mapAs('payment.charge', { source: { ...source, ip } })['src_endpoint'];
  expect(endpointOf('::1')).toEqual({ ip: '::1' });
  expect(endpointOf(null)).toEqual({ svc_name: 'shop' });
  expect(endpointOf('999.1.1.1')).toEqual({ name: '999.1.1.1' });
});

test('a time before 1970 is kept as text, and counts as 1970', () => {
  const event = { ...makeRecord().event.event, time: '1969-07-20T20:17:40.000Z' };
  expect(mapToOcsf(makeRecord({ event }), null, BY)).toMatchObject({
    time: 0,
    metadata: { original_time: '1969-07-20T20:17:40.000Z' },
  });
});

test('the same record gives the same bytes, of plain JSON, and is left as it was', () => {
  fc.assert(
    fc.property(mappings, ({ record, definition }) => {
      const before = JSON.stringify(record);
      const document = mapToOcsf(record, definition, BY);
      const again = mapToOcsf(JSON.parse(before) as SealedRecord, definition, BY);
      expect(JSON.stringify(again)).toBe(JSON.stringify(document));
      expect(isDeepStrictEqual(JSON.parse(JSON.stringify(document)), document)).toBe(true);
      expect(JSON.stringify(record)).toBe(before);
    }),
    { numRuns: 300 },
  );
});
