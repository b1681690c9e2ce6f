/**
 * An OTLP logs request in protobuf: field numbers of opentelemetry-proto 1.x over protobufjs' Writer,
 * for no more than what otlp-logs.ts makes; and the answer's partial success in either encoding.
 */
import protobuf from 'protobufjs/minimal.js';
import { memberOf, readJson } from '../../../schemas/untrusted-json.ts';
import type { LogAttribute, LogRecord, LogsRequest, LogValue } from './otlp-logs.ts';

type Writer = protobuf.Writer;

/** Tag of a field: its number and wire type. */
const tag = (field: number, wire: 0 | 1 | 2 | 5): number => (field << 3) | wire;

/** Encodes an ExportLogsServiceRequest. */
export function encodeLogs(request: LogsRequest): Buffer {
  const writer = protobuf.Writer.create();
  for (const { resource, scopeLogs } of request.resourceLogs) {
    within(writer, 1, () => {
      within(writer, 1, () => writeAttributes(writer, 1, resource.attributes));
      for (const { scope, logRecords } of scopeLogs) {
        within(writer, 2, () => {
          within(writer, 1, () => {
            writer.uint32(tag(1, 2)).string(scope.name);
            writer.uint32(tag(2, 2)).string(scope.version);
          });
          for (const record of logRecords) within(writer, 2, () => writeRecord(writer, record));
        });
      }
    });
  }
  return Buffer.from(writer.finish());
}

function within(writer: Writer, field: number, write: () => void): void {
  writer.uint32(tag(field, 2)).fork();
  write();
  writer.ldelim();
}

function writeRecord(writer: Writer, record: LogRecord): void {
  writer.uint32(tag(1, 1)).fixed64(record.timeUnixNano);
  writer.uint32(tag(2, 0)).int32(record.severityNumber);
  writer.uint32(tag(3, 2)).string(record.severityText);
  within(writer, 5, () => writeValue(writer, record.body));
  writeAttributes(writer, 6, record.attributes);
  if (record.traceId !== undefined)
    writer.uint32(tag(9, 2)).bytes(Buffer.from(record.traceId, 'hex'));
  if (record.spanId !== undefined)
    writer.uint32(tag(10, 2)).bytes(Buffer.from(record.spanId, 'hex'));
  writer.uint32(tag(11, 1)).fixed64(record.observedTimeUnixNano);
  writer.uint32(tag(12, 2)).string(record.eventName);
}

function writeAttributes(writer: Writer, field: number, attributes: readonly LogAttribute[]): void {
  for (const { key, value } of attributes) {
    within(writer, field, () => {
      writer.uint32(tag(1, 2)).string(key);
      within(writer, 2, () => writeValue(writer, value));
    });
  }
}

function writeValue(writer: Writer, value: LogValue): void {
  if ('stringValue' in value) writer.uint32(tag(1, 2)).string(value.stringValue);
  else if ('intValue' in value) writer.uint32(tag(3, 0)).int64(value.intValue);
  else
    within(writer, 5, () => {
      for (const one of value.arrayValue.values) within(writer, 1, () => writeValue(writer, one));
    });
}

/** How many records the answer rejects; null when it is no answer to an export. */
export function readRejected(bytes: Buffer, encoding: 'protobuf' | 'json'): number | null {
  return encoding === 'json'
    ? readRejectedJson(bytes.toString('utf8'))
    : readRejectedProtobuf(bytes);
}

function readRejectedJson(text: string): number | null {
  // Some receivers answer a success with nothing at all.
  if (text.trim() === '') return 0;
  const body = readJson(text);
  if (typeof body !== 'object' || body === null) return null;
  const partial = memberOf(body, 'partialSuccess') ?? memberOf(body, 'partial_success');
  const rejected =
    memberOf(partial, 'rejectedLogRecords') ?? memberOf(partial, 'rejected_log_records');
  if (rejected === undefined || rejected === null) return 0;
  const count = Number(rejected);
  return Number.isSafeInteger(count) && count >= 0 ? count : null;
}

function readRejectedProtobuf(bytes: Buffer): number | null {
  try {
    const reader = protobuf.Reader.create(bytes);
    let rejected = 0;
    while (reader.pos < reader.len) {
      const key = reader.uint32();
      if (key !== tag(1, 2)) {
        reader.skipType(key & 7);
        continue;
      }
      const end = reader.uint32() + reader.pos;
      if (end > reader.len) return null;
      while (reader.pos < end) {
        const inner = reader.uint32();
        if (inner === tag(1, 0)) rejected = Number(reader.int64());
        else reader.skipType(inner & 7);
      }
    }
    return rejected >= 0 ? rejected : null;
  } catch (error) {
    // Cut short, or something else altogether.
    if (error instanceof Error) return null;
    throw error;
  }
}
