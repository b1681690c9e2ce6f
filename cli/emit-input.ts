/**
 * Lines of standard input to drafts: either what record() takes, or a whole event (schema_version "1.0"),
 * whose id is kept, so that the same file emitted twice shows each event once.
 */
import { parseJson } from '../schemas/canonical.ts';
import { SCHEMA_VERSION } from '../schemas/event.ts';
import { checkDuplicateKeys } from '../schemas/json-check.ts';
import { refusal, type Refusal } from '../schemas/refusal.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import type { EventDraft } from '../sdk/index.ts';

const DRAFT_MEMBERS: ReadonlySet<string> = new Set([
  'action',
  'actor',
  'changes',
  'correlation',
  'event_id',
  'metadata',
  'outcome',
  'resource',
  'source',
  'time',
]);
const EVENT_MEMBERS: ReadonlySet<string> = new Set([
  'actor',
  'changes',
  'correlation',
  'event',
  'event_id',
  'metadata',
  'resource',
  'schema_version',
  'source',
]);

type Members = Readonly<Record<string, unknown>>;

/** Reads one line. What is in the fields is for record() to judge. */
export function parseDraft(line: string): Result<EventDraft, Refusal> {
  let value: unknown;
  try {
    value = parseJson(line);
  } catch {
    // The parser's message would quote the line.
    return err(refusal('malformed', 'the line is no valid JSON; each line holds one event'));
  }
  if (!isObject(value)) return err(refusal('malformed', 'the line is no JSON object'));
  const duplicate = checkDuplicateKeys(line);
  if (duplicate !== null) return err(duplicate);
  return 'schema_version' in value || 'event' in value ? fromEvent(value) : fromDraft(value);
}

function fromDraft(value: Members): Result<EventDraft, Refusal> {
  const unknown = findUnknown(value, DRAFT_MEMBERS);
  // record() checks every field; the cast only names the form it expects.
  return unknown === null ? ok(value as unknown as EventDraft) : err(unknown);
}

function fromEvent(value: Members): Result<EventDraft, Refusal> {
  const unknown = findUnknown(value, EVENT_MEMBERS);
  if (unknown !== null) return err(unknown);
  if (value['schema_version'] !== SCHEMA_VERSION) {
    const message = `schema_version must be "${SCHEMA_VERSION}"`;
    return err(refusal('unsupported_version', message, '/schema_version'));
  }
  const { event, schema_version: _, ...rest } = value;
  if (!isObject(event)) return err(refusal('schema_invalid', '/event is missing', '/event'));
  const { action, outcome, time } = event;
  return fromDraft({ ...rest, action, outcome, ...(time === undefined ? {} : { time }) });
}

function findUnknown(value: Members, known: ReadonlySet<string>): Refusal | null {
  const name = Object.keys(value).find((each) => !known.has(each));
  if (name === undefined) return null;
  const message = `the line has a member that an event has not; put free fields below /metadata. Known: ${[...known].join(', ')}`;
  return refusal('schema_invalid', message);
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
