/**
 * The event as text, in the order of RFC 8785, written out without looking at what its strings hold. What
 * comes of it is only a proposal: it counts once it was read back as a plain event (plain-event.ts) with
 * as many strings as were written here. A quote inside a string would make that number another, and
 * anything else that needs escaping is not plain. Pure.
 */
import type { AuditEvent, Json, Principal } from '../schemas/event.ts';

export interface ProposedText {
  readonly text: string;
  /** Strings in it, names of members included. */
  readonly strings: number;
}

/** Deeper metadata is left to the longer way. */
const LEVELS_MAX = 8;

/** Creates the writer; null for an event that has anything but the values it should have. */
export function createEventWriter(): (event: AuditEvent) => ProposedText | null {
  let strings = 0;
  let isOdd = false;

  /** A member that has to be there. */
  function member(before: string, value: string | null): string {
    strings += 1;
    if (value === null) return `${before}null`;
    if (typeof value !== 'string') {
      isOdd = true;
      return '';
    }
    strings += 1;
    return `${before}"${value}"`;
  }

  function optional(before: string, value: string | undefined): string {
    return value === undefined ? '' : member(before, value);
  }

  function list(before: string, values: readonly string[] | undefined): string {
    return values === undefined ? '' : named(before, values);
  }

  function named(before: string, value: Json): string {
    strings += 1;
    return before + json(value, LEVELS_MAX);
  }

  function json(value: Json, levels: number): string {
    if (typeof value === 'string') {
      strings += 1;
      return `"${value}"`;
    }
    if (typeof value === 'number') return value === 0 ? '0' : String(value);
    if (typeof value === 'boolean') return value ? 'true' : 'false';
    if (value === null) return 'null';
    if (typeof value !== 'object' || levels === 0) {
      isOdd = true;
      return '';
    }
    return isList(value) ? jsonList(value, levels - 1) : jsonObject(value, levels - 1);
  }

  function jsonList(values: readonly Json[], levels: number): string {
    let text = '[';
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      // A hole or undefined: what to say of it is not decided here.
      if (value === undefined) isOdd = true;
      else text += index === 0 ? json(value, levels) : ',' + json(value, levels);
    }
    return text + ']';
  }

  function jsonObject(object: { readonly [name: string]: Json }, levels: number): string {
    const prototype: unknown = Object.getPrototypeOf(object);
    if (prototype !== Object.prototype && prototype !== null) isOdd = true;
    let text = '{';
    for (const name of Object.keys(object).sort()) {
      const value = object[name];
      if (value === undefined) continue;
      strings += 1;
      text += `${text.length === 1 ? '"' : ',"'}${name}":${json(value, levels)}`;
    }
    return text + '}';
  }

  function principal(value: Principal | null): string {
    if (value === null) return 'null';
    return (
      member('{"id":', value.id) +
      member(',"name":', value.name) +
      member(',"type":', value.type) +
      '}'
    );
  }

  return (event) => {
    // The names that are not counted below, and the version.
    strings = 8;
    isOdd = false;
    const { actor, correlation, event: what, resource, source } = event;
    const text =
      member('{"actor":{"id":', actor.id) +
      member(',"name":', actor.name) +
      ',"on_behalf_of":' +
      principal(actor.on_behalf_of) +
      list(',"roles":', actor.roles) +
      optional(',"session_id":', actor.session_id) +
      member(',"type":', actor.type) +
      '}' +
      list(',"changes":', event.changes) +
      member(',"correlation":{"request_id":', correlation.request_id) +
      optional(',"span_id":', correlation.span_id) +
      member(',"trace_id":', correlation.trace_id) +
      optional(',"workflow_id":', correlation.workflow_id) +
      member('},"event":{"action":', what.action) +
      member(',"category":', what.category) +
      member(',"outcome":', what.outcome) +
      member(',"time":', what.time) +
      member('},"event_id":', event.event_id) +
      named(',"metadata":', event.metadata) +
      member(',"resource":{"id":', resource.id) +
      optional(',"name":', resource.name) +
      member(',"tenant_id":', resource.tenant_id) +
      member(',"type":', resource.type) +
      member('},"schema_version":"1.0","source":{"ip":', source.ip) +
      member(',"service":', source.service) +
      member(',"service_version":', source.service_version) +
      member(',"user_agent":', source.user_agent) +
      '}}';
    return isOdd || event.origin !== undefined ? null : { text, strings };
  };
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
