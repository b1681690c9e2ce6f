/**
 * Plain events, read from their bytes without building a value. An event is plain when its text is the
 * RFC 8785 form of a whole event (event.schema.json) in which redaction would change nothing. That is
 * what the SDK sends nearly always, and reading it costs a fraction of parsing, checking, redacting and
 * serializing it. What is not plain goes that longer way, which also finds the reason of a refusal: to
 * doubt is always right here, and to accept wrongly never is. Pure.
 */
import type { CanonicalEvent } from '../schemas/canonical-event.ts';
import { isEventTime } from '../schemas/event-check.ts';
import { PlainCursor } from './plain-cursor.ts';
import {
  ACTION,
  ACTOR_ID,
  ACTOR_TYPES,
  CATEGORY,
  CHANGES,
  CLOSE,
  COMMA_NAME,
  COMMA_TIME,
  COMMA_TYPE,
  END,
  EVENT_ID,
  HEX,
  IP,
  METADATA,
  METADATA_DEPTH,
  NAME,
  NULL,
  ON_BEHALF_OF,
  OPEN_ID,
  OUTCOME,
  OUTCOMES,
  PUNCTUATION,
  REQUEST_ID,
  RESOURCE_ID,
  ROLES,
  SERVICE,
  SERVICE_VERSION,
  SESSION_ID,
  SOURCE_IP,
  SPAN_ID,
  TENANT_ID,
  TIME,
  TRACE_ID,
  ULID,
  USER_AGENT,
  WORKFLOW_ID,
} from './plain-layout.ts';
import type { PlainRules } from './plain-names.ts';

/** What admission decides by. */
export interface PlainEvent extends CanonicalEvent {
  readonly tenant: string;
  /** The form of these two is not checked: they have to stand in the vocabulary anyway. */
  readonly action: string;
  readonly category: string;
}

/** Reads the event in bytes [start, end); null unless it is plain. A newline MUST stand at `end`. */
export type ReadPlainEvent = (bytes: Buffer, start: number, end: number) => PlainEvent | null;

const SEVEN = 0x37;

/** Creates a reader. */
export function createPlainEventReader(rules: PlainRules): ReadPlainEvent {
  const cursor = new PlainCursor(rules);
  let lastTime = '';

  function readPrincipal(): boolean {
    if (!cursor.skip(OPEN_ID)) return cursor.skip(NULL);
    if (!cursor.readText(1, 512, true)) return false;
    if (!cursor.skip(COMMA_NAME) || !cursor.readText(1, 512, true)) return false;
    if (!cursor.skip(COMMA_TYPE) || !cursor.readOneOf(ACTOR_TYPES)) return false;
    return cursor.skip(CLOSE);
  }

  /** A dotted quad is no card, however many digits; what else has the form of an address is text. */
  function readIp(): boolean {
    if (!cursor.isAtString()) return cursor.skip(NULL);
    if (cursor.readDottedQuad()) return true;
    const start = cursor.at;
    if (!cursor.readWord(IP, 2, 45)) return false;
    cursor.at = start;
    return cursor.readText(2, 45, true);
  }

  /** Events that come together tend to have the time in common. */
  function readTime(): boolean {
    const start = cursor.at;
    if (!cursor.readWord(TIME, 24, 24)) return false;
    const time = cursor.stringFrom(start);
    if (time !== lastTime) {
      if (!isEventTime(time)) return false;
      lastTime = time;
    }
    return true;
  }

  return (bytes, start, end) => {
    cursor.bytes = bytes;
    cursor.at = start;
    if (!cursor.skip(ACTOR_ID) || !cursor.readText(1, 512, true)) return null;
    if (!cursor.skip(COMMA_NAME) || !cursor.readText(1, 512, true)) return null;
    if (!cursor.skip(ON_BEHALF_OF) || !readPrincipal()) return null;
    if (cursor.skip(ROLES) && !cursor.readTexts(128, 64)) return null;
    if (cursor.skip(SESSION_ID) && !cursor.readId(1, 512)) return null;
    if (!cursor.skip(COMMA_TYPE) || !cursor.readOneOf(ACTOR_TYPES) || !cursor.skip(CLOSE))
      return null;
    const chainAt = cursor.at;
    if (cursor.skip(CHANGES) && !cursor.readTexts(256, 1024, true)) return null;
    if (!cursor.skip(REQUEST_ID)) return null;
    if (!cursor.skip(NULL) && !cursor.readId(1, 256)) return null;
    if (cursor.skip(SPAN_ID) && !cursor.readWord(HEX, 16, 16)) return null;
    if (!cursor.skip(TRACE_ID)) return null;
    if (!cursor.readWord(HEX, 32, 32) && !cursor.skip(NULL)) return null;
    if (cursor.skip(WORKFLOW_ID) && !cursor.readId(1, 256)) return null;
    if (!cursor.skip(ACTION)) return null;
    const actionAt = cursor.at;
    if (!cursor.readWord(NAME, 1, 128)) return null;
    const action = cursor.stringFrom(actionAt);
    if (!cursor.skip(CATEGORY)) return null;
    const categoryAt = cursor.at;
    if (!cursor.readWord(NAME, 1, 64)) return null;
    const category = cursor.stringFrom(categoryAt);
    if (!cursor.skip(OUTCOME) || !cursor.readOneOf(OUTCOMES)) return null;
    if (!cursor.skip(COMMA_TIME) || !readTime()) return null;
    if (!cursor.skip(EVENT_ID)) return null;
    const eventIdAt = cursor.at;
    if (!cursor.readWord(ULID, 26, 26)) return null;
    // The first digit of a ULID is below 8: 48 bits of time.
    if (
      (bytes[eventIdAt + 1] ?? 0) > SEVEN ||
      !cursor.skip(METADATA) ||
      !cursor.readObject(METADATA_DEPTH)
    )
      return null;
    if (!cursor.skip(RESOURCE_ID) || !cursor.readText(1, 1024, true)) return null;
    if (cursor.skip(COMMA_NAME) && !cursor.readText(1, 1024, true)) return null;
    if (!cursor.skip(TENANT_ID)) return null;
    const tenantAt = cursor.at;
    if (!cursor.readWord(NAME, 1, 128)) return null;
    const tenant = cursor.stringFrom(tenantAt);
    if (PUNCTUATION[bytes[tenantAt + 1] ?? 0] === 1) return null;
    if (!cursor.skip(COMMA_TYPE) || !cursor.readText(1, 128, true)) return null;
    if (!cursor.skip(SOURCE_IP) || !readIp()) return null;
    if (!cursor.skip(SERVICE) || !cursor.readText(1, 256)) return null;
    if (!cursor.skip(SERVICE_VERSION) || !cursor.readTextOrNull(0, 128)) return null;
    if (!cursor.skip(USER_AGENT) || !cursor.readTextOrNull(0, 2048)) return null;
    if (!cursor.skip(END) || cursor.at !== end) return null;
    return {
      bytes,
      start,
      end,
      chainAt,
      action,
      category,
      tenant,
    };
  };
}
