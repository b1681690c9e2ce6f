/**
 * Context: filled by real Fastify and Express servers, read by record(), kept apart between
 * requests that run at the same time.
 */
import { once } from 'node:events';
import { Agent, createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  context as otelContext,
  trace,
  type Context,
  type ContextManager,
} from '@opentelemetry/api';
import express from 'express';
import { fastify, type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditContext as expressContext } from '../../sdk/express.ts';
import { auditContext as fastifyContext } from '../../sdk/fastify.ts';
import {
  currentContext,
  currentCorrelation,
  downstreamHeaders,
  enterContext,
  runWithContext,
  type Audit,
  type AuditEvent,
} from '../../sdk/index.ts';
import { parseTraceparent } from '../../sdk/traceparent.ts';
import { startAgentPeer, type AgentPeer } from '../support/agent-peer.ts';
import { createTestAudit, draft } from '../support/sdk-fixture.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

let peer: AgentPeer;
let audit: Audit;
let app: FastifyInstance | null = null;
let server: Server | null = null;

beforeEach(async () => {
  peer = await startAgentPeer();
  audit = createTestAudit(peer.socketPath);
});
afterEach(async () => {
  await app?.close();
  await new Promise((resolve) => (server === null ? resolve(null) : server.close(resolve)));
  [app, server] = [null, null];
  await audit.close();
  await peer.close();
});

function events(): AuditEvent[] {
  return peer.appended.map(({ text }) => JSON.parse(text) as AuditEvent);
}

async function handle(id: string): Promise<object> {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
  await audit.record(draft({ metadata: { id } }));
  return { ...currentCorrelation(), downstream: downstreamHeaders() };
}

async function startFastify(): Promise<string> {
  app = fastify();
  await app.register(fastifyContext, { requestIdHeader: 'X-Request-Id' });
  app.get<{ Params: { id: string } }>('/:id', (request) => handle(request.params.id));
  app.post<{ Params: { id: string } }>('/:id', (request) => handle(request.params.id));
  return app.listen({ host: '127.0.0.1', port: 0 });
}

async function startExpress(): Promise<string> {
  const routes = express();
  routes.use(expressContext());
  routes.use(express.json({ limit: '10mb' }));
  routes.all('/:id', (request, response, next) => {
    handle(request.params.id).then((body) => response.json(body), next);
  });
  const listening = createServer(routes);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

for (const [name, start] of [
  ['Fastify', startFastify],
  ['Express', startExpress],
] as const) {
  describe(name, () => {
    it('passes an inbound request id and traceparent on to the event and downstream', async () => {
      const url = await start();
      const response = await fetch(`${url}/1`, {
        headers: { 'x-request-id': 'req-77', traceparent: TRACEPARENT, 'user-agent': 'curl/8' },
      });
      expect(response.headers.get('x-request-id')).toBe('req-77');
      const body = (await response.json()) as { downstream: { [name: string]: string } };
      expect(body).toMatchObject({ request_id: 'req-77', trace_id: TRACE_ID });
      expect(body.downstream['x-request-id']).toBe('req-77');
      expect(parseTraceparent(body.downstream['traceparent'])?.traceId).toBe(TRACE_ID);
      expect(events()[0]).toMatchObject({
        correlation: { request_id: 'req-77', trace_id: TRACE_ID, span_id: 'b7ad6b7169203331' },
        source: { ip: '127.0.0.1', user_agent: 'curl/8', service: 'test' },
      });
    });

    it('makes ids of its own where the inbound ones are absent or not sane', async () => {
      const url = await start();
      const headers = { 'x-request-id': '<script>', traceparent: `00-${'0'.repeat(32)}-1-01` };
      const response = await fetch(`${url}/1`, { headers });
      expect(response.headers.get('x-request-id')).toMatch(/^[0-9A-Z]{26}$/);
      expect(events()[0]?.correlation.request_id).toBe(response.headers.get('x-request-id'));
      expect(events()[0]?.correlation.trace_id).toMatch(/^[0-9a-f]{32}$/);
    });

    it('keeps the context of a request whose body arrives piece by piece, on one connection', async () => {
      const url = await start();
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      await Promise.all(['a', 'b', 'c'].map((id) => postInPieces(`${url}/${id}`, id, agent)));
      agent.destroy();
      const ids = events().map(({ correlation, metadata }) => [
        correlation.request_id,
        metadata['id'],
      ]);
      expect(ids).toEqual(['a', 'b', 'c'].map((id) => [id, id]));
    });

    it('passes the caller\'s "not sampled" on', async () => {
      const url = await start();
      const headers = { traceparent: TRACEPARENT.replace(/01$/, '00') };
      const response = await fetch(`${url}/1`, { headers });
      const body = (await response.json()) as { downstream: { [name: string]: string } };
      expect(parseTraceparent(body.downstream['traceparent'])?.flags).toBe('00');
    });

    it('keeps requests that run at the same time apart', async () => {
      const url = await start();
      const ids = Array.from({ length: 40 }, (_, n) => `r${n}`);
      await Promise.all(
        ids.map((id) => fetch(`${url}/${id}`, { headers: { 'x-request-id': id } })),
      );
      expect(events()).toHaveLength(40);
      for (const event of events()) {
        expect(event.correlation.request_id).toBe(event.metadata['id']);
      }
      expect(new Set(events().map((event) => event.correlation.trace_id)).size).toBe(40);
    });
  });
}

describe('the context', () => {
  it('stands in for actor and tenant, and ends with the call it was run for', async () => {
    const actor = { type: 'service', id: 'cron-1', name: 'nightly' } as const;
    await runWithContext({ actor, tenant_id: 'acme', workflow_id: 'wf-1' }, async () => {
      enterContext({ request_id: 'job-1' });
      await audit.record({
        action: 'customer.delete',
        outcome: 'success',
        resource: { type: 'customer', id: 'c-2' },
      });
    });
    expect(currentContext()).toEqual({});
    expect(events()[0]).toMatchObject({
      actor: { ...actor, on_behalf_of: null },
      resource: { tenant_id: 'acme' },
      correlation: { request_id: 'job-1', workflow_id: 'wf-1' },
    });
  });

  it('is the one of the failed record() when onAuditFailure is called', async () => {
    const heard: unknown[] = [];
    const hooked = createTestAudit('/nonexistent/sealtrail.sock', {
      timeoutMs: 50,
      onAuditFailure: () => heard.push(currentCorrelation().request_id),
    });
    const record = (id: string): Promise<unknown> =>
      runWithContext({ request_id: id }, () => hooked.record(draft()));
    await Promise.allSettled(['r1', 'r2', 'r3'].map(record));
    expect(heard).toEqual(['r1', 'r2', 'r3']);
    await hooked.close();
  });

  it('takes trace and span from the active OpenTelemetry span', async () => {
    const span = { traceId: TRACE_ID, spanId: 'c7ad6b7169203331', traceFlags: 1 };
    const active = trace.setSpanContext(otelContext.active(), span);
    otelContext.setGlobalContextManager(fixedContext(active));
    try {
      await audit.record(draft());
    } finally {
      otelContext.disable();
    }
    await audit.record(draft());
    const [inSpan, outside] = events();
    expect(inSpan?.correlation).toMatchObject({ trace_id: TRACE_ID, span_id: span.spanId });
    expect(outside?.correlation).toEqual({ request_id: null, trace_id: null });
  });
});

describe('traceparent', () => {
  const refused = [
    undefined,
    '',
    [TRACEPARENT],
    TRACEPARENT.toUpperCase(),
    `${TRACEPARENT}-more`,
    TRACEPARENT.replace('00-', 'ff-'),
    TRACEPARENT.replace(TRACE_ID, '0'.repeat(32)),
    TRACEPARENT.replace('b7ad6b7169203331', '0'.repeat(16)),
    TRACEPARENT.slice(0, -1),
    ` ${TRACEPARENT}`,
  ];
  for (const header of refused) {
    it(`is not taken from ${JSON.stringify(header)}`, () => {
      expect(parseTraceparent(header)).toBeNull();
    });
  }

  it('is taken from the exact form, and from a later version with more fields', () => {
    const wanted = { traceId: TRACE_ID, parentId: 'b7ad6b7169203331', flags: '01' };
    expect(parseTraceparent(TRACEPARENT)).toEqual(wanted);
    expect(parseTraceparent(`${TRACEPARENT.replace('00-', '01-')}-x`)).toEqual(wanted);
  });
});

/** A JSON body in three chunks, each sent in a turn of its own. */
async function postInPieces(url: string, id: string, agent: Agent): Promise<void> {
  const headers = { 'content-type': 'application/json', 'x-request-id': id };
  const post = request(url, { method: 'POST', headers, agent });
  const answered = once(post, 'response');
  for (const piece of ['{"text":"', 'x'.repeat(200_000), '"}']) {
    post.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  post.end();
  const [response] = (await answered) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  await once(response.resume(), 'end');
}

/** A context manager in which one context is always active: OpenTelemetry's own needs its SDK. */
function fixedContext(active: Context): ContextManager {
  const manager: ContextManager = {
    active: () => active,
    with: (_context, work, self, ...args) => work.apply(self as never, args),
    bind: (_context, target) => target,
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}
