/** Sealed records for the store's tests: a real chain over plausible events. */
import { createHash, randomBytes } from 'node:crypto';
import { ulid } from 'ulid';
import canonicalize from 'canonicalize';
import { chainHash, GENESIS_PREV_HASH, type ChainHash } from '../../schemas/brand.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { CHAIN_VERSION, type SealedEvent } from '../../schemas/record.ts';
import type { StoredRecord } from '../../store/store.ts';

export interface EventFields {
  readonly event_id?: string;
  readonly tenant?: string;
  readonly actor?: string;
  readonly onBehalfOf?: string;
  readonly action?: string;
  readonly category?: string;
  readonly outcome?: AuditEvent['event']['outcome'];
  readonly resourceType?: string;
  readonly resourceId?: string;
  readonly time?: string;
  readonly requestId?: string;
  readonly traceId?: string;
  readonly metadata?: AuditEvent['metadata'];
  readonly receivedAt?: string;
}

export interface Sealer {
  readonly stream: string;
  seal(fields?: EventFields): StoredRecord;
}

/** A stream that seals one event after the other, from its start or behind a record. */
export function createSealer(
  stream = `agent/${ulid()}/standard`,
  tenant = 'acme',
  behind?: StoredRecord,
): Sealer {
  let seq = behind === undefined ? 0 : behind.event.chain.seq + 1;
  let head: ChainHash = behind?.this_hash ?? GENESIS_PREV_HASH;
  return {
    stream,
    seal: (fields = {}) => {
      const event: SealedEvent = {
        ...buildEvent({ tenant, ...fields }),
        chain: {
          v: CHAIN_VERSION,
          stream,
          seq,
          received_at: fields.receivedAt ?? new Date().toISOString(),
          salt: randomBytes(16).toString('hex'),
          producer: { id: '01K00000000000000000000000', seq },
        },
      };
      const eventText = canonicalize(event) ?? '';
      const this_hash = chainHash(
        createHash('sha256')
          .update(head + eventText)
          .digest('hex'),
      );
      const record = { event, eventText, prev_hash: head, this_hash };
      seq += 1;
      head = this_hash;
      return record;
    },
  };
}

function buildEvent(fields: EventFields): AuditEvent {
  const obo = fields.onBehalfOf;
  return {
    schema_version: '1.0',
    event_id: fields.event_id ?? ulid(),
    event: {
      action: fields.action ?? 'customer.export',
      category: fields.category ?? 'data_access',
      outcome: fields.outcome ?? 'success',
      time: fields.time ?? new Date().toISOString(),
    },
    actor: {
      type: 'user',
      id: fields.actor ?? 'u-1',
      name: 'Ada',
      on_behalf_of: obo === undefined ? null : { type: 'user', id: obo, name: obo },
    },
    resource: {
      type: fields.resourceType ?? 'customer',
      id: fields.resourceId ?? 'c-1',
      tenant_id: fields.tenant ?? 'acme',
    },
    source: { ip: '192.0.2.1', user_agent: null, service: 'shop', service_version: null },
    correlation: { request_id: fields.requestId ?? null, trace_id: fields.traceId ?? null },
    metadata: fields.metadata ?? {},
  };
}
