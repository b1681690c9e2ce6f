/** Task 4: who acted, and for whom. */
import type pg from 'pg';
import { afterAll, beforeAll, expect } from 'vitest';
import type { Actor } from '../../schemas/event.ts';
import { enterContext, runWithContext, type ActorDraft } from '../../sdk/index.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import { startService, type Service } from './service.ts';
import { at, draft, openTrail, type Trail } from './trail.ts';

const ADMIN = { type: 'admin', id: 'u-admin-alice', name: 'Alice' } as const;
const CUSTOMER = { type: 'user', id: 'u-88', name: 'Carl' } as const;
let trail: Trail;
let support: Service;
let auditor: pg.Client;

beforeAll(async () => {
  trail = await openTrail();
  support = await startService(trail.agent.dir, (app) => {
    // As a support desk does it: the session says who is signed in, and as whom.
    app.addHook('onRequest', async (request) => {
      const as = request.headers['x-act-as'] === CUSTOMER.id ? CUSTOMER : null;
      enterContext({ actor: { ...ADMIN, on_behalf_of: as } });
    });
    app.get('/invoices/:id', (request) => {
      const { id } = request.params as { id: string };
      const { actor: _, ...what } = draft({
        action: 'invoice.read',
        resource: { type: 'invoice', id },
      });
      return trail.audit.record(what);
    });
  });
  auditor = await trail.connect('auditor');
});
afterAll(async () => {
  await support[Symbol.asyncDispose]();
  await trail[Symbol.asyncDispose]();
});

/** Reads an invoice over HTTP; returns the actor that the trail holds. */
async function readInvoice(id: string, headers: { readonly [name: string]: string }) {
  await fetch(`${support.url}/invoices/${id}`, { headers });
  return actorOf(id);
}

async function actorOf(resourceId: string): Promise<Actor | undefined> {
  const records = await trail.ledger();
  return records.findLast(({ event }) => event.resource.id === resourceId)?.event.actor;
}

async function recordAs(actor: ActorDraft, id: string): Promise<Actor | undefined> {
  await trail.audit.record(draft({ actor, resource: { type: 'invoice', id } }));
  return actorOf(id);
}

describeTask(4, (criterion) => {
  criterion('an ordinary action has on_behalf_of null', async () => {
    expect(await readInvoice('own', {})).toEqual({ ...ADMIN, on_behalf_of: null });
    // Null, not absent: `on_behalf_of IS NULL` and a missing member are different statements.
    expect(await trail.ledgerText()).toContain('"on_behalf_of":null');
  });

  criterion('an impersonation names admin and customer, told apart', async () => {
    const actor = await readInvoice('foreign', { 'x-act-as': CUSTOMER.id });
    expect(actor).toEqual({ ...ADMIN, on_behalf_of: CUSTOMER });
    const ecs = (await trail.siem('ecs')).find((one) => at(one, 'user.effective.id') !== undefined);
    expect([at(ecs, 'user.id'), at(ecs, 'user.effective.id')]).toEqual([ADMIN.id, CUSTOMER.id]);
  });

  criterion('the impersonation query finds it and leaves the ordinary action out', async () => {
    await readInvoice('own', {});
    await readInvoice('foreign', { 'x-act-as': CUSTOMER.id });
    await trail.agent.delivered();
    for (const condition of [
      'actor_id = $1 AND on_behalf_of_id IS NOT NULL',
      `payload->'actor'->>'id' = $1 AND payload->'actor'->'on_behalf_of' <> 'null'`,
    ]) {
      const found = await auditor.query(
        `SELECT DISTINCT resource_id, on_behalf_of_id FROM audit.events WHERE tenant_id = 'acme' AND ${condition}`,
        [ADMIN.id],
      );
      expect(found.rows).toEqual([{ resource_id: 'foreign', on_behalf_of_id: CUSTOMER.id }]);
    }
  });

  criterion('it is said why recording one identity only fails, either way', () => {
    expectDefence('docs/INVESTIGATIONS.md', 'Both identities', {
      says: [/only the admin/i, /only the customer/i, /on_behalf_of/],
      names: ['schemas/event.ts', 'store/migrations/0001_tables.sql'],
    });
  });

  criterion(
    'a service on behalf of a user, an API key with its owner, a cron job with a name',
    async () => {
      const service = { type: 'service', id: 'svc-reports', name: 'Reports' } as const;
      expect(await recordAs({ ...service, on_behalf_of: CUSTOMER }, 'i-1')).toEqual({
        ...service,
        on_behalf_of: CUSTOMER,
      });
      const key = { type: 'api_key', id: 'key-7', name: 'CI key' } as const;
      expect(await recordAs({ ...key, on_behalf_of: CUSTOMER }, 'i-2')).toEqual({
        ...key,
        on_behalf_of: CUSTOMER,
      });
      const cron = { type: 'service', id: 'cron/nightly-export', name: 'Nightly export' } as const;
      expect(await recordAs(cron, 'i-3')).toEqual({ ...cron, on_behalf_of: null });
      // Never blank: a job without a name is refused, whoever forgot it.
      const { actor: _, ...anonymous } = draft();
      for (const half of [anonymous, draft({ actor: { ...cron, id: '' } })])
        await expect(trail.audit.record(half)).rejects.toMatchObject({ code: 'incomplete_event' });
    },
  );

  criterion('a workflow step acting as someone carries its workflow_id', async () => {
    const engine = { type: 'service', id: 'svc-workflows', name: 'Workflows' } as const;
    const actor = { ...engine, on_behalf_of: CUSTOMER };
    const { event_id } = await runWithContext({ workflow_id: 'wf-2026-0042', actor }, async () => {
      const { actor: _, ...what } = draft({ action: 'payout.approve' });
      return trail.audit.record(what);
    });
    const record = (await trail.ledger()).find(({ event }) => event.event_id === event_id);
    expect(record?.event).toMatchObject({
      actor: { id: engine.id, on_behalf_of: CUSTOMER },
      correlation: { workflow_id: 'wf-2026-0042' },
    });
    const ecs = (await trail.siem('ecs')).find((one) => at(one, 'event.id') === event_id);
    expect(at(ecs, 'sealtrail.workflow_id')).toBe('wf-2026-0042');
    const found = await auditor.query(
      `SELECT event_id FROM audit.events WHERE payload->'correlation'->>'workflow_id' = $1`,
      ['wf-2026-0042'],
    );
    expect(found.rows).toEqual([{ event_id }]);
  });
});
