/**
 * Spans out of OTLP/JSON, as exporters and collectors write it, and as Tempo answers: ids in hex, or in
 * base64 where protobuf's own JSON was used; `resourceSpans` or `batches`. Pure; what is no span is left out.
 */
import { memberOf } from '../../schemas/untrusted-json.ts';
import { isSpanTime, wordOf, type Attributes, type Span } from './span.ts';

const SERVER = new Set<unknown>([2, 'SPAN_KIND_SERVER']);
const ERROR = new Set<unknown>([2, 'STATUS_CODE_ERROR', 'ERROR']);

/** The spans of a document, also as Tempo (`trace`) and Jaeger (`result`) wrap it; undefined: it is no OTLP. */
export function parseOtlp(document: unknown): readonly Span[] | undefined {
  const wrapped = memberOf(document, 'trace') ?? memberOf(document, 'result');
  const inner = wrapped ?? document;
  const resources = memberOf(inner, 'resourceSpans') ?? memberOf(inner, 'batches');
  // A list without members is left out of protobuf's JSON.
  if (resources === undefined && typeof wrapped === 'object') return [];
  if (!Array.isArray(resources)) return undefined;
  return resources.flatMap((resource) => {
    const service = attributesOf(memberOf(memberOf(resource, 'resource'), 'attributes'))[
      'service.name'
    ];
    return listOf(resource, 'scopeSpans', 'instrumentationLibrarySpans').flatMap((scope) =>
      listOf(scope, 'spans').flatMap((span) => spanOf(span, String(service ?? 'unknown'))),
    );
  });
}

function listOf(value: unknown, ...names: readonly string[]): readonly unknown[] {
  const found = names.map((name) => memberOf(value, name)).find(Array.isArray);
  return found ?? [];
}

function spanOf(value: unknown, service: string): Span[] {
  const traceId = idOf(memberOf(value, 'traceId'), 32);
  const spanId = idOf(memberOf(value, 'spanId'), 16);
  const startNs = nanosOf(memberOf(value, 'startTimeUnixNano'));
  const endNs = nanosOf(memberOf(value, 'endTimeUnixNano'));
  if (traceId === null || spanId === null || startNs === null || endNs === null) return [];
  const parent = idOf(memberOf(value, 'parentSpanId'), 16);
  return [
    {
      traceId,
      spanId,
      parentId: parent === null || /^0+$/.test(parent) ? null : parent,
      name: wordOf(memberOf(value, 'name')),
      service,
      startNs,
      endNs,
      isError: ERROR.has(memberOf(memberOf(value, 'status'), 'code')),
      isServer: SERVER.has(memberOf(value, 'kind')),
      attributes: attributesOf(memberOf(value, 'attributes')),
      links: listOf(value, 'links').flatMap((link) => {
        const [trace, span] = [
          idOf(memberOf(link, 'traceId'), 32),
          idOf(memberOf(link, 'spanId'), 16),
        ];
        return trace !== null && span !== null ? [{ traceId: trace, spanId: span }] : [];
      }),
    },
  ];
}

/** An id in lower-case hex; null: none of this length. */
function idOf(value: unknown, digits: number): string | null {
  if (typeof value !== 'string') return null;
  if (value.length === digits && /^[0-9a-f]+$/i.test(value)) return value.toLowerCase();
  const bytes = Buffer.from(value, 'base64');
  return bytes.length * 2 === digits ? bytes.toString('hex') : null;
}

function nanosOf(value: unknown): bigint | null {
  if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt(value);
  return isSpanTime(value, 1e20) ? BigInt(Math.trunc(value)) : null;
}

function attributesOf(list: unknown): Attributes {
  const pairs = (Array.isArray(list) ? (list as unknown[]) : []).flatMap((one) => {
    const value = scalarOf(memberOf(one, 'value'));
    return value === null ? [] : [[wordOf(memberOf(one, 'key')), value] as const];
  });
  return Object.fromEntries(pairs);
}

function scalarOf(value: unknown): string | number | boolean | null {
  for (const kind of ['stringValue', 'boolValue', 'doubleValue', 'intValue']) {
    const said = memberOf(value, kind);
    if (said === undefined || said === null) continue;
    // 64-bit numbers are text in JSON.
    if (typeof said === 'string' || typeof said === 'number' || typeof said === 'boolean')
      return kind === 'intValue' ? Number(said) : said;
  }
  return null;
}
