/**
 * Plain events, written: the RFC 8785 form of an event that is whole and in which there is nothing to
 * redact, each character checked while it is copied to where it is sent from. The counterpart of
 * plain-event.ts, which reads them; what is not plain goes the longer way here as well.
 */
import { isEventTime } from '../schemas/event-check.ts';
import type { AuditEvent, Principal } from '../schemas/event.ts';
import * as layout from './plain-layout.ts';
import type { PlainRules } from './plain-names.ts';
import { PlainPen } from './plain-pen.ts';

/**
 * Writes an event into the bytes from `at` on, and returns where it ends. NOT_PLAIN for one that goes the
 * longer way. An end beyond the bytes: there is no room for it, and it is not whole.
 */
export type WritePlainEvent = (event: AuditEvent, bytes: Buffer, at: number) => number;

export const NOT_PLAIN = -1;

/** Creates a writer. */
export function createPlainEventWriter(rules: PlainRules): WritePlainEvent {
  const pen = new PlainPen(rules);
  let lastTime = '';

  function putPrincipal(principal: Principal | null): void {
    if (principal === null) return pen.put(layout.NULL);
    pen.put(layout.OPEN_ID);
    pen.text(principal.id, 1, 512, true);
    pen.put(layout.COMMA_NAME);
    pen.text(principal.name, 1, 512, true);
    pen.put(layout.COMMA_TYPE);
    pen.oneOf(principal.type, layout.ACTOR_TYPES);
    pen.put(layout.CLOSE);
  }

  function putActor({ actor }: AuditEvent): void {
    pen.put(layout.ACTOR_ID);
    pen.text(actor.id, 1, 512, true);
    pen.put(layout.COMMA_NAME);
    pen.text(actor.name, 1, 512, true);
    pen.put(layout.ON_BEHALF_OF);
    putPrincipal(actor.on_behalf_of);
    if (actor.roles !== undefined) {
      pen.put(layout.ROLES);
      pen.texts(actor.roles, 128, 64);
    }
    if (actor.session_id !== undefined) {
      pen.put(layout.SESSION_ID);
      pen.id(actor.session_id, 1, 512);
    }
    pen.put(layout.COMMA_TYPE);
    pen.oneOf(actor.type, layout.ACTOR_TYPES);
    pen.put(layout.CLOSE);
  }

  function putCorrelation({ correlation }: AuditEvent): void {
    pen.put(layout.REQUEST_ID);
    if (correlation.request_id === null) pen.put(layout.NULL);
    else pen.id(correlation.request_id, 1, 256);
    if (correlation.span_id !== undefined) {
      pen.put(layout.SPAN_ID);
      pen.word(correlation.span_id, layout.HEX, 16, 16);
    }
    pen.put(layout.TRACE_ID);
    if (correlation.trace_id === null) pen.put(layout.NULL);
    else pen.word(correlation.trace_id, layout.HEX, 32, 32);
    if (correlation.workflow_id !== undefined) {
      pen.put(layout.WORKFLOW_ID);
      pen.id(correlation.workflow_id, 1, 256);
    }
  }

  function putWhat({ event }: AuditEvent): void {
    pen.put(layout.ACTION);
    pen.word(event.action, layout.NAME, 1, 128);
    pen.put(layout.CATEGORY);
    pen.word(event.category, layout.NAME, 1, 64);
    pen.put(layout.OUTCOME);
    pen.oneOf(event.outcome, layout.OUTCOMES);
    pen.put(layout.COMMA_TIME);
    // Events that come together tend to have the time in common.
    if (event.time !== lastTime) {
      if (typeof event.time !== 'string' || !isEventTime(event.time)) return pen.refuse();
      lastTime = event.time;
    }
    pen.word(event.time, layout.TIME, 24, 24);
  }

  function putResource({ resource }: AuditEvent): void {
    pen.put(layout.RESOURCE_ID);
    pen.text(resource.id, 1, 1024, true);
    if (resource.name !== undefined) {
      pen.put(layout.COMMA_NAME);
      pen.text(resource.name, 1, 1024, true);
    }
    pen.put(layout.TENANT_ID);
    pen.word(resource.tenant_id, layout.NAME, 1, 128);
    if (pen.isPlain && layout.PUNCTUATION[resource.tenant_id.charCodeAt(0)] === 1) pen.refuse();
    pen.put(layout.COMMA_TYPE);
    pen.text(resource.type, 1, 128, true);
  }

  function putSource({ source }: AuditEvent): void {
    pen.put(layout.SOURCE_IP);
    if (source.ip === null) pen.put(layout.NULL);
    else putIp(source.ip);
    pen.put(layout.SERVICE);
    pen.text(source.service, 1, 256);
    pen.put(layout.SERVICE_VERSION);
    pen.textOrNull(source.service_version, 0, 128);
    pen.put(layout.USER_AGENT);
    pen.textOrNull(source.user_agent, 0, 2048);
    pen.put(layout.END);
  }

  /** A dotted quad is no card, however many digits; any other address is text that redaction looks at. */
  function putIp(ip: string): void {
    if (typeof ip !== 'string') return pen.refuse();
    if (!layout.IPV4.test(ip) && rules.suspicion.isSuspicious(ip, true)) pen.refuse();
    pen.word(ip, layout.IP, 2, 45);
  }

  return (event, bytes, at) => {
    if (event.origin !== undefined) return NOT_PLAIN;
    pen.begin(bytes, at);
    putActor(event);
    if (event.changes !== undefined) {
      pen.put(layout.CHANGES);
      pen.texts(event.changes, 256, 1024, true);
    }
    putCorrelation(event);
    putWhat(event);
    pen.put(layout.EVENT_ID);
    pen.word(event.event_id, layout.ULID, 26, 26);
    if (event.event_id > '8') pen.refuse();
    pen.put(layout.METADATA);
    pen.object(event.metadata, layout.METADATA_DEPTH);
    putResource(event);
    putSource(event);
    return pen.isPlain ? pen.at : NOT_PLAIN;
  };
}
