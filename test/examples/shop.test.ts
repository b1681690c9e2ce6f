/**
 * The example shop against the real agent: what its requests leave in the app log, in the trace and
 * in the ledger, and what must not be in any of them.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SealedEvent } from '../../schemas/record.ts';
import { until } from '../support/agent-peer.ts';
import { startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { eventually } from '../support/eventually.ts';
import {
  ledgerText,
  readLedgerEvents,
  startShop,
  type Line,
  type ShopProcess,
} from '../support/shop-process.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const CARD = '4111 1111 1111 1111';
const PAYMENT = {
  card_number: CARD,
  cvv: '737',
  amount: 4200,
  currency: 'EUR',
  tax_id: '078-05-1120',
};

let agent: AgentProcess;
let shop: ShopProcess;
let admin: Record<string, string>;
let clerk: Record<string, string>;

beforeAll(async () => {
  agent = await startAgentProcess({
    exporters: { 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } },
  });
  shop = await startShop(agent.dir);
  admin = await shop.login('alice', 'wonderland');
  clerk = await shop.login('bob', 'builder');
});

afterAll(async () => {
  await shop[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
});

function eventsOf(requestId: string): SealedEvent[] {
  return readLedgerEvents(agent.dir).filter(
    ({ correlation }) => correlation.request_id === requestId,
  );
}

function linesOf(lines: readonly Line[], requestId: string): Line[] {
  return lines.filter((line) => line['request_id'] === requestId);
}

/** The server's span ends after the answer has left. */
async function spansOf(requestId: string, root: string): Promise<Line[]> {
  await until(
    () => linesOf(shop.traces(), requestId).some(({ name }) => name === root),
    `the span ${root}`,
  );
  return linesOf(shop.traces(), requestId);
}

describe('one request', () => {
  it('leaves app log lines, an audit event and a trace that share request_id and trace_id', async () => {
    const answer = await shop.get('/customers/c-1/export', {
      ...admin,
      'x-request-id': 'req-export-1',
      traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`,
    });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-request-id')).toBe('req-export-1');

    const [event, ...more] = eventsOf('req-export-1');
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      event: { action: 'customer.export', outcome: 'success' },
      actor: { id: 'u_alice', type: 'admin', on_behalf_of: null },
      correlation: { request_id: 'req-export-1', trace_id: TRACE_ID },
      source: { ip: '127.0.0.1', service: 'shop' },
      metadata: { row_count: 1200 },
    });
    const spans = await spansOf('req-export-1', 'GET /customers/:id/export');
    const lines = linesOf(shop.appLog(), 'req-export-1');
    expect(lines.map(({ msg }) => msg)).toEqual(['exported', 'request']);
    for (const { trace_id } of [...lines, ...spans]) expect(trace_id).toBe(TRACE_ID);
  });

  it('shows in its trace where the time of a slow export went', async () => {
    await shop.get('/customers/c-1/export', { ...admin, 'x-request-id': 'req-slow' });
    const spans = await spansOf('req-slow', 'GET /customers/:id/export');
    const byName = new Map(spans.map((span) => [span['name'], span]));
    const [root, handler, query, upload] = [
      'GET /customers/:id/export',
      'handler',
      'db.query',
      'upload',
    ].map((name) => byName.get(name));
    expect(handler?.['parent_span_id']).toBe(root?.['span_id']);
    expect(query?.['parent_span_id']).toBe(handler?.['span_id']);
    expect(upload?.['parent_span_id']).toBe(handler?.['span_id']);
    // What it waits for, and not what a machine that stood still added to it.
    expect(Number(query?.['duration_ms'])).toBeGreaterThan(30);
    expect(Number(upload?.['duration_ms'])).toBeGreaterThan(150);
    expect(eventsOf('req-slow')[0]?.correlation.span_id).toBe(handler?.['span_id']);
  });

  it('carries trace and request id on to the service that it calls', async () => {
    const headers = { ...admin, 'x-request-id': 'req-pay-1' };
    expect((await shop.post('/payments', PAYMENT, headers)).status).toBe(201);
    const lines = linesOf(shop.appLog(), 'req-pay-1');
    expect(new Set(lines.map(({ service }) => service))).toEqual(new Set(['shop', 'card-gateway']));
    expect(new Set(lines.map(({ trace_id }) => trace_id)).size).toBe(1);
    const spans = await spansOf('req-pay-1', 'POST /payments');
    const charge = spans.find(({ name }) => name === 'charge');
    const downstream = spans.find(({ name }) => name === 'POST /charges');
    expect(downstream?.['parent_span_id']).toBe(charge?.['span_id']);
  });
});

describe('what is recorded', () => {
  it('of a denied export is the denial, by whom and of what', async () => {
    const headers = { ...clerk, 'x-request-id': 'req-denied' };
    expect((await shop.get('/customers/c-2/export', headers)).status).toBe(403);
    expect(eventsOf('req-denied')).toMatchObject([
      {
        event: { action: 'customer.export', outcome: 'denied' },
        actor: { id: 'u_bob', type: 'user', roles: ['clerk'] },
        resource: { type: 'customer', id: 'c-2' },
      },
    ]);
  });

  it('of an impersonation holds both identities, and so does what is done under it', async () => {
    const ticket = { login: 'grace', ticket: 'T-4711' };
    const headers = { ...admin, 'x-request-id': 'req-imp' };
    const answer = await shop.post('/admin/impersonate', ticket, headers);
    const { token } = (await answer.json()) as { token: string };
    const acting = { authorization: `Bearer ${token}`, 'x-request-id': 'req-imp-export' };
    expect((await shop.get('/customers/c-1/export', acting)).status).toBe(200);
    const both = { id: 'u_alice', type: 'admin', on_behalf_of: { id: 'u_grace', type: 'user' } };
    expect(eventsOf('req-imp')).toMatchObject([
      { event: { action: 'user.impersonate' }, actor: both, metadata: { ticket: 'T-4711' } },
    ]);
    expect(eventsOf('req-imp-export')).toMatchObject([
      { event: { action: 'customer.export' }, actor: both },
    ]);
    const refused = await shop.post('/admin/impersonate', ticket, {
      ...clerk,
      'x-request-id': 'req-imp-denied',
    });
    expect(refused.status).toBe(403);
    expect(eventsOf('req-imp-denied')).toMatchObject([
      { event: { outcome: 'denied' }, actor: { id: 'u_bob' } },
    ]);
  });

  it('of a login is the outcome; who failed to prove a name does not get it', async () => {
    const wrong = { login: 'alice', password: 'not-hers' };
    const answer = await shop.post('/login', wrong, { 'x-request-id': 'req-login' });
    expect(answer.status).toBe(401);
    // A login does not wait for an agent that stands still: its event may come by the spool.
    await until(() => eventsOf('req-login').length > 0, 'the login');
    expect(eventsOf('req-login')).toMatchObject([
      { event: { outcome: 'failure' }, actor: { type: 'anonymous' }, resource: { id: 'u_alice' } },
    ]);
  });

  it('of a payment is the last four digits and a token: the card is nowhere, in no file', async () => {
    const headers = { ...admin, 'x-request-id': 'req-pay-2' };
    await shop.post('/payments', PAYMENT, headers);
    await shop.post('/payments', { ...PAYMENT, tax_id: '078051120' }, headers);
    await shop.post('/payments', { ...PAYMENT, card_number: '4000000000000002' }, headers);
    const events = eventsOf('req-pay-2');
    expect(events.map(({ event, metadata }) => [event.outcome, metadata['card']])).toEqual([
      ['success', { last4: '1111' }],
      ['success', { last4: '1111' }],
      ['failure', { last4: '0002' }],
    ]);
    const tokens = events.map(({ metadata }) => metadata['tax_id_token']);
    expect(tokens[0]).toMatch(/^tok_/);
    expect(tokens[1]).toBe(tokens[0]);

    await agent.delivered();
    const texts = [
      ledgerText(agent.dir),
      ...['shop.log', 'shop-traces.ndjson', 'siem/ecs.ndjson'].map((name) =>
        readFileSync(join(agent.dir, name), 'utf8'),
      ),
      agent.output(),
      shop.output(),
    ];
    expect(texts.map((text) => text.includes('req-pay-2') || text.includes('ready'))).toContain(
      true,
    );
    for (const secret of [CARD, '4111111111111111', '078-05-1120', '078051120', '4000000000000002'])
      for (const text of texts) expect(text).not.toContain(secret);
    expect(ledgerText(agent.dir)).not.toContain('cvv');
  });
});

describe('an agent that is away', () => {
  let tries = 0;
  it('makes a payment fail closed and be given back, and a login go on; later all is well again', async () => {
    await using hasty = await startShop(agent.dir, 3_000);
    const lead = await hasty.login('alice', 'wonderland');
    await agent.kill();
    const headers = { ...lead, 'x-request-id': 'req-away' };
    const answer = await hasty.post('/payments', PAYMENT, headers);
    expect(answer.status).toBe(503);
    expect(linesOf(shop.appLog(), 'req-away').map(({ msg }) => msg)).toContain('refund');
    const failure = linesOf(shop.appLog(), 'req-away').find(({ msg }) => msg === 'not audited');
    expect(failure).toMatchObject({ action: 'payment.charge', fail_policy: 'fail_closed' });
    const login = { login: 'bob', password: 'builder' };
    const away = { 'x-request-id': 'req-login-away' };
    expect((await hasty.post('/login', login, away)).status).toBe(200);
    const spooled = linesOf(shop.appLog(), 'req-login-away').find(
      ({ msg }) => msg === 'not audited',
    );
    expect(spooled).toMatchObject({ action: 'user.login', spooled: true });
    // What cannot be recorded does not begin.
    const headersOfExport = { ...lead, 'x-request-id': 'req-export-away' };
    expect((await hasty.get('/customers/c-1/export', headersOfExport)).status).toBe(503);
    expect(linesOf(shop.appLog(), 'req-export-away').map(({ msg }) => msg)).not.toContain(
      'exported',
    );

    await agent.start();
    await until(() => eventsOf('req-login-away').length === 1, 'the login to be drained');
    // Within its three seconds, if the machine lets it.
    const id = await eventually(async () => {
      const back = `req-back-${(tries += 1)}`;
      const again = await hasty.post('/payments', PAYMENT, { ...lead, 'x-request-id': back });
      expect(again.status).toBe(201);
      return back;
    });
    expect(eventsOf(id)).toHaveLength(1);
  });
});
