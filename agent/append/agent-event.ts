/**
 * Events of the agent about itself: stream genesis, recovery, a full disk, … They are audit events
 * like any other, recorded in the agent's own tenant or at the head of the stream they open.
 */
import { ulid } from 'ulid';
import { canonicalize } from '../../schemas/canonical.ts';
import { canonicalEvent, type CanonicalEvent } from '../../schemas/canonical-event.ts';
import {
  SCHEMA_VERSION,
  type Actor,
  type AuditEvent,
  type Json,
  type Outcome,
} from '../../schemas/event.ts';

/** Tenant of the agent's own events; no client may write for it. */
export const AGENT_TENANT = 'sealtrail';
/** Retention class of the agent's own events; every configuration has it. */
export const AGENT_RETENTION_CLASS = 'standard';

export interface AgentIdentity {
  readonly name: string;
  readonly version: string;
  /** Ed25519 public key, base64 of the 32 raw bytes. */
  readonly publicKey: string;
}

/** What the agent has to say about itself. */
export interface OwnEvent {
  readonly action: string;
  readonly outcome: Outcome;
  readonly resource: { readonly type: string; readonly id: string };
  readonly metadata: { readonly [name: string]: Json };
}

/** The disk became full, or has space again. */
export function diskFullEvent(agent: AgentIdentity, state: 'began' | 'ended'): OwnEvent {
  return {
    action: 'ledger.disk_full',
    outcome: state === 'began' ? 'failure' : 'success',
    resource: { type: 'ledger', id: agent.name },
    metadata: { state },
  };
}

/** An event of the agent at a moment in time. */
export function agentEvent(
  agent: AgentIdentity,
  said: OwnEvent & { readonly tenant: string },
  nowMs: number,
): CanonicalEvent {
  return canonicalEvent(canonicalize(describeAgentEvent(agent, said, nowMs)));
}

/** The same before it is canonical; `actor` is whoever told the agent to, itself where nobody did. */
export function describeAgentEvent(
  agent: AgentIdentity,
  said: OwnEvent & { readonly tenant: string; readonly actor?: Actor },
  nowMs: number,
): AuditEvent {
  return {
    schema_version: SCHEMA_VERSION,
    event_id: ulid(nowMs),
    event: {
      action: said.action,
      category: 'audit_trail',
      outcome: said.outcome,
      time: new Date(nowMs).toISOString(),
    },
    actor: said.actor ?? {
      type: 'system',
      id: `sealtrail/${agent.name}`,
      name: 'Sealtrail agent',
      on_behalf_of: null,
    },
    resource: { ...said.resource, tenant_id: said.tenant },
    source: { ip: null, user_agent: null, service: 'sealtrail', service_version: agent.version },
    correlation: { request_id: null, trace_id: null },
    metadata: said.metadata,
  };
}
