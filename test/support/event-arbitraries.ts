/** Arbitraries for whole events and sealed records: everything that the door lets in. */
import * as fc from 'fast-check';
import { GENESIS_PREV_HASH, chainHash } from '../../schemas/brand.ts';
import { checkEvent } from '../../schemas/event-check.ts';
import type { ActorType, AuditEvent, Json, Origin } from '../../schemas/event.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { makeRecord, safeJson, safeText } from './events.ts';

const text = safeText.map((one) => one || '-');
const hex = (digits: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: digits, maxLength: digits })
    .map((all) => all.join(''));
const ulids = fc
  .array(fc.constantFrom(...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'), { minLength: 25, maxLength: 25 })
  .map((all) => '0' + all.join(''));
const times = fc
  .date({
    min: new Date('0001-01-01T00:00:00Z'),
    max: new Date('9999-12-31T23:59:59Z'),
    noInvalidDate: true,
  })
  .map((date) => date.toISOString());

const principal = fc.record({
  type: fc.constantFrom<ActorType>('user', 'admin', 'service', 'system', 'api_key', 'anonymous'),
  id: text,
  name: text,
});

const ips = fc.oneof(
  fc.ipV4(),
  fc.ipV6(),
  // Let in by the schema, and no address all the same.
  fc.constantFrom('999.1.1.1', 'cafe', '::::', '1.2.3', '::ffff:10.0.0.7'),
);

/** Member names that a SIEM may stumble over, besides ordinary ones. */
const oddNames = fc.oneof(
  safeText.filter((name) => name !== '__proto__'),
  fc.constantFrom('a.b', '.', 'a..b', '', '@timestamp', 'role', 'user_id', 'group', 'constructor'),
);
const deep = (levels: number): Json => (levels === 0 ? 'deep' : { d: deep(levels - 1) });
const metadata = fc.oneof(
  fc.dictionary(oddNames, safeJson, { maxKeys: 5 }),
  fc.constant({ nested: deep(13) }),
) as fc.Arbitrary<Record<string, Json>>;

const origin: fc.Arbitrary<Origin> = fc.record(
  {
    signal: fc.constantFrom('logs', 'audit'),
    record_id: text,
    payload_sha256: hex(64),
    outcome: text,
    sequence_number: fc.nat().map(String),
    previous_hash: hex(64),
    stream_id: text,
    integrity: fc.record(
      {
        value: text,
        signer: text,
        verify_status: fc.constantFrom('passed', 'failed', 'deferred'),
      },
      { requiredKeys: ['value', 'verify_status'] },
    ),
  },
  { requiredKeys: ['signal'] },
);

const resourceTypes = fc.constantFrom(
  ...['user', 'account', 'service_account', 'customer', 'role', 'group', 'file', 'session'],
);

/** Any event of one of these actions that checkEvent accepts. */
export function eventsOf(actions: readonly string[]): fc.Arbitrary<AuditEvent> {
  const event: fc.Arbitrary<AuditEvent> = fc.record(
    {
      schema_version: fc.constant('1.0'),
      event_id: ulids,
      event: fc.record({
        action: fc.constantFrom(...actions),
        category: fc.constantFrom('data_access', 'authentication', 'audit_trail'),
        outcome: fc.constantFrom('success', 'failure', 'denied'),
        time: times,
      }),
      actor: fc
        .record(
          {
            on_behalf_of: fc.option(principal),
            session_id: text,
            roles: fc.array(text, { maxLength: 3 }),
          },
          { requiredKeys: ['on_behalf_of'] },
        )
        .chain((rest) => principal.map((who) => ({ ...who, ...rest }))),
      resource: fc.record(
        {
          type: fc.oneof(resourceTypes, text),
          id: text,
          name: text,
          tenant_id: fc.constantFrom('acme', 'globex', 'sealtrail'),
        },
        { requiredKeys: ['type', 'id', 'tenant_id'] },
      ),
      source: fc.record({
        ip: fc.option(ips),
        user_agent: fc.option(safeText),
        service: text,
        service_version: fc.option(safeText),
      }),
      correlation: fc.record(
        {
          request_id: fc.option(text),
          trace_id: fc.option(hex(32)),
          span_id: hex(16),
          workflow_id: text,
        },
        { requiredKeys: ['request_id', 'trace_id'] },
      ),
      metadata,
      changes: fc.array(text, { maxLength: 3 }),
      origin,
    },
    {
      requiredKeys: [
        'schema_version',
        'event_id',
        'event',
        'actor',
        'resource',
        'source',
        'correlation',
        'metadata',
      ],
    },
  );
  return event.map((one) => {
    const checked = checkEvent(one);
    if (!checked.ok) throw new Error(`the arbitrary is wrong: ${checked.error.message}`);
    return one;
  });
}

/** Any sealed record of one of these actions, parsed back from JSON text as a sink gets it. */
export function recordsOf(actions: readonly string[]): fc.Arbitrary<SealedRecord> {
  return fc
    .record({ event: eventsOf(actions), seq: fc.nat(), hash: hex(64), received_at: times })
    .map(({ event, seq, hash, received_at }) => {
      const { event: sealed } = makeRecord(event);
      const record: SealedRecord = {
        event: { ...sealed, chain: { ...sealed.chain, seq, received_at } },
        prev_hash: GENESIS_PREV_HASH,
        this_hash: chainHash(hash),
      };
      return JSON.parse(JSON.stringify(record)) as SealedRecord;
    });
}
