/** Spans out of the JSON of Jaeger's query API, which its page downloads as well. Pure. */
import { memberOf } from '../../schemas/untrusted-json.ts';
import { isSpanTime, wordOf, type Attributes, type Span } from './span.ts';

/** The spans of a document; undefined: it is not Jaeger's. */
export function parseJaeger(document: unknown): readonly Span[] | undefined {
  const traces = memberOf(document, 'data');
  if (!Array.isArray(traces)) return undefined;
  return (traces as unknown[]).flatMap((trace) =>
    listOf(memberOf(trace, 'spans')).flatMap((span) => spanOf(span, memberOf(trace, 'processes'))),
  );
}

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? (value as unknown[]) : [];

function spanOf(value: unknown, processes: unknown): Span[] {
  const traceId = idOf(memberOf(value, 'traceID'), 32);
  const spanId = idOf(memberOf(value, 'spanID'), 16);
  const [start, duration] = [memberOf(value, 'startTime'), memberOf(value, 'duration')];
  if (traceId === null || spanId === null) return [];
  if (!isSpanTime(start, 1e17) || !isSpanTime(duration, 1e17)) return [];
  const references = listOf(memberOf(value, 'references')).map((one) => ({
    isParent: memberOf(one, 'refType') === 'CHILD_OF',
    traceId: idOf(memberOf(one, 'traceID'), 32) ?? '',
    spanId: idOf(memberOf(one, 'spanID'), 16) ?? '',
  }));
  // A span that only follows from another one of its trace stands below it, too.
  const own = references.filter((one) => one.traceId === traceId);
  const parent = own.find(({ isParent }) => isParent) ?? own[0];
  const attributes = attributesOf(memberOf(value, 'tags'));
  const process = memberOf(processes, wordOf(memberOf(value, 'processID')));
  // Microseconds since 1970 are exact in a number.
  const startNs = BigInt(Math.trunc(start)) * 1_000n;
  return [
    {
      traceId,
      spanId,
      parentId: parent?.spanId ?? null,
      name: wordOf(memberOf(value, 'operationName')),
      service: wordOf(memberOf(process, 'serviceName'), 'unknown'),
      startNs,
      endNs: startNs + BigInt(Math.trunc(duration)) * 1_000n,
      isError: attributes['error'] === true || attributes['otel.status_code'] === 'ERROR',
      isServer: attributes['span.kind'] === 'server',
      attributes,
      links: references
        .filter((one) => one !== parent)
        .map((one) => ({ traceId: one.traceId, spanId: one.spanId })),
    },
  ];
}

/** Jaeger leaves leading zeros out. */
function idOf(value: unknown, digits: number): string | null {
  if (typeof value !== 'string' || !/^[0-9a-f]+$/i.test(value)) return null;
  return value.length > digits ? null : value.toLowerCase().padStart(digits, '0');
}

function attributesOf(tags: unknown): Attributes {
  const pairs = listOf(tags).flatMap((tag) => {
    const value = memberOf(tag, 'value');
    const isScalar = ['string', 'number', 'boolean'].includes(typeof value);
    return isScalar ? [[wordOf(memberOf(tag, 'key')), value as string] as const] : [];
  });
  return Object.fromEntries(pairs);
}
