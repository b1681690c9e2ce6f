/**
 * From a draft (what the application says) to the text that leaves the process: complete it,
 * check it, redact it, serialize it, all within the caller's turn. The raw draft is not kept:
 * what the caller changes afterwards cannot reach the queue, and no secret waits in it.
 */
import { NOT_PLAIN } from '../redaction/plain-writer.ts';
import type { Redactor } from '../redaction/redaction.ts';
import { canonicalize } from '../schemas/canonical.ts';
import { checkEvent } from '../schemas/event-check.ts';
import { SCHEMA_VERSION } from '../schemas/event.ts';
import type { Actor, AuditEvent, Correlation, Principal, Source } from '../schemas/event.ts';
import { suggest } from '../schemas/suggest.ts';
import type { FailPolicy, Vocabulary } from '../schemas/vocabulary.ts';
import { EVENT_BYTES_MAX } from '../schemas/wire.ts';
import { createArena, type Line } from './arena.ts';
import { currentContext, currentCorrelation } from './context.ts';
import type { AuditContext } from './context.ts';
import { AuditError, AuditErrorCode } from './errors.ts';
import type { ActorDraft, PlainActor, PlainDraft } from './event-draft.ts';
import { Subject } from './subjects/mark.ts';

/** An event ready to be sent: the line of its redacted form, RFC 8785. */
export interface PreparedEvent extends Line {
  readonly event_id: string;
  readonly action: string;
  readonly fail_policy: FailPolicy;
}

export interface Preparation {
  readonly service: string;
  readonly serviceVersion: string | null;
  readonly tenant: string;
  readonly vocabulary: Vocabulary;
  readonly redactor: Redactor;
  nextEventId(timeMs: number): string;
  nowMs(): number;
}

/**
 * Turns drafts into events.
 * The returned function throws AuditError (`incomplete_event`, `unknown_action`,
 * `schema_invalid`, `unsafe_json`, `too_large`, …) and has no effect then.
 */
export function createPreparer(using: Preparation): (draft: PlainDraft) => PreparedEvent {
  const timestamp = createTimestamps();
  const arena = createArena();
  const { redactEvent, writePlain } = using.redactor;

  /** Nearly every event is plain. */
  function keepPlain(event: AuditEvent): Line | null {
    let end = writePlain(event, arena.bytes(), arena.at());
    if (end >= arena.bytes().length) {
      arena.renew();
      end = writePlain(event, arena.bytes(), 0);
    }
    return end === NOT_PLAIN || end - arena.at() > EVENT_BYTES_MAX ? null : arena.keep(end);
  }

  /** Finds what is wrong with an event, or what has to go. */
  function keepChecked(event: AuditEvent): Line {
    const checked = checkEvent(event);
    if (!checked.ok) {
      const { kind, message, field } = checked.error;
      throw new AuditError(kind, message, field === undefined ? {} : { field });
    }
    const text = canonicalize(redactEvent(checked.value));
    const bytes = Buffer.byteLength(text);
    if (bytes > EVENT_BYTES_MAX) throw tooLarge(bytes);
    if (arena.at() + bytes >= arena.bytes().length) arena.renew();
    return arena.keep(arena.at() + arena.bytes().write(text, arena.at()));
  }

  return (draft) => {
    const context = currentContext();
    const actor = draft.actor ?? context.actor;
    requireFiveWs(draft, actor);
    const definition = using.vocabulary.actions.get(draft.action);
    if (definition === undefined) throw unknownAction(using.vocabulary, draft.action);
    const nowMs = using.nowMs();
    const event: AuditEvent = {
      actor: completeActor(actor),
      ...(draft.changes === undefined ? {} : { changes: draft.changes }),
      correlation: completeCorrelation(draft, context),
      event: {
        action: draft.action,
        category: definition.category,
        outcome: draft.outcome,
        time: draft.time === undefined ? timestamp(nowMs) : parseTime(draft.time),
      },
      event_id: draft.event_id ?? using.nextEventId(nowMs),
      metadata: draft.metadata ?? {},
      resource: completeResource(draft, context, using.tenant),
      schema_version: SCHEMA_VERSION,
      source: completeSource(draft, context, using),
    };
    const line = keepPlain(event) ?? keepChecked(event);
    return {
      event_id: event.event_id,
      action: draft.action,
      fail_policy: definition.fail_policy,
      bytes: line.bytes,
      start: line.start,
      end: line.end,
    };
  };
}

/** A half event is a bug in the caller, found before an id is spent on it. */
function requireFiveWs(
  draft: PlainDraft,
  actor: PlainActor | ActorDraft | undefined,
): asserts actor is PlainActor {
  if (typeof draft !== 'object' || draft === null) throw incomplete('', 'the draft');
  if (!isFilled(draft.action)) throw incomplete('/event/action', 'action');
  if (!isFilled(draft.outcome)) throw incomplete('/event/outcome', 'outcome');
  if (isSubject(actor?.id)) throw noVault('/actor/id');
  if (!isFilled(actor?.id)) throw incomplete('/actor/id', 'actor.id');
  if (!isFilled(actor?.type)) throw incomplete('/actor/type', 'actor.type');
  if (isSubject(draft.resource?.id)) throw noVault('/resource/id');
  if (!isFilled(draft.resource?.id)) throw incomplete('/resource/id', 'resource.id');
  if (!isFilled(draft.resource.type)) throw incomplete('/resource/type', 'resource.type');
}

function isFilled(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isSubject(value: unknown): boolean {
  return value instanceof Subject;
}

/** A person is marked, and this Audit has no vault in which a token could be had. */
function noVault(field: string): AuditError {
  const message = `${field} is a marked person, and this Audit was created without subjects`;
  return new AuditError('schema_invalid', message, {
    field,
    hint: 'Give createAudit the subjects of @sealtrail/sdk/subjects.',
  });
}

function incomplete(field: string, what: string): AuditError {
  return new AuditError(
    AuditErrorCode.incompleteEvent,
    `${what} is missing; an event says who, what, which, when and with what outcome`,
    { field, hint: 'Nothing was sent. Fill the field where record() is called.' },
  );
}

function unknownAction(vocabulary: Vocabulary, action: string): AuditError {
  const suggestion = suggest(action, vocabulary.actions.keys());
  // Quoted only where it has the form of an action: free text could hold anything.
  const shown = /^[a-z][a-z0-9_.]{0,63}$/i.test(action) ? ` "${action}"` : '';
  return new AuditError('unknown_action', `the action${shown} is not in the vocabulary`, {
    field: '/event/action',
    hint:
      suggestion === null
        ? 'Add the action to the vocabulary file, with category, fail policy and retention class.'
        : `Did you mean "${suggestion}"? If not, add the action to the vocabulary file.`,
  });
}

function tooLarge(bytes: number): AuditError {
  return new AuditError(
    'too_large',
    `the event has ${bytes} bytes; the limit is ${EVENT_BYTES_MAX}`,
    { field: '/metadata', hint: 'Record a reference to large content, not the content.' },
  );
}

function completeActor(actor: PlainActor): Actor {
  const { on_behalf_of: principal, roles, session_id } = actor;
  return {
    id: actor.id,
    name: actor.name,
    on_behalf_of: principal ? completePrincipal(principal) : null,
    ...(roles === undefined ? {} : { roles }),
    ...(session_id === undefined ? {} : { session_id }),
    type: actor.type,
  };
}

/** Copies the known members: what else is in there is not for the event. */
function completePrincipal({ id, name, type }: Principal): Principal {
  return { id, name, type };
}

function completeResource(
  draft: PlainDraft,
  context: AuditContext,
  tenant: string,
): AuditEvent['resource'] {
  const { id, name, tenant_id, type } = draft.resource;
  return {
    id,
    ...(name === undefined ? {} : { name }),
    tenant_id: tenant_id ?? context.tenant_id ?? tenant,
    type,
  };
}

function completeSource(draft: PlainDraft, context: AuditContext, using: Preparation): Source {
  const given: Partial<Source> = draft.source ?? context.source ?? {};
  return {
    ip: given.ip ?? null,
    service: given.service ?? using.service,
    service_version: given.service_version ?? (given.service ? null : using.serviceVersion),
    user_agent: given.user_agent ?? null,
  };
}

function completeCorrelation(draft: PlainDraft, context: AuditContext): Correlation {
  const running = currentCorrelation();
  const given = draft.correlation;
  const spanId = given?.span_id ?? (given?.trace_id === undefined ? running.span_id : undefined);
  const workflowId = given?.workflow_id ?? context.workflow_id;
  return {
    request_id: given?.request_id ?? running.request_id ?? null,
    ...(spanId === undefined ? {} : { span_id: spanId }),
    trace_id: given?.trace_id ?? running.trace_id ?? null,
    ...(workflowId === undefined ? {} : { workflow_id: workflowId }),
  };
}

/** Date's own text form is UTC with milliseconds; many events share one. */
function createTimestamps(): (timeMs: number) => string {
  let lastMs = Number.NaN;
  let text = '';
  return (timeMs) => {
    if (timeMs !== lastMs) {
      text = new Date(timeMs).toISOString();
      lastMs = timeMs;
    }
    return text;
  };
}

const WITH_ZONE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/;

function parseTime(time: Date | string): string {
  const date =
    time instanceof Date
      ? time
      : new Date(typeof time === 'string' && WITH_ZONE.test(time) ? time : Number.NaN);
  if (Number.isNaN(date.getTime())) {
    throw new AuditError(
      'schema_invalid',
      'time is neither a valid Date nor ISO 8601 with a zone',
      {
        field: '/event/time',
        hint: 'Leave it out for "now", or give a Date.',
      },
    );
  }
  return date.toISOString();
}
