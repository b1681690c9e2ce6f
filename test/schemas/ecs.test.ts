import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { mapToEcs } from '../../schemas/ecs.ts';
import type { Outcome } from '../../schemas/event.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { exampleVocabulary, mappings } from '../support/definitions.ts';
import { makeRecord } from '../support/events.ts';

const BY = { name: 'edge-1', version: '0.1.0' };

const withOutcome = ({ event, ...rest }: SealedRecord, outcome: Outcome): SealedRecord => ({
  ...rest,
  event: { ...event, event: { ...event.event, outcome } },
});

test('a record reads in ECS as one would expect', () => {
  const record = makeRecord({
    event: {
      action: 'customer.export',
      category: 'data_access',
      outcome: 'denied',
      time: '2026-03-01T10:00:00.000Z',
    },
    actor: {
      type: 'admin',
      id: 'u_alice',
      name: 'Alice',
      roles: ['support'],
      on_behalf_of: { type: 'user', id: 'u_bob', name: 'Bob' },
    },
  });
  const definition = exampleVocabulary.actions.get('customer.export') ?? null;
  expect(mapToEcs(record, definition, BY)).toEqual({
    '@timestamp': '2026-03-01T10:00:00.000Z',
    ecs: { version: '9.4.0' },
    message: 'Alice for Bob: customer.export customer c_17, denied',
    event: {
      id: record.event.event_id,
      kind: 'event',
      module: 'sealtrail',
      dataset: 'sealtrail.audit',
      action: 'customer.export',
      category: ['api', 'database'],
      type: ['access', 'denied'],
      outcome: 'failure',
      severity: 4,
      created: '2026-03-01T10:00:00.001Z',
      sequence: 7,
      hash: record.this_hash,
    },
    user: {
      id: 'u_alice',
      name: 'Alice',
      roles: ['support'],
      effective: { id: 'u_bob', name: 'Bob' },
    },
    related: { user: ['u_alice', 'Alice', 'u_bob', 'Bob'], ip: ['10.0.0.7'] },
    organization: { id: 'acme' },
    service: { name: 'shop', version: '1.2.3' },
    agent: { name: 'edge-1', type: 'sealtrail', version: '0.1.0' },
    source: { address: '10.0.0.7', ip: '10.0.0.7' },
    client: { address: '10.0.0.7', ip: '10.0.0.7' },
    user_agent: { original: 'curl/8' },
    http: { request: { id: 'req-1' } },
    trace: { id: '0af7651916cd43dd8448eb211c80319c' },
    sealtrail: {
      schema_version: '1.0',
      category: 'data_access',
      sensitivity: 'critical',
      outcome: 'denied',
      actor: { type: 'admin' },
      on_behalf_of: { type: 'user' },
      resource: { type: 'customer', id: 'c_17' },
      metadata: { ticket: 'T-12', row_count: 3 },
      chain: { stream: record.event.chain.stream, prev_hash: record.prev_hash },
    },
  });
});

test('denied, failure and success can be told apart by fields that ECS defines', () => {
  fc.assert(
    fc.property(mappings, ({ record, definition }) => {
      const typesOf = (outcome: Outcome): unknown =>
        mapToEcs(withOutcome(record, outcome), definition, BY).event['type'];
      expect(typesOf('denied')).toContain('denied');
      expect(typesOf('failure')).not.toContain('denied');
      expect(typesOf('failure')).not.toContain('allowed');
      expect(typesOf('success')).not.toContain('denied');
      expect(typesOf('success')).not.toContain('error');
    }),
    { numRuns: 300 },
  );
});

test('a denial keeps the categories of its action: rules for failed logins still find it', () => {
  const login = exampleVocabulary.actions.get('user.login') ?? null;
  const { event } = mapToEcs(withOutcome(makeRecord(), 'denied'), login, BY);
  expect(event).toMatchObject({ category: ['authentication', 'api'], type: ['start', 'denied'] });
});

test('a source address that is no IP stays an address and is never sent as ip', () => {
  const { source } = makeRecord().event;
  const record = makeRecord({ source: { ...source, ip: '999.1.1.1' } });
  const document = mapToEcs(record, null, BY);
  expect(document['source']).toEqual({ address: '999.1.1.1' });
  expect(document['related']).not.toHaveProperty('ip');
});

test('metadata stays one object, whatever its members are called', () => {
  fc.assert(
    fc.property(mappings, ({ record, definition }) => {
      const { sealtrail } = mapToEcs(record, definition, BY);
      expect(sealtrail).toHaveProperty(['metadata'], record.event.metadata);
    }),
    { numRuns: 300 },
  );
});

test('the same record gives the same bytes, of plain JSON, and is left as it was', () => {
  fc.assert(
    fc.property(mappings, ({ record, definition }) => {
      const before = JSON.stringify(record);
      const document = mapToEcs(record, definition, BY);
      const again = mapToEcs(JSON.parse(before) as SealedRecord, definition, BY);
      expect(JSON.stringify(again)).toBe(JSON.stringify(document));
      expect(isDeepStrictEqual(JSON.parse(JSON.stringify(document)), document)).toBe(true);
      expect(JSON.stringify(record)).toBe(before);
    }),
    { numRuns: 300 },
  );
});
