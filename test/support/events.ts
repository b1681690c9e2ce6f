/** Events for tests: one plain one, and an arbitrary for all that the schema allows. */
import * as fc from 'fast-check';
import { ulid } from 'ulid';
import { chainHash } from '../../schemas/brand.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import type { SealedRecord } from '../../schemas/record.ts';

/** A whole, ordinary event; members of `over` replace its own. */
export function makeEvent(over: Partial<AuditEvent> = {}): AuditEvent {
  return {
    schema_version: '1.0',
    event_id: ulid(),
    event: {
      action: 'customer.read',
      category: 'data_access',
      outcome: 'success',
      time: '2026-03-01T10:00:00.000Z',
    },
    actor: { type: 'user', id: 'u_alice', name: 'Alice', on_behalf_of: null },
    resource: { type: 'customer', id: 'c_17', tenant_id: 'acme' },
    source: { ip: '10.0.0.7', user_agent: 'curl/8', service: 'shop', service_version: '1.2.3' },
    correlation: { request_id: 'req-1', trace_id: '0af7651916cd43dd8448eb211c80319c' },
    metadata: { ticket: 'T-12', row_count: 3 },
    ...over,
  };
}

/** The event as a sealed record; its hashes have the right form and hash nothing. */
export function makeRecord(over: Partial<AuditEvent> = {}): SealedRecord {
  const event = makeEvent(over);
  const chain = {
    v: 'sealtrail/1',
    stream: `sealtrail/test/${'f'.repeat(32)}/0011223344556677/standard`,
    seq: 7,
    received_at: '2026-03-01T10:00:00.001Z',
    salt: '0'.repeat(32),
    producer: { id: event.event_id, seq: 7 },
  } as const;
  return {
    event: { ...event, chain },
    prev_hash: chainHash('1'.repeat(64)),
    this_hash: chainHash('2'.repeat(64)),
  };
}

/** Text without what an audit event refuses: lone surrogates and U+0000. */
export const safeText: fc.Arbitrary<string> = fc
  .string({ unit: 'grapheme', maxLength: 24 })
  .map((text) => text.toWellFormed().replaceAll('\u0000', ''));

/** JSON values that an event may carry. */
export const safeJson: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    safeText,
    fc.maxSafeInteger(),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((n) => !Number.isInteger(n) || Number.isSafeInteger(n)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      safeText.filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 4 },
    ),
  ),
})).value;
