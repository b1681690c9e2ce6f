/**
 * Elastic Common Schema 9.4: a sealed record as an ECS document. Only defined fields carry what ECS
 * has a place for; everything else lies below `sealtrail.*` (mapping-table.ts lists both). Pure.
 */
import { ECS_TYPES } from './ecs-categories.ts';
import { isIP } from 'node:net';
import type { AuditEvent, Outcome } from './event.ts';
import {
  isAccount,
  present,
  severityOf,
  summarize,
  type JsonObject,
  type MappingAgent,
} from './mapping.ts';
import type { SealedRecord } from './record.ts';
import type { ActionDefinition } from './vocabulary.ts';

/** The version of ECS that documents claim. */
export const ECS_VERSION = '9.4.0';

export interface EcsDocument {
  readonly '@timestamp': string;
  readonly ecs: { readonly version: string };
  readonly event: JsonObject;
  readonly [fieldSet: string]: JsonObject | string;
}

/**
 * Maps a record to ECS. Deterministic: the same record, definition and agent give the same bytes.
 * Tenant and `event.id` are the document's identity (`_id`): delivering it twice leaves one document.
 */
export function mapToEcs(
  record: SealedRecord,
  definition: ActionDefinition | null,
  by: MappingAgent,
): EcsDocument {
  const { event } = record;
  const { correlation, source } = event;
  const from = addressOf(source.ip);
  return {
    '@timestamp': event.event.time,
    ecs: { version: ECS_VERSION },
    message: summarize(event),
    event: eventFields(record, definition),
    user: userFields(event),
    related: relatedFields(event, from['ip']),
    organization: { id: event.resource.tenant_id },
    service: present({
      name: source.service,
      version: source.service_version,
      origin:
        event.actor.type === 'service' ? { id: event.actor.id, name: event.actor.name } : null,
    }),
    agent: { name: by.name, type: 'sealtrail', version: by.version },
    ...fieldSet('source', from),
    ...fieldSet('client', from),
    ...fieldSet('user_agent', present({ original: source.user_agent })),
    ...fieldSet(
      'http',
      present({ request: correlation.request_id && { id: correlation.request_id } }),
    ),
    ...fieldSet('trace', present({ id: correlation.trace_id })),
    ...fieldSet('span', present({ id: correlation.span_id })),
    sealtrail: ownFields(record, definition),
  };
}

function fieldSet(name: string, fields: JsonObject): Record<string, JsonObject> {
  return Object.keys(fields).length === 0 ? {} : { [name]: fields };
}

/** ECS: the address as it came, and once more as `ip` where it is one. */
function addressOf(address: string | null): JsonObject {
  return address === null ? {} : present({ address, ip: isIP(address) === 0 ? null : address });
}

function eventFields(record: SealedRecord, definition: ActionDefinition | null): JsonObject {
  const { event, chain, event_id } = record.event;
  return {
    id: event_id,
    kind: 'event',
    module: 'sealtrail',
    dataset: 'sealtrail.audit',
    action: event.action,
    ...categorize(definition, event.outcome),
    outcome: event.outcome === 'success' ? 'success' : 'failure',
    severity: severityOf(definition, event.outcome),
    created: chain.received_at,
    sequence: chain.seq,
    hash: record.this_hash,
  };
}

/** The `event.type` that says how it ended. */
const TYPE_OF_OUTCOME: Readonly<Record<Outcome, string>> = {
  success: 'allowed',
  failure: 'error',
  denied: 'denied',
};
const OUTCOME_TYPES = new Set(Object.values(TYPE_OF_OUTCOME));
const UNDECLARED = { category: ['api'], type: ['info'] };

/**
 * Categories and types by the vocabulary, and the type of the outcome where ECS expects it there.
 * A denial is never left out: where no category takes it, `api` is added. Elastic's own check
 * wants each type expected in one of the categories, not in all of them.
 */
function categorize(definition: ActionDefinition | null, outcome: Outcome): JsonObject {
  const { category, type } = definition?.ecs ?? UNDECLARED;
  const ended = TYPE_OF_OUTCOME[outcome];
  const declared = type.filter((one) => !OUTCOME_TYPES.has(one));
  const types = declared.length === 0 ? ['info'] : declared;
  if (category.some((one) => ECS_TYPES.get(one)?.has(ended))) {
    return { category, type: [...types, ended] };
  }
  if (outcome === 'denied') return { category: [...category, 'api'], type: [...types, ended] };
  return { category, type: types };
}

function userFields({ actor, resource }: AuditEvent): JsonObject {
  const { on_behalf_of } = actor;
  return present({
    id: actor.id,
    name: actor.name,
    roles: actor.roles,
    // ECS: the identity assumed, as with sudo; `user` itself stays who really acted.
    effective: on_behalf_of && { id: on_behalf_of.id, name: on_behalf_of.name },
    target: isAccount(resource) ? present({ id: resource.id, name: resource.name }) : null,
  });
}

function relatedFields(
  { actor, resource }: AuditEvent,
  ip: JsonObject[string] | undefined,
): JsonObject {
  const users = new Set([actor.id, actor.name]);
  if (actor.on_behalf_of !== null) users.add(actor.on_behalf_of.id).add(actor.on_behalf_of.name);
  if (isAccount(resource)) users.add(resource.id).add(resource.name ?? resource.id);
  return present({ user: [...users], ip: ip === undefined ? null : [ip] });
}

/** What ECS has no place for. `metadata` stays one object: an index maps it as `flattened`. */
function ownFields(record: SealedRecord, definition: ActionDefinition | null): JsonObject {
  const { event } = record;
  const { actor, chain, resource } = event;
  return present({
    schema_version: event.schema_version,
    category: event.event.category,
    sensitivity: definition?.sensitivity,
    outcome: event.event.outcome,
    actor: present({ type: actor.type, session_id: actor.session_id }),
    on_behalf_of: actor.on_behalf_of && { type: actor.on_behalf_of.type },
    resource: present({ type: resource.type, id: resource.id, name: resource.name }),
    workflow_id: event.correlation.workflow_id,
    changes: event.changes,
    metadata: event.metadata,
    origin: event.origin && { ...event.origin },
    chain: { stream: chain.stream, prev_hash: record.prev_hash },
  });
}
