/**
 * From the shape of OTLP/JSON to records. A fault of the envelope refuses the request; a fault inside
 * a record refuses that record. Unknown members are skipped, as OTLP asks; null stands for absent.
 */
import {
  ANY_VALUE_DEPTH_MAX,
  OTLP_RECORDS_MAX,
  OTLP_VALUES_MAX,
  type AnyValue,
  type Attributes,
  type OtlpRecord,
  type ReceivedRecord,
} from '../../schemas/otlp.ts';
import { parseJson } from '../../schemas/canonical.ts';
import { checkDuplicateKeys } from '../../schemas/json-check.ts';
import { refusal, type Refusal, type RefusalKind } from '../../schemas/refusal.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';

type Members = Readonly<Record<string, unknown>>;

const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MAX = 2n ** 63n - 1n;
const INT64 = /^-?[0-9]{1,19}$/;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** Thrown inside this file only; becomes the refusal of the record or of the request. */
class ParseError extends Error {
  readonly kind: RefusalKind;
  constructor(kind: RefusalKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Reads a JSON body: valid UTF-8, one JSON value, no member name twice. */
export function decodeJsonRequest(bytes: Uint8Array): Result<unknown, Refusal> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const value = parseJson(text);
    const duplicate = checkDuplicateKeys(text);
    return duplicate === null ? ok(value) : err(duplicate);
  } catch (error) {
    // The engine's message quotes the text around the fault, which may be event contents.
    const what = error instanceof SyntaxError ? 'not JSON' : 'not UTF-8';
    return err(refusal('malformed', `the body is ${what}`));
  }
}

/** Lists the records of a request in order. */
export function parseLogsRequest(value: unknown): Result<readonly ReceivedRecord[], Refusal> {
  const budget = { values: OTLP_VALUES_MAX };
  const received: ReceivedRecord[] = [];
  try {
    for (const group of listOf(membersOf(value, 'the request'), 'resourceLogs')) {
      const resourceLogs = membersOf(group, 'resourceLogs');
      const given = resourceLogs['resource'] ?? {};
      const resource = parseAttributes(membersOf(given, 'resource'), 'attributes', 0, budget);
      for (const scope of listOf(resourceLogs, 'scopeLogs')) {
        for (const record of listOf(membersOf(scope, 'scopeLogs'), 'logRecords')) {
          if (received.length === OTLP_RECORDS_MAX) throw tooLarge(OTLP_RECORDS_MAX, 'records');
          received.push({ resource, record: parseRecord(record, budget) });
        }
      }
    }
    return ok(received);
  } catch (error) {
    return err(refusalOf(error));
  }
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof ParseError) return refusal(error.kind, error.message);
  return refusal('malformed', messageOf(error));
}

function tooLarge(limit: number, what: string): ParseError {
  return new ParseError(
    'too_large',
    `the request has more than ${limit} ${what}; send it in parts`,
  );
}

function parseRecord(value: unknown, budget: { values: number }): Result<OtlpRecord, Refusal> {
  try {
    const members = membersOf(value, 'a log record');
    const body = members['body'] ?? null;
    return ok({
      timeUnixNano: parseTime(members, 'timeUnixNano'),
      observedTimeUnixNano: parseTime(members, 'observedTimeUnixNano'),
      eventName: textOf(members['eventName'] ?? '', 'eventName'),
      body: body === null ? null : parseValue(body, 'body', 1, budget),
      attributes: parseAttributes(members, 'attributes', 0, budget),
      traceId: parseId(members, 'traceId', 32),
      spanId: parseId(members, 'spanId', 16),
    });
  } catch (error) {
    if (budget.values < 0) throw error;
    return err(refusalOf(error));
  }
}

function membersOf(value: unknown, what: string): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Members;
  }
  throw new ParseError('malformed', `${what} is not an object`);
}

function listOf(members: Members, name: string): readonly unknown[] {
  const value = members[name] ?? [];
  if (Array.isArray(value)) return value;
  throw new ParseError('malformed', `${name} is not an array`);
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new ParseError('malformed', `${what} is not a string`);
  if (value.isWellFormed()) return value;
  throw new ParseError('unsafe_json', `${what} contains a lone surrogate`);
}

function parseTime(members: Members, name: string): bigint {
  const value = members[name] ?? '0';
  // A bare number has lost digits below 256 ns already; it still names the millisecond.
  const isNumber = typeof value === 'number' && Number.isInteger(value) && value >= 0;
  const isText = typeof value === 'string' && /^[0-9]{1,20}$/.test(value);
  const time = isNumber || isText ? BigInt(value) : -1n;
  if (time >= 0n && time <= UINT64_MAX) return time;
  throw new ParseError('malformed', `${name} is not an unsigned 64-bit integer as decimal text`);
}

function parseId(members: Members, name: string, digits: number): string | null {
  const id = textOf(members[name] ?? '', name).toLowerCase();
  if (id === '' || /^0+$/.test(id)) return null;
  if (id.length === digits && /^[0-9a-f]+$/.test(id)) return id;
  throw new ParseError('malformed', `${name} is not ${digits} hex digits`);
}

function parseAttributes(
  members: Members,
  name: string,
  depth: number,
  budget: { values: number },
): Attributes {
  const attributes = new Map<string, AnyValue>();
  for (const item of listOf(members, name)) {
    const pair = membersOf(item, 'an attribute');
    const key = textOf(pair['key'] ?? '', 'the name of an attribute');
    if (key === '') throw new ParseError('malformed', 'an attribute has no name');
    if (key === '__proto__') {
      throw new ParseError('forbidden_key', 'an attribute is named __proto__; rename it');
    }
    if (attributes.has(key)) {
      throw new ParseError('duplicate_key', 'two attributes have one name; send each name once');
    }
    attributes.set(key, parseValue(pair['value'] ?? {}, 'an attribute', depth + 1, budget));
  }
  return attributes;
}

function parseValue(
  value: unknown,
  what: string,
  depth: number,
  budget: { values: number },
): AnyValue {
  if (--budget.values < 0) throw tooLarge(OTLP_VALUES_MAX, 'values');
  if (depth > ANY_VALUE_DEPTH_MAX) {
    const message = `${what} is nested deeper than ${ANY_VALUE_DEPTH_MAX} levels; flatten it`;
    throw new ParseError('unsafe_json', message);
  }
  const members = membersOf(value, `the value of ${what}`);
  const kinds = VALUE_KINDS.filter((kind) => (members[kind] ?? null) !== null);
  if (kinds.length > 1) throw new ParseError('malformed', `${what} has more than one value`);
  const kind = kinds[0];
  if (kind === undefined) return { empty: true };
  if (kind === 'arrayValue') {
    const list = listOf(membersOf(members[kind], kind), 'values');
    return { arrayValue: list.map((item) => parseValue(item, what, depth + 1, budget)) };
  }
  if (kind === 'kvlistValue') {
    return {
      kvlistValue: parseAttributes(membersOf(members[kind], kind), 'values', depth, budget),
    };
  }
  return parseScalar(kind, members[kind], what);
}

const VALUE_KINDS = [
  'stringValue',
  'boolValue',
  'intValue',
  'doubleValue',
  'bytesValue',
  'arrayValue',
  'kvlistValue',
] as const;
type ScalarKind = Exclude<(typeof VALUE_KINDS)[number], 'arrayValue' | 'kvlistValue'>;

function parseScalar(kind: ScalarKind, value: unknown, what: string): AnyValue {
  switch (kind) {
    case 'stringValue':
      return { stringValue: textOf(value, what) };
    case 'boolValue':
      if (typeof value === 'boolean') return { boolValue: value };
      break;
    case 'intValue':
      return { intValue: parseInt64(value, what) };
    case 'doubleValue':
      return { doubleValue: parseDouble(value, what) };
    case 'bytesValue':
      if (typeof value === 'string' && BASE64.test(value)) {
        return { bytesValue: Buffer.from(value, 'base64').toString('base64') };
      }
      break;
  }
  throw new ParseError('malformed', `the ${kind} of ${what} has a wrong form`);
}

function parseInt64(value: unknown, what: string): string {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(BigInt(value));
  if (typeof value === 'string' && INT64.test(value)) {
    const number = BigInt(value);
    if (number <= INT64_MAX && number >= -INT64_MAX - 1n) return String(number);
  }
  throw new ParseError(
    'unsafe_json',
    `the intValue of ${what} is not a 64-bit integer as decimal text`,
  );
}

function parseDouble(value: unknown, what: string): number {
  const text = typeof value === 'string' && /^-?[0-9.eE+-]+$/.test(value);
  const number = typeof value === 'number' ? value : text ? Number(value) : Number.NaN;
  if (Number.isFinite(number)) return number;
  throw new ParseError('unsafe_json', `the doubleValue of ${what} is not a finite number`);
}
