/** Task 6: a denial is an event of its own; it does not hang on the transaction that never was. */
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';
import { enterContext } from '../../sdk/index.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import { startService, type Service } from './service.ts';
import { at, draft, openTrail, type Trail } from './trail.ts';

let trail: Trail;
let shop: Service;
let auditor: pg.Client;
/** The application's own database, beside the store of record on the same real server. */
let business: pg.Client;

beforeAll(async () => {
  trail = await openTrail();
  auditor = await trail.connect('auditor');
  const admin = await trail.connect('admin');
  await admin.query('CREATE DATABASE shop');
  business = await trail.connect('admin', 'shop');
  await business.query(`
    CREATE TABLE exports (customer_id text, asked_by text);
    CREATE TABLE naive_audit (action text, outcome text, actor_id text)`);
  shop = await startService(trail.agent.dir, (app) => {
    app.post('/export/:customer', async (request, reply) => {
      const { customer } = request.params as { customer: string };
      const { user = '' } = request.query as { user?: string };
      enterContext({ actor: { type: 'user', id: user, name: user } });
      return reply.code(await exportCustomer(customer, user)).send();
    });
  });
});
beforeEach(async () => {
  await business.query('TRUNCATE exports, naive_audit');
});
afterAll(async () => {
  await shop[Symbol.asyncDispose]();
  await trail[Symbol.asyncDispose]();
});

const MAY_EXPORT: ReadonlySet<string> = new Set(['u-lead', 'u-unlucky']);

/** As an application would: one transaction, and the outcome recorded outside of it. */
async function exportCustomer(customer: string, user: string): Promise<number> {
  const { actor: _, ...what } = draft({ resource: { type: 'customer', id: customer } });
  await business.query('BEGIN');
  await business.query('INSERT INTO exports VALUES ($1, $2)', [customer, user]);
  if (!MAY_EXPORT.has(user)) {
    // The wrong place, for the experiment: this row shares the fate of the transaction.
    await business.query(`INSERT INTO naive_audit VALUES ('customer.export', 'denied', $1)`, [
      user,
    ]);
    await trail.audit.record({ ...what, outcome: 'denied' });
    await business.query('ROLLBACK');
    return 403;
  }
  if (user === 'u-unlucky') {
    await business
      .query('SELECT 1 / 0')
      .catch((error: Error) =>
        trail.audit.record({ ...what, outcome: 'failure', metadata: { reason: error.name } }),
      );
    await business.query('ROLLBACK');
    return 500;
  }
  await business.query('COMMIT');
  await trail.audit.record({ ...what, outcome: 'success' });
  return 200;
}

/** Asks for an export over HTTP; returns the status and the outcomes recorded for the customer. */
async function ask(customer: string, user: string): Promise<[number, string[]]> {
  const answer = await fetch(`${shop.url}/export/${customer}?user=${user}`, { method: 'POST' });
  const records = await trail.ledger();
  return [
    answer.status,
    records
      .filter(({ event }) => event.resource.id === customer)
      .map(({ event }) => event.event.outcome),
  ];
}

async function countOf(table: string): Promise<number> {
  const found = await business.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  return found.rows[0]?.n ?? -1;
}

describeTask(6, (criterion) => {
  criterion('a denial gives an event with outcome denied', async () => {
    expect(await ask('c-1', 'u-intern')).toEqual([403, ['denied']]);
    expect(await ask('c-2', 'u-lead')).toEqual([200, ['success']]);
  });

  criterion('the denial survives although the business action did not happen', async () => {
    const [, outcomes] = await ask('c-3', 'u-intern');
    expect([await countOf('exports'), outcomes]).toEqual([0, ['denied']]);
    await trail.agent.delivered();
    const stored = await auditor.query(
      `SELECT outcome, actor_id FROM audit.events WHERE resource_id = 'c-3'`,
    );
    expect(stored.rows).toEqual([{ outcome: 'denied', actor_id: 'u-intern' }]);
    // The control: a permitted export leaves its row, so the table would have shown it.
    await ask('c-4', 'u-lead');
    expect(await countOf('exports')).toBe(1);
  });

  criterion('experiment: a denial written inside the rolled-back transaction is lost', async () => {
    await business.query(`INSERT INTO naive_audit VALUES ('control', 'denied', 'outside')`);
    const [status, outcomes] = await ask('c-5', 'u-intern');
    expect(status).toBe(403);
    const naive = await business.query('SELECT action FROM naive_audit');
    expect(naive.rows).toEqual([{ action: 'control' }]);
    expect(outcomes).toEqual(['denied']);
    expectDefence('docs/GUARANTEES.md', 'Denied and failed', {
      says: [/rolled? ?back/, /transaction/, /denied/, /failure/],
      names: ['sdk/draft.ts'],
    });
  });

  criterion('one query by action and outcome finds the attempt', async () => {
    await ask('c-6', 'u-intern');
    await ask('c-7', 'u-lead');
    await trail.agent.delivered();
    const found = await auditor.query<{ resource_id: string }>(
      `SELECT resource_id FROM audit.events
       WHERE tenant_id = 'acme' AND action = 'customer.export' AND outcome = 'denied'`,
    );
    const ids = found.rows.map(({ resource_id }) => resource_id);
    expect(ids).toContain('c-6');
    expect(ids).not.toContain('c-7');
  });

  criterion(
    'a failure (attempted, broke) is told apart from a denial (never authorised)',
    async () => {
      expect(await ask('c-8', 'u-unlucky')).toEqual([500, ['failure']]);
      expect(await ask('c-9', 'u-intern')).toEqual([403, ['denied']]);
      // Both standards know success and failure only; the difference must survive the mapping.
      const [ecs, ocsf] = [await trail.siem('ecs'), await trail.siem('ocsf')];
      const inEcs = (id: string) => ecs.find((one) => at(one, 'sealtrail.resource.id') === id);
      expect(at(inEcs('c-8'), 'event.outcome')).toBe('failure');
      expect(at(inEcs('c-9'), 'event.outcome')).toBe('failure');
      expect(at(inEcs('c-9'), 'event.type')).toContain('denied');
      expect(at(inEcs('c-8'), 'event.type')).not.toContain('denied');
      const inOcsf = (id: string) => ocsf.find((one) => JSON.stringify(one).includes(`"${id}"`));
      expect(at(inOcsf('c-8'), 'status_id')).toBe(2);
      expect(at(inOcsf('c-9'), 'action_id')).toBe(2);
      expect(at(inOcsf('c-8'), 'action_id')).not.toBe(2);
    },
  );

  criterion('denials are counted per actor and hour', async () => {
    const hour = Date.UTC(2026, 0, 5, 9);
    const denials: [string, number][] = [
      ['u-brute', 0],
      ['u-brute', 1],
      ['u-brute', 59],
      ['u-brute', 61],
      ['u-typo', 5],
    ];
    await Promise.all(
      denials.map(([id, minute]) =>
        trail.audit.record({
          ...draft({ action: 'user.login', outcome: 'denied' }),
          actor: { type: 'user', id, name: id },
          time: new Date(hour + minute * 60_000),
        }),
      ),
    );
    await trail.agent.delivered();
    const counted = await auditor.query(
      `SELECT actor_id, date_trunc('hour', occurred_at, 'UTC') AS hour, count(*)::int AS denials
       FROM audit.events
       WHERE tenant_id = 'acme' AND action = 'user.login' AND outcome = 'denied'
       GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1, 2`,
    );
    expect(counted.rows).toEqual([{ actor_id: 'u-brute', hour: new Date(hour), denials: 3 }]);
  });
});
