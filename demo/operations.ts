/** What is left of some requests beside their audit events: lines of the app log and spans in OTLP/JSON. Pure. */
import type { Happening, Request } from './happening.ts';
import type { Random } from './random.ts';
import type { Told } from './story.ts';

export interface Operations {
  /** NDJSON, by time. */
  readonly logs: readonly string[];
  /** A request of OTLP a line, by time. */
  readonly spans: readonly string[];
}

const HANDLER_MS = 6;

/** Makes the log lines and spans of all requests that are traced. */
export function operate(told: readonly Told[], random: Random): Operations {
  const lines: { readonly atMs: number; readonly text: string }[] = [];
  const spans: string[] = [];
  const done = new Set<Request>();
  for (const { what, event } of told) {
    const { request } = what;
    if (request === null || !request.isTraced) continue;
    if (done.has(request)) continue;
    done.add(request);
    const lengthMs = request.steps.reduce((sum, { ms }) => sum + ms, HANDLER_MS);
    const base = {
      service: what.service,
      request_id: request.requestId,
      trace_id: request.traceId,
    };
    const { id, type } = event.resource;
    lines.push(
      lineOf(what.atMs, { ...base, level: 'info', msg: `${what.action} ${type}`, id }),
      lineOf(what.atMs + lengthMs, { ...base, level: 'info', msg: 'request', ms: lengthMs }),
    );
    for (const step of request.steps.filter(({ name }) => name === 'upload'))
      lines.push(
        lineOf(what.atMs + lengthMs - 1, {
          ...base,
          service: step.service ?? what.service,
          level: 'info',
          msg: `stored exports/${request.requestId}.csv`,
        }),
      );
    spans.push(...spansOf(what, request, random));
  }
  const logs = lines.sort((one, other) => one.atMs - other.atMs).map(({ text }) => text);
  return { logs, spans };
}

function lineOf(atMs: number, fields: object): { readonly atMs: number; readonly text: string } {
  return { atMs, text: JSON.stringify({ time: new Date(atMs).toISOString(), ...fields }) };
}

function spansOf(what: Happening, request: Request, random: Random): readonly string[] {
  const root = random.hex(16);
  let atMs = what.atMs + HANDLER_MS / 2;
  const below = request.steps.map((step) => {
    const from = atMs;
    atMs += step.ms;
    return spanOf(request, {
      ...{ id: random.hex(16), parent: root, name: step.name, from, to: atMs },
      service: step.service ?? what.service,
      kind: step.service === undefined ? 1 : 2,
      user: what.actor.id,
    });
  });
  const handler = spanOf(request, {
    ...{ id: root, parent: '', name: what.action, from: what.atMs, to: atMs + HANDLER_MS / 2 },
    ...{ service: what.service, kind: 2, user: what.actor.id },
  });
  return [handler, ...below];
}

interface SpanFields {
  readonly id: string;
  readonly parent: string;
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly service: string;
  readonly kind: number;
  readonly user: string;
}

function spanOf({ traceId, requestId }: Request, fields: SpanFields): string {
  const text = (key: string, stringValue: string): object => ({ key, value: { stringValue } });
  const span = {
    traceId,
    spanId: fields.id,
    parentSpanId: fields.parent,
    name: fields.name,
    kind: fields.kind,
    startTimeUnixNano: `${fields.from}000000`,
    endTimeUnixNano: `${fields.to}000000`,
    attributes: [text('request_id', requestId), text('user.id', fields.user)],
    status: { code: 0 },
  };
  const resource = { attributes: [text('service.name', fields.service)] };
  return JSON.stringify({
    resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'demo' }, spans: [span] }] }],
  });
}
