/**
 * Events for the redaction tests: an ordinary one of about 760 bytes, and a redactor of a fixed key.
 */
import type { AuditEvent, Json } from '../../schemas/event.ts';
import { createRedactor, type Redactor } from '../../redaction/redaction.ts';

/** A key for tests; nothing else uses it. */
export const TEST_KEY: Uint8Array = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 1);

/** A redactor with the test key. */
export const redactor: Redactor = createRedactor({ masterKey: TEST_KEY });

/** An ordinary event with the given metadata. */
export function eventWith(
  metadata: { readonly [name: string]: Json },
  overrides: Partial<AuditEvent> = {},
): AuditEvent {
  return {
    schema_version: '1.0',
    event_id: '01J9ZQ4W7Y8B6M2K3N5P0R1S2T',
    event: {
      action: 'customer.export',
      category: 'data_access',
      outcome: 'success',
      time: '2026-11-24T14:58:24.123Z',
    },
    actor: { type: 'user', id: 'u_alice', name: 'alice@example.com', on_behalf_of: null },
    resource: { type: 'customer', id: 'c_10293', name: 'ACME Ltd', tenant_id: 'acme' },
    source: {
      ip: '203.0.113.7',
      user_agent:
        'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36',
      service: 'shop',
      service_version: '2.14.1',
    },
    correlation: {
      request_id: 'req_01J9ZQ4W7Y8B6M2K3N5P0R1S2V',
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      span_id: '00f067aa0ba902b7',
    },
    metadata,
    ...overrides,
  };
}

/** The metadata of a redacted event. */
export function redactMetadata(metadata: { readonly [name: string]: Json }): {
  readonly [name: string]: Json;
} {
  return redactor.redactEvent(eventWith(metadata)).metadata;
}
