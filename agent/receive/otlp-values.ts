/**
 * OTLP values in the forms that the receiver needs: plain JSON for metadata, the tagged form of the
 * draft for what is hashed or signed, and a taker that hands out attributes and keeps the rest.
 */
import { createHmac } from 'node:crypto';
import { canonicalize } from '../../schemas/canonical.ts';
import type { Json } from '../../schemas/event.ts';
import { INTEGRITY_PREFIX, SIGNED } from '../../schemas/otel-audit.ts';
import type { AnyValue, Attributes, OtlpRecord } from '../../schemas/otlp.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';

/** Converts a value for metadata: integers beyond 2^53-1 stay text, bytes become base64. */
export function toJson(value: AnyValue): Json {
  if ('stringValue' in value) return value.stringValue;
  if ('boolValue' in value) return value.boolValue;
  if ('intValue' in value) return toSafeInteger(value.intValue);
  if ('doubleValue' in value) return toSafeDouble(value.doubleValue);
  if ('bytesValue' in value) return value.bytesValue;
  if ('arrayValue' in value) return value.arrayValue.map(toJson);
  if ('kvlistValue' in value) return toJsonObject(value.kvlistValue);
  return null;
}

/** Converts attributes; names are kept as they are. */
export function toJsonObject(attributes: Attributes): { readonly [name: string]: Json } {
  return Object.fromEntries([...attributes].map(([name, value]) => [name, toJson(value)]));
}

function toSafeInteger(decimal: string): number | string {
  const number = Number(decimal);
  return Number.isSafeInteger(number) ? number : decimal;
}

/** An event holds no integral number beyond 2^53-1, whoever wrote it as a double. */
function toSafeDouble(number: number): number | string {
  return Number.isInteger(number) && !Number.isSafeInteger(number) ? String(number) : number;
}

/** The tagged form of the draft: `{"stringValue": …}`; different types never look alike. */
function toTagged(value: AnyValue): Json {
  if ('intValue' in value) return { intValue: toSafeInteger(value.intValue) };
  if ('arrayValue' in value) return { arrayValue: { values: value.arrayValue.map(toTagged) } };
  if ('kvlistValue' in value) return { kvlistValue: toTaggedObject(value.kvlistValue, () => true) };
  return 'empty' in value ? {} : { ...value };
}

function toTaggedObject(
  attributes: Attributes,
  keep: (name: string) => boolean,
): { readonly [name: string]: Json } {
  const pairs = [...attributes].filter(([name]) => keep(name));
  return Object.fromEntries(pairs.map(([name, value]) => [name, toTagged(value)]));
}

function taggedRecord(record: OtlpRecord, keep: (name: string) => boolean): Record<string, Json> {
  return {
    [SIGNED.time]: String(record.timeUnixNano),
    [SIGNED.eventName]: record.eventName,
    [SIGNED.attributes]: toTaggedObject(record.attributes, keep),
    ...(record.body === null ? {} : { [SIGNED.body]: toTagged(record.body) }),
    ...(record.traceId === null ? {} : { [SIGNED.traceId]: record.traceId }),
    ...(record.spanId === null ? {} : { [SIGNED.spanId]: record.spanId }),
  };
}

/** The bytes a producer signs: JCS, without severity, scope and `audit.integrity.*`. */
export function signedBytes(record: OtlpRecord): Uint8Array {
  const tagged = taggedRecord(record, (name) => !name.startsWith(INTEGRITY_PREFIX));
  tagged[SIGNED.observedTime] = String(record.observedTimeUnixNano);
  return new TextEncoder().encode(canonicalize(tagged));
}

/**
 * The fingerprint (64 hex digits) that tells a resent record from a changed one, alike for both
 * encodings; the observed time is left out. Keyed, because the record is not redacted yet: a plain
 * hash beside the redacted event would let anyone guess a card number back.
 */
export function payloadFingerprint(record: OtlpRecord, service: string, key: Uint8Array): string {
  const tagged = taggedRecord(record, () => true);
  const hmac = createHmac('sha256', key).update('sealtrail/otlp-payload/1\n');
  return hmac.update(canonicalize({ record: tagged, service })).digest('hex');
}

/** Hands out attributes by name, notes what is wrong with them, and keeps what nobody asked for. */
export interface AttributeTaker {
  /** A string, or an integer as text; undefined when absent or empty. */
  text(name: string): string | undefined;
  texts(name: string): readonly string[] | undefined;
  has(name: string): boolean;
  rest(): Attributes;
  readonly faults: readonly Refusal[];
}

/** Creates a taker over a record's attributes. */
export function createTaker(attributes: Attributes): AttributeTaker {
  const left = new Map(attributes);
  const faults: Refusal[] = [];

  function text(name: string): string | undefined {
    const value = left.get(name);
    if (value === undefined) return undefined;
    left.delete(name);
    if ('stringValue' in value) return value.stringValue === '' ? undefined : value.stringValue;
    if ('intValue' in value) return value.intValue;
    if (!('empty' in value)) faults.push(refusal('schema_invalid', `${name} is not a string`));
    return undefined;
  }

  function texts(name: string): readonly string[] | undefined {
    const value = left.get(name);
    if (value === undefined) return undefined;
    left.delete(name);
    const items = 'arrayValue' in value ? value.arrayValue : [value];
    const found = items.flatMap((item) => ('stringValue' in item ? [item.stringValue] : []));
    if (found.length === items.length) return found;
    faults.push(refusal('schema_invalid', `${name} is not an array of strings`));
    return undefined;
  }

  return {
    text,
    texts,
    faults,
    has: (name) => left.has(name),
    rest: () => left,
  };
}
