/** Spans for tests of the join. */
import type { Span } from '../../../auditor/join/span.ts';

export const TRACE: string = 'a'.repeat(32);
export const BEGIN_MS = 1_790_000_000_000;
const BEGIN_NS = BigInt(BEGIN_MS) * 1_000_000n;

/** A span from `from` to `to` milliseconds; its id is its name unless `id` says another. */
export function span(
  name: string,
  from: number,
  to: number,
  over: { readonly id?: string; readonly parent?: string } & Partial<
    Omit<Span, 'spanId' | 'parentId'>
  > = {},
): Span {
  const { id = name, parent, ...rest } = over;
  return {
    traceId: TRACE,
    spanId: idOf(id),
    parentId: parent === undefined ? null : idOf(parent),
    name,
    service: 'shop',
    startNs: BEGIN_NS + BigInt(Math.round(from * 1e6)),
    endNs: BEGIN_NS + BigInt(Math.round(to * 1e6)),
    isError: false,
    isServer: false,
    attributes: {},
    links: [],
    ...rest,
  };
}

export const idOf = (name: string): string =>
  Buffer.from(name).toString('hex').padEnd(16, '0').slice(0, 16);

/** The span in OTLP/JSON, a request with nothing else in it. */
export function toOtlp(one: Span): object {
  return {
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: one.service } }] },
        scopeSpans: [
          {
            scope: { name: 'test' },
            spans: [
              {
                traceId: one.traceId,
                spanId: one.spanId,
                ...(one.parentId === null ? {} : { parentSpanId: one.parentId }),
                name: one.name,
                kind: one.isServer ? 2 : 1,
                startTimeUnixNano: String(one.startNs),
                endTimeUnixNano: String(one.endNs),
                attributes: Object.entries(one.attributes).map(([key, value]) => ({
                  key,
                  value: { stringValue: String(value) },
                })),
                status: { code: one.isError ? 2 : 0 },
              },
            ],
          },
        ],
      },
    ],
  };
}
