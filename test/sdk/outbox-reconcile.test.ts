/** The reconciler: what nobody else would notice about an outbox is said, asked about, and cleared away. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  createReconciler,
  type DanglingIntent,
  type IntentLink,
  type ReconcilerOptions,
  type StuckReport,
} from '../../sdk/outbox.ts';
import { runWithContext, type EventDraft } from '../../sdk/index.ts';
import { until } from '../support/agent-peer.ts';
import { deletion, openShop, type Shop } from '../support/outbox.ts';

const HOUR_MS = 3_600_000;

let shop: Shop;
let provider: Provider;

beforeAll(async () => {
  shop = await openShop();
  provider = await startProvider();
});
beforeEach(() => shop.reset());
afterAll(async () => {
  provider.server.close();
  await shop[Symbol.asyncDispose]();
});

/** A payment provider: takes charges, and can be asked what became of one. */
interface Provider {
  readonly url: string;
  readonly server: Server;
  /** References of charges taken. */
  readonly taken: Set<string>;
  /** References asked about. */
  readonly asked: string[];
}

async function startProvider(): Promise<Provider> {
  const taken = new Set<string>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const reference = (request.url ?? '').slice(1);
    if (request.method === 'POST') taken.add(reference);
    else asked.push(reference);
    response.writeHead(taken.has(reference) ? 200 : 404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, server, taken, asked };
}

const payment = (action: string): Omit<EventDraft, 'outcome'> => ({
  action,
  actor: { type: 'user', id: 'u-17', name: 'Ada' },
  resource: { type: 'payment', id: 'p-1' },
});

const intend = (): Promise<IntentLink> =>
  shop.outbox.recordIntent(shop.db, payment('payment.charge_request'));

async function charge({ intent_id }: IntentLink): Promise<void> {
  await fetch(`${provider.url}/${intent_id}`, { method: 'POST' });
}

/** What the reconciler of an application does: it asks the provider. */
async function askProvider({ intent_id }: DanglingIntent): Promise<EventDraft> {
  const answer = await fetch(`${provider.url}/${intent_id}`);
  return { ...payment('payment.charge'), outcome: answer.ok ? 'success' : 'failure' };
}

/** A reconciler of which only pass() is used: its own passes come once, and long after. */
function open(options: Partial<ReconcilerOptions> = {}): ReturnType<typeof createReconciler> {
  const { connect, outbox } = shop;
  return createReconciler({ connect, outbox, everyMs: HOUR_MS, ...options });
}

async function age(sql: string = 'true', hours: number = 1): Promise<void> {
  await shop.db.query(
    `UPDATE audit_outbox SET recorded_at = recorded_at - $1 * interval '1 hour',
       shipped_at = shipped_at - $1 * interval '1 hour' WHERE ${sql}`,
    [hours],
  );
}

it('rows that no relay ships raise an alert, until they are shipped', async () => {
  const alerts: StuckReport[] = [];
  await using reconciler = open({ onStuck: (report) => alerts.push(report) });
  const first = await shop.outbox.recordInTransaction(shop.db, deletion('c-1'));
  await shop.outbox.recordInTransaction(shop.db, deletion('c-2'));
  expect((await reconciler.pass()).stuck).toMatchObject({ count: 0, oldest_ms: 0, rows: [] });
  expect(alerts).toEqual([]);
  await age(`event_id = '${first}'`);
  const { stuck } = await reconciler.pass();
  expect(stuck).toMatchObject({
    count: 1,
    set_aside: 0,
    rows: [{ event_id: first, action: 'customer.delete', attempts: 0, last_error: null }],
  });
  expect(stuck.oldest_ms).toBeGreaterThanOrEqual(HOUR_MS);
  expect(alerts).toEqual([stuck]);
  await using relay = shop.startRelay();
  await shop.shipped();
  expect((await reconciler.pass()).stuck.count).toBe(0);
  expect(alerts).toHaveLength(1);
  expect(relay.stats().shipped).toBe(2);
});

it('rows set aside are alerted on as well, with the reason', async () => {
  const id = await shop.outbox.recordInTransaction(shop.db, deletion('c-1'));
  await shop.db.query(`UPDATE audit_outbox SET line = '{}'`);
  await using _relay = shop.startRelay();
  await shop.shipped();
  const alerts: StuckReport[] = [];
  await using reconciler = open({ onStuck: (report) => alerts.push(report) });
  await until(() => alerts.length > 0, 'the first pass');
  expect(alerts[0]).toMatchObject({
    count: 0,
    set_aside: 1,
    rows: [{ event_id: id, attempts: 1, last_error: expect.stringContaining('malformed') }],
  });
  await reconciler.stop();
});

it('a pass at intervals outlives a database that cannot be reached, and a hook that throws', async () => {
  const errors: string[] = [];
  let passes = 0;
  await shop.outbox.recordInTransaction(shop.db, deletion('c-1'));
  await age();
  const reconciler = open({
    everyMs: 5,
    connect: () => (errors.length < 2 ? Promise.reject(new Error('no database')) : shop.connect()),
    onError: ({ message }) => errors.push(message),
    onStuck: () => {
      passes += 1;
      throw new Error('the hook fails');
    },
  });
  await until(() => passes > 2, 'three passes');
  await reconciler.stop();
  expect(errors).toEqual(['no database', 'no database']);
});

it('pruning takes what was shipped long ago, and nothing else', async () => {
  const old = await shop.outbox.recordInTransaction(shop.db, deletion('c-old'));
  const open_ = await intend();
  const settled = await intend();
  await shop.outbox.recordOutcome(shop.db, settled, {
    ...payment('payment.charge'),
    outcome: 'success',
  });
  const relay = shop.startRelay();
  await shop.shipped();
  await age('true', 24 * 8);
  const fresh = await shop.outbox.recordInTransaction(shop.db, deletion('c-new'));
  await shop.shipped();
  await relay.stop();
  const aside = await shop.outbox.recordInTransaction(shop.db, deletion('c-aside'));
  await shop.db.query(`UPDATE audit_outbox SET set_aside_at = now() WHERE event_id = $1`, [aside]);
  const waiting = await shop.outbox.recordInTransaction(shop.db, deletion('c-waiting'));
  await age(`event_id IN ('${aside}', '${waiting}')`, 24 * 8);
  await using reconciler = open();
  const before = (await shop.rows()).map(({ event_id }) => event_id);
  expect(before).toEqual(expect.arrayContaining([open_.intent_id, fresh, aside, waiting]));
  await reconciler.pass();
  const left = (await shop.rows()).map(({ event_id }) => event_id);
  expect(left).toEqual([open_.intent_id, fresh, aside, waiting]);
  expect(left).not.toContain(old);
  // Its outcome arrived after all, and is kept as long as the intent: neither may be taken for half a pair.
  await shop.outbox.recordOutcome(shop.db, open_, {
    ...payment('payment.charge'),
    outcome: 'failure',
  });
  await age('true', 24 * 8);
  await shop.db.query(
    `UPDATE audit_outbox SET shipped_at = recorded_at WHERE intent_id IS NOT NULL`,
  );
  await reconciler.pass();
  expect((await shop.rows()).map(({ event_id }) => event_id)).toEqual([aside, waiting]);
  // With null everything stays.
  await shop.db.query(`UPDATE audit_outbox SET shipped_at = recorded_at`);
  await age('true', 24 * 8);
  await using keeping = open({ keepShippedMs: null });
  expect((await keeping.pass()).pruned).toBe(0);
});

it('an intent and its outcome are two events, linked in the store by one id', async () => {
  const intent = await runWithContext({ workflow_id: 'checkout-7' }, intend);
  await charge(intent);
  await shop.outbox.recordOutcome(shop.db, intent, {
    ...payment('payment.charge'),
    outcome: 'success',
    metadata: { provider: 'acme-pay' },
  });
  await using _relay = shop.startRelay();
  await shop.shipped();
  await shop.agent.delivered();
  const { rows } = await shop.store.query(
    `SELECT action, outcome, payload->'metadata' AS metadata, payload->'correlation'->>'workflow_id' AS workflow
     FROM audit.events WHERE payload->'metadata'->>'intent_id' = $1 ORDER BY event_id`,
    [intent.intent_id],
  );
  const { intent_id } = intent;
  expect(rows).toEqual([
    {
      action: 'payment.charge_request',
      outcome: 'success',
      metadata: { intent_id, phase: 'intent' },
      workflow: 'checkout-7',
    },
    {
      action: 'payment.charge',
      outcome: 'success',
      metadata: { intent_id, phase: 'outcome', provider: 'acme-pay' },
      workflow: 'checkout-7',
    },
  ]);
});

it('an outcome does not wait for a relay that holds the row of its intent', async () => {
  const intent = await intend();
  const relay = await shop.connect();
  await relay.query('BEGIN; SELECT * FROM audit_outbox FOR UPDATE');
  // Of the wait for a lock alone: a statement may be slow.
  await shop.db.query(`SET lock_timeout = '2s'`);
  const outcome = { ...payment('payment.charge'), outcome: 'success' } as const;
  await shop.outbox.recordOutcome(shop.db, intent, outcome);
  await shop.db.query('RESET lock_timeout');
  await relay.query('COMMIT');
  await relay.end();
  await age();
  await using reconciler = open({ onDangling: askProvider });
  expect((await reconciler.pass()).dangling).toEqual({ found: 0, settled: 0 });
  expect((await shop.rows())[0]?.settled_at).toBeInstanceOf(Date);
});

it('an intent that was left dangling gets the outcome that the other side knows, once', async () => {
  // One process died before the call, one after it; a third one got its outcome.
  const [before, after, done] = [await intend(), await intend(), await intend()];
  await charge(after);
  await charge(done);
  await shop.outbox.recordOutcome(shop.db, done, {
    ...payment('payment.charge'),
    outcome: 'success',
  });
  provider.asked.length = 0;
  await using early = open({ onDangling: askProvider });
  expect((await early.pass()).dangling).toEqual({ found: 0, settled: 0 });
  await early.stop();
  await age();
  const reconcilers = [open({ onDangling: askProvider }), open({ onDangling: askProvider })];
  const passes = await Promise.all(reconcilers.map((one) => one.pass()));
  for (const one of reconcilers) await one.stop();
  expect(passes.every(({ dangling }) => dangling.found === dangling.settled)).toBe(true);
  expect(provider.asked.toSorted()).toEqual([before.intent_id, after.intent_id].toSorted());
  const outcomes = (await shop.rows())
    .filter(({ action }) => action === 'payment.charge')
    .map(({ line, intent_id }) => [intent_id, JSON.parse(line).event.outcome as string]);
  expect(new Map(outcomes as [string, string][])).toEqual(
    new Map([
      [done.intent_id, 'success'],
      [before.intent_id, 'failure'],
      [after.intent_id, 'success'],
    ]),
  );
  expect(outcomes).toHaveLength(3);
  await using late = open({ onDangling: askProvider });
  expect((await late.pass()).dangling).toEqual({ found: 0, settled: 0 });
});

it('an intent that cannot be told about stays open, and those behind it are asked about', async () => {
  const [throwing, faulty, unknown, last] = [
    await intend(),
    await intend(),
    await intend(),
    await intend(),
  ];
  await age();
  const errors: string[] = [];
  await using reconciler = open({
    onError: ({ message }) => errors.push(message),
    onDangling: (intent) => {
      if (intent.intent_id === throwing.intent_id) throw new Error('the provider is away');
      if (intent.intent_id === unknown.intent_id) return null;
      const action = intent.intent_id === faulty.intent_id ? 'payment.chrage' : 'payment.charge';
      return { ...payment(action), outcome: 'success' };
    },
  });
  await until(() => errors.length === 2, 'the first pass');
  const { dangling } = await reconciler.pass();
  expect(dangling).toEqual({ found: 3, settled: 0 });
  expect(errors.slice(0, 2)).toEqual([
    'the provider is away',
    expect.stringContaining('"payment.chrage" is not in the vocabulary'),
  ]);
  const settled = (await shop.rows()).filter(({ settled_at }) => settled_at !== null);
  expect(settled.map(({ event_id }) => event_id)).toEqual([last.intent_id]);
});
