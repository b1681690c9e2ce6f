/**
 * Marked people in a draft: which there are, in which part, and the draft with something else in their place.
 * The result is a copy, so that what the caller changes afterwards is not in it. Pure.
 */
import type { SubjectPurpose } from '../../redaction/subjects/identity.ts';
import { EVENT_DEPTH_MAX } from '../../schemas/json-check.ts';
import { AuditError } from '../errors.ts';
import type { ActorDraft, EventDraft, MetadataDraft, PrincipalDraft } from '../event-draft.ts';
import { Subject } from './mark.ts';

/** Who stands there, as what; `field` is a JSON pointer into the event. */
export type Replace = (
  subject: Subject,
  purpose: SubjectPurpose,
  field: string,
) => string | Subject;

/** Level of metadata in an event. */
const METADATA_DEPTH = 2;

/** Whether anybody is marked; `actor` is the draft's, or the context's. */
export function hasSubjects(draft: EventDraft, actor: ActorDraft | undefined): boolean {
  const { resource, metadata } = draft;
  return (
    isMarkedPrincipal(actor) ||
    isMarkedPrincipal(actor?.on_behalf_of) ||
    resource?.id instanceof Subject ||
    resource?.name instanceof Subject ||
    isMarked(metadata, METADATA_DEPTH)
  );
}

/**
 * The draft with its actor, and with something else for everybody marked. Who acts is an `actor`; who is acted
 * on, or acted for, a `subject`.
 * @throws AuditError `schema_invalid` where an actor is marked and named in clear all the same.
 */
export function replaceSubjects(
  draft: EventDraft,
  actor: ActorDraft | undefined,
  replace: Replace,
): EventDraft {
  const { resource, metadata } = draft;
  const text = (value: string | Subject, field: string): string | Subject =>
    value instanceof Subject ? replace(value, 'subject', field) : value;
  return {
    ...draft,
    ...(actor === undefined ? {} : { actor: replaceActor(actor, replace) }),
    // Without one the draft is refused later on, with a better reason.
    ...(typeof resource === 'object' && {
      resource: {
        ...resource,
        id: text(resource.id, '/resource/id'),
        ...(resource.name === undefined ? {} : { name: text(resource.name, '/resource/name') }),
      },
    }),
    ...(metadata === undefined
      ? {}
      : { metadata: replaceDeep(metadata, replace, METADATA_DEPTH) as typeof metadata }),
  };
}

function replaceActor(actor: ActorDraft, replace: Replace): ActorDraft {
  const behalf = actor.on_behalf_of;
  return {
    ...actor,
    ...replacePrincipal(actor, 'actor', '/actor', replace),
    ...(behalf
      ? { on_behalf_of: replacePrincipal(behalf, 'subject', '/actor/on_behalf_of', replace) }
      : {}),
  } as ActorDraft;
}

function replacePrincipal(
  { type, id, name }: PrincipalDraft,
  purpose: SubjectPurpose,
  field: string,
  replace: Replace,
): PrincipalDraft {
  const shown = name instanceof Subject ? replace(name, purpose, `${field}/name`) : name;
  if (!(id instanceof Subject)) return { type, id, name: shown } as PrincipalDraft;
  if (typeof name === 'string') {
    const message = `${field}/name would say who it is that ${field}/id hides`;
    const hint = 'Leave the name out, or mark it too.';
    throw new AuditError('schema_invalid', message, { field: `${field}/name`, hint });
  }
  const token = replace(id, purpose, `${field}/id`);
  return { type, id: token, name: shown ?? token } as PrincipalDraft;
}

function replaceDeep(value: unknown, replace: Replace, depth: number): unknown {
  if (value instanceof Subject) return replace(value, 'subject', '/metadata');
  if (!isContainer(value) || depth > EVENT_DEPTH_MAX) return value;
  if (Array.isArray(value)) return value.map((item) => replaceDeep(item, replace, depth + 1));
  // fromEntries defines members, `__proto__` as well, which is refused later on.
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, replaceDeep(one, replace, depth + 1)]),
  );
}

function isMarkedPrincipal(principal: PrincipalDraft | null | undefined): boolean {
  return principal?.id instanceof Subject || principal?.name instanceof Subject;
}

function isMarked(value: MetadataDraft | undefined, depth: number): boolean {
  if (value instanceof Subject) return true;
  if (!isContainer(value) || depth > EVENT_DEPTH_MAX) return false;
  for (const name in value) {
    const member: unknown = Reflect.get(value, name);
    if (typeof member === 'object' && isMarked(member as MetadataDraft, depth + 1)) return true;
  }
  return false;
}

/** A list or a plain object; anything else is for the checks of the event to judge. */
function isContainer(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
