/** The relay between a real PostgreSQL and the real agent: whatever dies in between, each event is seen once. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  createOutbox,
  createRelay,
  outboxSchema,
  type DatabaseClient,
  type Relay,
  type SetAside,
} from '../../sdk/outbox.ts';
import { until } from '../support/agent-peer.ts';
import { runCli } from '../support/agent-process.ts';
import { TEST_VOCABULARY } from '../support/sdk-fixture.ts';
import { readRecords } from '../support/outcome.ts';
import { deletion, eventually, openShop, type Shop } from '../support/outbox.ts';
import { startPostgres } from '../support/postgres.ts';

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});
beforeEach(() => shop.reset());
afterAll(() => shop[Symbol.asyncDispose]());

/** Writes rows in one transaction; returns their event ids. */
async function fill(
  count: number,
  laneOf?: (n: number) => string,
  of: Shop = shop,
): Promise<string[]> {
  const ids: string[] = [];
  await of.db.query('BEGIN');
  for (let n = 0; n < count; n++) {
    const lane = laneOf?.(n);
    const draft = deletion(`c-${n}`, { metadata: { n, ...(lane === undefined ? {} : { lane }) } });
    ids.push(await of.outbox.recordInTransaction(of.db, draft, lane === undefined ? {} : { lane }));
  }
  await of.db.query('COMMIT');
  return ids;
}

/** How often the store has each of these events, as queries show them and as records. */
async function countsOf(
  ids: readonly string[],
  of: Shop = shop,
): Promise<{ events: number[]; records: number[] }> {
  const { events, records } = await of.stored();
  const distinct = (counts: ReadonlyMap<string, number>): number[] =>
    [...new Set(ids.map((id) => counts.get(id) ?? 0))].sort((a, b) => a - b);
  return { events: distinct(events), records: distinct(records) };
}

it('a commit wakes the relay; it does not wait for its poll', async () => {
  await using relay = shop.startRelay({ pollMs: 600_000 });
  await until(() => relay.stats().connected, 'the relay to connect');
  // The first look at an empty table is over once a first row came through.
  for (let n = 0; n < 3; n++) {
    const ids = await fill(1);
    await shop.shipped();
    expect(await countsOf(ids)).toEqual({ events: [1], records: [1] });
  }
  expect(relay.stats()).toMatchObject({ shipped: 3, setAside: 0, lastError: null });
});

it('the poll finds what nobody was notified of', async () => {
  const table = 'quiet_outbox';
  await shop.db.query(outboxSchema({ table, notify: false }));
  await using relay = shop.startRelay({ table, pollMs: 50 });
  await until(() => relay.stats().connected, 'the relay to connect');
  await createOutbox(shop.audit, { table }).recordInTransaction(shop.db, deletion('c-1'));
  await until(() => relay.stats().shipped === 1, 'the row to be shipped');
});

it('an application killed -9 between commit and shipping loses nothing: a relay started later ships it', async () => {
  await shop.db.query(`INSERT INTO customers VALUES ('c-9')`);
  const app = await shop.startProcess({ mode: 'delete', id: 'c-9' });
  await app.said('committed');
  await app.kill();
  const [row] = await shop.rows();
  expect(row).toMatchObject({ action: 'customer.delete', shipped_at: null });
  expect((await shop.stored()).records.has(row!.event_id)).toBe(false);
  const relay = await shop.startProcess({ mode: 'relay' });
  await shop.shipped();
  await relay.stop();
  expect(await countsOf([row!.event_id])).toEqual({ events: [1], records: [1] });
});

it('a relay killed -9 between ack and mark sends again, and the store shows the event once', async () => {
  const ids = await fill(5);
  const doomed = await shop.startProcess({ mode: 'relay', stopAtMark: true });
  await doomed.said('acked');
  await doomed.kill();
  expect((await shop.rows()).map(({ shipped_at }) => shipped_at)).toEqual(Array(5).fill(null));
  expect(await countsOf(ids)).toEqual({ events: [1], records: [1] });
  const relay = await shop.startProcess({ mode: 'relay' });
  await shop.shipped();
  await relay.stop();
  expect(await countsOf(ids)).toEqual({ events: [1], records: [2] });
  expect((await runCli(['verify', shop.agent.dir])).code).toBe(0);
});

it('relays killed -9 at any moment, again and again, lose nothing and show nothing twice', async () => {
  const seed = Number(process.env['SEALTRAIL_SEED'] ?? Date.now() % 2 ** 31);
  const random = createRandom(seed);
  const ids = await fill(600);
  for (let round = 0; round < 2; round++) {
    const relays = await Promise.all(
      [1, 2].map(() => shop.startProcess({ mode: 'relay', batchRows: 40 })),
    );
    for (const relay of relays) {
      await relay.said('running');
      await new Promise((resolve) => setTimeout(resolve, random() * 120));
      await relay.kill();
    }
    ids.push(...(await fill(100)));
  }
  const last = await shop.startProcess({ mode: 'relay' });
  await shop.shipped(60_000);
  await last.stop();
  expect((await countsOf(ids)).events, `SEALTRAIL_SEED=${seed}`).toEqual([1]);
});

/** Numbers from [0, 1) that a seed repeats. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

it('two relays on 600 rows ship each once', async () => {
  const ids = await fill(600);
  // The first keeps the rows of its first go until the second has shipped some: both are at it, whoever is faster.
  let isHolding = false;
  let second: Relay | null = null;
  const connect = async (): Promise<DatabaseClient> => {
    const client: DatabaseClient = await shop.connect();
    const query = client.query.bind(client);
    client.query = async (text, values) => {
      if (text.includes('SET shipped_at')) {
        isHolding = true;
        await until(() => (second?.stats().shipped ?? 0) > 0, 'the second to ship');
      }
      return query(text, values);
    };
    return client;
  };
  await using one = shop.startRelay({ batchRows: 20, audit: await shop.openAudit(), connect });
  await until(() => isHolding, 'the first to have rows');
  await using two = shop.startRelay({ batchRows: 20, audit: await shop.openAudit() });
  second = two;
  await shop.shipped();
  await Promise.all([one.stop(), two.stop()]);
  expect(one.stats().shipped + two.stats().shipped).toBe(600);
  expect(Math.min(one.stats().shipped, two.stats().shipped)).toBeGreaterThan(0);
  expect(await countsOf(ids)).toEqual({ events: [1], records: [1] });
});

it('rows of a lane keep their order, with two relays at it', async () => {
  const ids = new Set(await fill(240, (n) => `lane-${n % 4}`));
  const started = [await shop.openAudit(), await shop.openAudit()].map((audit) =>
    shop.startRelay({ batchRows: 20, audit }),
  );
  await shop.shipped();
  for (const relay of started) await relay.stop();
  const records = await readRecords(`${shop.agent.dir}/ledger`);
  const order = new Map<string, number[]>();
  for (const { event } of records) {
    if (!ids.has(event.event_id)) continue;
    const { lane, n } = event.metadata as { lane: string; n: number };
    order.set(lane, [...(order.get(lane) ?? []), n]);
  }
  expect(order.size).toBe(4);
  for (const ns of order.values()) {
    expect(ns).toHaveLength(60);
    expect(ns).toEqual(ns.toSorted((a, b) => a - b));
  }
});

it('a row that the agent refuses is set aside with the reason, and the others go on', async () => {
  // Of a later version of the application: the agent does not know the action yet.
  const vocabulary = structuredClone(TEST_VOCABULARY) as { actions: { action: string }[] };
  for (const one of vocabulary.actions) one.action = one.action.replace('delete', 'teleport');
  const newer = createOutbox(await shop.openAudit({ vocabulary }));
  const refused = await newer.recordInTransaction(
    shop.db,
    deletion('c-1', { action: 'customer.teleport' }),
    { lane: 'c-1' },
  );
  const behind = await shop.outbox.recordInTransaction(shop.db, deletion('c-1'), { lane: 'c-1' });
  const spoilt = await shop.outbox.recordInTransaction(shop.db, deletion('c-2'));
  await shop.db.query(`UPDATE audit_outbox SET line = line || E'\\n' || line WHERE event_id = $1`, [
    spoilt,
  ]);
  const others = await fill(20);
  const aside: SetAside[] = [];
  await using relay = shop.startRelay({ onSetAside: (row) => aside.push(row) });
  await shop.shipped();
  await until(() => relay.stats().setAside === 2, 'two rows to be set aside');
  expect(await countsOf([behind, ...others])).toEqual({ events: [1], records: [1] });
  expect(await countsOf([refused, spoilt])).toEqual({ events: [0], records: [0] });
  expect(aside.map(({ event_id, error }) => [event_id, error.code])).toEqual([
    [refused, 'unknown_action'],
    [spoilt, 'malformed'],
  ]);
  const rows = (await shop.rows()).filter(({ set_aside_at }) => set_aside_at !== null);
  expect(rows.map(({ last_error }) => last_error?.split(':')[0])).toEqual([
    'unknown_action',
    'malformed',
  ]);

  // Mended, and let try again.
  await shop.db.query(`UPDATE audit_outbox SET line = split_part(line, E'\\n', 1)`);
  await shop.outbox.retrySetAside(shop.db, [rows[1]!.id]);
  await shop.shipped();
  expect(await countsOf([spoilt])).toEqual({ events: [1], records: [1] });
});

it('rows wait for an agent that is away, and go once it is back', async () => {
  // The PostgreSQL beside it lives on.
  await shop.agent.kill();
  const audit = await shop.openAudit({ timeoutMs: 200 });
  await using relay = shop.startRelay({ audit });
  const ids = await fill(30, (n) => `lane-${n % 3}`);
  await until(() => relay.stats().putOff > 1, 'the relay to be turned away twice');
  expect(relay.stats()).toMatchObject({ shipped: 0, setAside: 0 });
  expect((await shop.rows()).some(({ last_error }) => last_error?.startsWith('agent_'))).toBe(true);
  await shop.agent.start();
  await shop.shipped();
  expect((await countsOf(ids)).events).toEqual([1]);
});

it('stop() marks what is under way: nothing acked is left unmarked', async () => {
  const ids = await fill(400);
  const relay = shop.startRelay({ batchRows: 10 });
  await until(() => relay.stats().shipped > 0, 'the relay to ship');
  await relay.stop();
  const marked = (await shop.rows()).filter(({ shipped_at }) => shipped_at !== null);
  expect(marked.length).toBe(relay.stats().shipped);
  expect(marked.length).toBeLessThan(400);
  const { records } = await shop.stored();
  expect(ids.filter((id) => records.has(id)).sort()).toEqual(
    marked.map(({ event_id }) => event_id).sort(),
  );
});

it('stop() returns though the database never answers', async () => {
  const relay = createRelay({
    audit: shop.audit,
    stopMs: 50,
    connect: () => new Promise(() => undefined),
  });
  await relay.stop();
  expect(relay.stats().connected).toBe(false);
});

it('a database that is restarted in the middle costs a reconnect', async () => {
  const postgres = await startPostgres();
  const apart = await openShop(postgres.url('admin'));
  try {
    const ids = await fill(600, undefined, apart);
    // The last row is held until the server goes: in the middle it is, however fast the relay.
    await apart.db.query('BEGIN; SELECT 1 FROM audit_outbox ORDER BY id DESC LIMIT 1 FOR UPDATE');
    const relay = apart.startRelay({ batchRows: 10 });
    await until(() => relay.stats().shipped > 0, 'the relay to ship');
    await postgres.restart();
    await eventually(async () => {
      const db = await apart.connect();
      const left = await db?.query(`SELECT 1 FROM audit_outbox WHERE shipped_at IS NULL LIMIT 1`);
      await db?.end();
      return left?.rows.length === 0;
    }, 'every row to be shipped');
    expect(relay.stats().reconnects).toBeGreaterThan(0);
    expect((await countsOf(ids, apart)).events).toEqual([1]);
  } finally {
    await apart[Symbol.asyncDispose]();
    await postgres.stop();
  }
});
