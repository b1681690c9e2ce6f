/**
 * OTLP/JSON log requests as protobuf (opentelemetry-proto, logs/v1 and common/v1), written field by field and
 * not with the agent's own tables.
 */
import protobuf from 'protobufjs/minimal.js';

type Value = { readonly [name: string]: unknown };
type Put = (writer: protobuf.Writer, value: Value) => void;

const listOf = (value: unknown): readonly Value[] => (value ?? []) as readonly Value[];

function nest(writer: protobuf.Writer, field: number, value: unknown, put: Put): void {
  if (value === undefined) return;
  put(writer.uint32((field << 3) | 2).fork(), value as Value);
  writer.ldelim();
}

function each(writer: protobuf.Writer, field: number, values: unknown, put: Put): void {
  for (const value of listOf(values)) nest(writer, field, value, put);
}

const text = (writer: protobuf.Writer, field: number, value: unknown): unknown =>
  value !== undefined && writer.uint32((field << 3) | 2).string(String(value));

const putAny: Put = (writer, value) => {
  if ('stringValue' in value) text(writer, 1, value['stringValue']);
  if ('boolValue' in value) writer.uint32(16).bool(value['boolValue'] === true);
  if ('doubleValue' in value) writer.uint32(33).double(Number(value['doubleValue']));
  const nested = (name: string): unknown => (value[name] as Value)['values'];
  if ('arrayValue' in value)
    nest(writer, 5, value['arrayValue'], () => each(writer, 1, nested('arrayValue'), putAny));
  if ('kvlistValue' in value)
    nest(writer, 6, value['kvlistValue'], () => each(writer, 1, nested('kvlistValue'), putPair));
};

const putPair: Put = (writer, { key, value }) => {
  text(writer, 1, key);
  nest(writer, 2, value, putAny);
};

const putRecord: Put = (writer, record) => {
  writer.uint32(9).fixed64(record['timeUnixNano'] as string);
  writer.uint32(89).fixed64(record['observedTimeUnixNano'] as string);
  nest(writer, 5, record['body'], putAny);
  each(writer, 6, record['attributes'], putPair);
  text(writer, 12, record['eventName']);
};

/** Encodes an ExportLogsServiceRequest. */
export function encodeLogsRequest(request: object): Uint8Array {
  const writer = protobuf.Writer.create();
  each(writer, 1, (request as Value)['resourceLogs'], (out, { resource, scopeLogs }) => {
    nest(out, 1, resource, (into, { attributes }) => each(into, 1, attributes, putPair));
    each(out, 2, scopeLogs, (into, { logRecords }) => each(into, 2, logRecords, putRecord));
  });
  return writer.finish();
}
