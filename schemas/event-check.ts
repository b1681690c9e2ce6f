/**
 * checkEvent: whether a value is a whole audit event, schema_version "1.0". Pure; the SDK calls it
 * before anything is queued, the agent again before anything is sealed. The rules of form are
 * event.schema.json, compiled at build time; what JSON Schema cannot say is in json-check.ts.
 */
import { SCHEMA_VERSION, type AuditEvent } from './event.ts';
import { validate } from './generated/event.js';
import { checkJson, pointTo } from './json-check.ts';
import { refusal, type Refusal } from './refusal.ts';
import { err, ok, type Result } from './result.ts';

/** Returns the value as an event, or the first reason why it is none: field and remedy. */
export function checkEvent(value: unknown): Result<AuditEvent, Refusal> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return err(refusal('malformed', 'an event is one JSON object'));
  }
  if (Object.hasOwn(value, '__proto__')) {
    return err(refusal('forbidden_key', 'the event has a member named __proto__; remove it'));
  }
  const version: unknown = 'schema_version' in value ? value.schema_version : undefined;
  if (typeof version === 'string' && version !== SCHEMA_VERSION) {
    return err(
      refusal(
        'unsupported_version',
        `schema_version is not ${SCHEMA_VERSION}; upgrade the agent, or send ${SCHEMA_VERSION}`,
        '/schema_version',
      ),
    );
  }
  if (!validate(value)) return err(describeFirst());
  const event = value as AuditEvent;
  if (!isInCalendar(event.event.time)) {
    return err(refusal('schema_invalid', '/event/time is no date of the calendar', '/event/time'));
  }
  const unsafe = checkStrings(event) ?? checkJson(event.metadata, '/metadata', 2);
  return unsafe === null ? ok(event) : err(unsafe);
}

const TIME =
  /^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$/;

/** Whether a text is a time as an event has it: the schema's form, and in the calendar. */
export function isEventTime(time: string): boolean {
  return TIME.test(time) && isInCalendar(time);
}

/** PostgreSQL has neither a year 0 nor a 30th of February; Date.parse makes that the 2nd of March. */
function isInCalendar(time: string): boolean {
  if (time.startsWith('0000')) return false;
  const isInEveryMonth = time.slice(8, 10) <= '28';
  return isInEveryMonth || new Date(time).toISOString() === time;
}

/** The fixed fields: the schema bounds their depth and forms, strings are left to check. */
function checkStrings(event: AuditEvent): Refusal | null {
  return (
    checkJson(event.actor, '/actor', 2) ??
    checkJson(event.resource, '/resource', 2) ??
    checkJson(event.source, '/source', 2) ??
    checkJson(event.correlation, '/correlation', 2) ??
    (event.changes === undefined ? null : checkJson(event.changes, '/changes', 2)) ??
    (event.origin === undefined ? null : checkJson(event.origin, '/origin', 2))
  );
}

function describeFirst(): Refusal {
  const error = validate.errors?.[0];
  if (error === undefined) return refusal('schema_invalid', 'the event does not match its schema');
  const at = error.instancePath === '' ? 'the event' : error.instancePath;
  const params = error.params;
  switch (error.keyword) {
    case 'required': {
      const field = `${error.instancePath}/${String(params['missingProperty'])}`;
      return refusal('schema_invalid', `${field} is missing; it is required`, field);
    }
    case 'additionalProperties': {
      const field = pointTo(error.instancePath, String(params['additionalProperty']));
      const message = `${field} is no field of an event; put free fields below /metadata`;
      return refusal('schema_invalid', message, field);
    }
    case 'enum':
      return refusal(
        'schema_invalid',
        `${at} must be one of ${JSON.stringify(params['allowedValues'])}`,
        error.instancePath,
      );
    default:
      return refusal(
        'schema_invalid',
        `${at} ${error.message ?? 'has a wrong form'}`,
        error.instancePath,
      );
  }
}
