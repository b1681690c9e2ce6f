/**
 * Every way into the agent, behind one function each: an event goes in, and what the way said about
 * it comes back, be it a receipt, a refusal or an error of the SDK.
 */
import type { AuditEvent, Json } from '../../schemas/event.ts';
import { AuditError, createAudit, type Audit } from '../../sdk/index.ts';
import { VOCABULARY, type AgentProcess } from './agent-process.ts';
import { logRecord, logsRequest } from './otlp.ts';
import { encodeLogsRequest } from './otlp-protobuf.ts';
import { connectRaw, type RawClient } from './raw-client.ts';

export interface Route {
  readonly name: string;
  /** Resolves with everything that was said, as text. */
  send(event: AuditEvent): Promise<string>;
}

export interface Routes extends AsyncDisposable {
  readonly all: readonly Route[];
  readonly socket: RawClient;
  readonly audit: Audit;
}

/** Opens a connection of each kind. */
export async function openRoutes(agent: AgentProcess): Promise<Routes> {
  const audit = createAudit({
    service: 'shop',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
  });
  const socket = await connectRaw(agent.socketPath);
  await socket.greet();
  let seq = 0;
  const post = (path: string, isBinary: boolean) => async (event: AuditEvent) => {
    const request = logsRequest([recordOf(event)]);
    const body = isBinary ? Buffer.from(encodeLogsRequest(request)) : JSON.stringify(request);
    const type = isBinary ? 'application/x-protobuf' : 'application/json';
    const headers = { 'Content-Type': type };
    const answer = await fetch(agent.otlpUrl + path, { method: 'POST', headers, body });
    // The draft wants the client's own record id in the receipt: that one text may come back.
    return (await answer.text()).replaceAll(JSON.stringify(recordIdOf(event)), '');
  };
  return {
    audit,
    socket,
    all: [
      { name: 'SDK', send: (event) => record(audit, event) },
      {
        name: 'socket',
        send: async ({ origin: _, ...event }) =>
          JSON.stringify(await socket.batch([JSON.stringify(event)], seq++)),
      },
      { name: '/v1/logs in JSON', send: post('/v1/logs', false) },
      { name: '/v1/audit in JSON', send: post('/v1/audit', false) },
      { name: '/v1/logs in protobuf', send: post('/v1/logs', true) },
      { name: '/v1/audit in protobuf', send: post('/v1/audit', true) },
    ],
    [Symbol.asyncDispose]: async () => {
      socket[Symbol.dispose]();
      await audit.close();
    },
  };
}

async function record(audit: Audit, event: AuditEvent): Promise<string> {
  const { action, outcome } = event.event;
  const { actor, resource, source, correlation, metadata, changes } = event;
  const draft = { action, outcome, actor, resource, source, correlation, metadata };
  try {
    return JSON.stringify(
      await audit.record(changes === undefined ? draft : { ...draft, changes }),
    );
  } catch (error) {
    if (!(error instanceof AuditError)) throw error;
    const { message, hint, field, stack, cause } = error;
    return [message, hint, field, stack, String(cause)].join('\n');
  }
}

const recordIdOf = (event: AuditEvent): string => event.origin?.record_id ?? event.event_id;

/** The event as an OpenTelemetry client would send it. */
function recordOf(event: AuditEvent): object {
  const { actor, resource, source, correlation, metadata, changes } = event;
  const texts: Record<string, string | null | undefined> = {
    'audit.record.id': recordIdOf(event),
    'audit.sequence.stream_id': event.origin?.stream_id,
    'audit.actor.id': actor.id,
    'audit.actor.name': actor.name,
    'sealtrail.on_behalf_of.id': actor.on_behalf_of?.id,
    'sealtrail.on_behalf_of.name': actor.on_behalf_of?.name,
    'audit.action': event.event.action,
    'audit.target.id': resource.id,
    'audit.target.name': resource.name,
    'audit.target.type': resource.type,
    'sealtrail.tenant_id': resource.tenant_id,
    'sealtrail.request_id': correlation.request_id,
    'sealtrail.workflow_id': correlation.workflow_id,
    'user_agent.original': source.user_agent,
  };
  const given = Object.entries(texts).filter(([, text]) => text !== null && text !== undefined);
  return logRecord({
    eventName: event.event.action,
    body: anyValue(metadata),
    attributes: {
      ...Object.fromEntries(given),
      ...Object.fromEntries(
        Object.entries(metadata).map(([name, value]) => [name, anyValue(value)]),
      ),
      ...(changes === undefined ? {} : { 'sealtrail.changes': anyValue(changes) }),
    },
  });
}

function anyValue(value: Json | readonly Json[]): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') return { doubleValue: value };
  if (value === null) return {};
  if (Array.isArray(value))
    return { arrayValue: { values: value.map((one: Json) => anyValue(one)) } };
  const values = Object.entries(value).map(([key, one]) => ({ key, value: anyValue(one) }));
  return { kvlistValue: { values } };
}
