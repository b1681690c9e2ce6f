/**
 * OTLP logs in protobuf: requests in, answers out. Messages are tables of field numbers (from
 * opentelemetry-proto 1.x) over protobufjs' Reader rather than generated classes, because counts and
 * nesting have to be bounded while decoding: two bytes of body can ask for one object.
 * The result has the shape of OTLP/JSON, so that one parser judges both encodings.
 */
import protobuf from 'protobufjs/minimal.js';
import { ANY_VALUE_DEPTH_MAX, OTLP_RECORDS_MAX, OTLP_VALUES_MAX } from '../../schemas/otlp.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';

type Reader = protobuf.Reader;
type Scalar = 'string' | 'bool' | 'int64' | 'fixed64' | 'double' | 'base64' | 'hex';
type Fields = Readonly<Record<number, Field>>;

interface Field {
  readonly name: string;
  readonly type: Scalar | (() => Fields);
  readonly repeated?: true;
  /** What one more of these costs. */
  readonly counts?: 'records' | 'values';
}

const WIRE_TYPES: Readonly<Record<Scalar, number>> = {
  string: 2,
  bool: 0,
  int64: 0,
  fixed64: 1,
  double: 1,
  base64: 2,
  hex: 2,
};

const ANY_VALUE: Fields = {
  1: { name: 'stringValue', type: 'string' },
  2: { name: 'boolValue', type: 'bool' },
  3: { name: 'intValue', type: 'int64' },
  4: { name: 'doubleValue', type: 'double' },
  5: { name: 'arrayValue', type: () => ARRAY_VALUE },
  6: { name: 'kvlistValue', type: () => KEY_VALUE_LIST },
  7: { name: 'bytesValue', type: 'base64' },
};
const ARRAY_VALUE: Fields = {
  1: { name: 'values', type: () => ANY_VALUE, repeated: true, counts: 'values' },
};
const KEY_VALUE: Fields = {
  1: { name: 'key', type: 'string' },
  2: { name: 'value', type: () => ANY_VALUE },
};
const KEY_VALUE_LIST: Fields = {
  1: { name: 'values', type: () => KEY_VALUE, repeated: true, counts: 'values' },
};
const RESOURCE: Fields = {
  1: { name: 'attributes', type: () => KEY_VALUE, repeated: true, counts: 'values' },
};
const LOG_RECORD: Fields = {
  1: { name: 'timeUnixNano', type: 'fixed64' },
  5: { name: 'body', type: () => ANY_VALUE },
  6: { name: 'attributes', type: () => KEY_VALUE, repeated: true, counts: 'values' },
  9: { name: 'traceId', type: 'hex' },
  10: { name: 'spanId', type: 'hex' },
  11: { name: 'observedTimeUnixNano', type: 'fixed64' },
  12: { name: 'eventName', type: 'string' },
};
const SCOPE_LOGS: Fields = {
  2: { name: 'logRecords', type: () => LOG_RECORD, repeated: true, counts: 'records' },
};
const RESOURCE_LOGS: Fields = {
  1: { name: 'resource', type: () => RESOURCE },
  2: { name: 'scopeLogs', type: () => SCOPE_LOGS, repeated: true, counts: 'values' },
};
const EXPORT_LOGS_REQUEST: Fields = {
  1: { name: 'resourceLogs', type: () => RESOURCE_LOGS, repeated: true, counts: 'values' },
};

interface Budget {
  records: number;
  values: number;
}

/** Ends decoding: the request is well-formed so far, but asks for too much. */
class BudgetError extends Error {}

/** Decodes an ExportLogsServiceRequest into the shape of OTLP/JSON; unknown fields are skipped. */
export function decodeLogsRequest(bytes: Uint8Array): Result<unknown, Refusal> {
  try {
    const reader = protobuf.Reader.create(bytes);
    const budget = { records: OTLP_RECORDS_MAX, values: OTLP_VALUES_MAX };
    return ok(decodeMessage(reader, EXPORT_LOGS_REQUEST, bytes.length, 0, budget));
  } catch (error) {
    if (error instanceof BudgetError) return err(refusal('too_large', error.message));
    const reason = `the body is no OTLP logs request in protobuf: ${messageOf(error)}`;
    return err(refusal('malformed', reason));
  }
}

/** `valueDepth` is the level of the AnyValue this message belongs to; 0 outside of any. */
function decodeMessage(
  reader: Reader,
  fields: Fields,
  end: number,
  valueDepth: number,
  budget: Budget,
): Record<string, unknown> {
  const depth = fields === ANY_VALUE ? valueDepth + 1 : valueDepth;
  // One level past the limit is enough for the parser to refuse this record and no other.
  if (depth > ANY_VALUE_DEPTH_MAX + 1) {
    reader.skip(end - reader.pos);
    return {};
  }
  const message: Record<string, unknown> = {};
  while (reader.pos < end) {
    const tag = reader.tag();
    const field = fields[tag >>> 3];
    const wireType = tag & 7;
    if (field === undefined || wireType !== wireTypeOf(field)) {
      reader.skipType(wireType, 0, tag >>> 3);
      continue;
    }
    spend(field, budget);
    const value = decodeField(reader, field, end, depth, budget);
    if (field.repeated === true) append(message, field.name, value);
    else if (Object.hasOwn(message, field.name)) throw new Error(`${field.name} came twice`);
    else message[field.name] = value;
  }
  if (reader.pos !== end) throw new RangeError('a field runs past its message');
  return message;
}

function append(message: Record<string, unknown>, name: string, value: unknown): void {
  const items = message[name];
  if (Array.isArray(items)) items.push(value);
  else message[name] = [value];
}

function wireTypeOf(field: Field): number {
  return typeof field.type === 'string' ? WIRE_TYPES[field.type] : 2;
}

function spend(field: Field, budget: Budget): void {
  if (field.counts === undefined) return;
  budget[field.counts]--;
  if (budget[field.counts] >= 0) return;
  const limit = field.counts === 'records' ? OTLP_RECORDS_MAX : OTLP_VALUES_MAX;
  throw new BudgetError(`the request has more than ${limit} ${field.counts}; send it in parts`);
}

function decodeField(
  reader: Reader,
  field: Field,
  end: number,
  depth: number,
  budget: Budget,
): unknown {
  if (typeof field.type === 'string') return decodeScalar(reader, field.type);
  const size = reader.size();
  if (reader.pos + size > end) throw new RangeError('a field runs past its message');
  return decodeMessage(reader, field.type(), reader.pos + size, depth, budget);
}

function decodeScalar(reader: Reader, type: Scalar): unknown {
  switch (type) {
    case 'string':
      return reader.stringVerify();
    case 'bool':
      return reader.bool();
    case 'int64':
      return String(reader.int64());
    case 'fixed64':
      return String(reader.fixed64());
    case 'double':
      return reader.double();
    case 'base64':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'hex':
      return Buffer.from(reader.bytes()).toString('hex');
  }
}

/** Encodes an ExportLogsServiceResponse; without rejections it is empty. */
export function encodeLogsResponse(rejected: number, message: string): Uint8Array {
  const writer = protobuf.Writer.create();
  if (rejected === 0) return writer.finish();
  writer.uint32(tagOf(1, 2)).fork();
  writer.uint32(tagOf(1, 0)).int64(rejected);
  writer.uint32(tagOf(2, 2)).string(message);
  return writer.ldelim().finish();
}

/** Encodes a google.rpc.Status. */
export function encodeStatus(code: number, message: string): Uint8Array {
  const writer = protobuf.Writer.create();
  writer.uint32(tagOf(1, 0)).int32(code);
  return writer.uint32(tagOf(2, 2)).string(message).finish();
}

function tagOf(field: number, wireType: number): number {
  return (field << 3) | wireType;
}
