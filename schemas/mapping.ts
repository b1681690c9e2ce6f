/**
 * What both mappings (ecs.ts, ocsf.ts) share: who maps, how serious an event is, and how it reads
 * in one line. mapping-table.ts says field by field what becomes of an event.
 */
import type { AuditEvent, Json, Outcome, Resource } from './event.ts';
import type { ActionDefinition, Sensitivity } from './vocabulary.ts';

/** The agent that maps, as documents name it. */
export interface MappingAgent {
  readonly name: string;
  readonly version: string;
}

export type JsonObject = { readonly [name: string]: Json };

/** Leaves out members without a value: JSON has no `undefined`, and neither schema takes null. */
export function present(members: Readonly<Record<string, Json | null | undefined>>): JsonObject {
  const kept: Record<string, Json> = {};
  for (const name in members) {
    const value = members[name];
    if (value !== undefined && value !== null) kept[name] = value;
  }
  return kept;
}

const ACCOUNT_TYPES = new Set(['account', 'employee', 'member', 'service_account', 'user']);

/** Whether the resource is somebody who can act: ECS and OCSF then have a place for it. */
export function isAccount(resource: Resource): boolean {
  return ACCOUNT_TYPES.has(resource.type);
}

const SEVERITY: Readonly<Record<Sensitivity, number>> = { low: 2, medium: 2, high: 3, critical: 4 };

/**
 * OCSF's scale: 1 informational, 2 low, 3 medium, 4 high. An action that went well is routine,
 * however sensitive; one that failed or was denied weighs as much as what was attempted.
 */
export function severityOf(definition: ActionDefinition | null, outcome: Outcome): number {
  return outcome === 'success' ? 1 : SEVERITY[definition?.sensitivity ?? 'medium'];
}

/** One line for people: who did what to which, and how it ended. */
export function summarize({ actor, event, resource }: AuditEvent): string {
  const whom = actor.on_behalf_of === null ? '' : ` for ${actor.on_behalf_of.name}`;
  return `${actor.name}${whom}: ${event.action} ${resource.type} ${resource.id}, ${event.outcome}`;
}
