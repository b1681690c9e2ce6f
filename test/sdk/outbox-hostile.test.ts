/** An outbox into which others write, and an agent that says no for reasons of its own: nothing blocks the rest. */
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createOutbox, createReconciler, outboxSchema, type SetAside } from '../../sdk/outbox.ts';
import { encodeFrame } from '../../schemas/wire-codec.ts';
import { FrameType } from '../../schemas/wire.ts';
import { startAgentPeer, until } from '../support/agent-peer.ts';
import { deletion, eventually, openShop, type Shop } from '../support/outbox.ts';

let shop: Shop;

beforeAll(async () => {
  shop = await openShop();
});
beforeEach(() => shop.reset());
afterAll(() => shop[Symbol.asyncDispose]());

const record = (id: string): Promise<string> =>
  shop.outbox.recordInTransaction(shop.db, deletion(id));

it('an agent that turns connections away says nothing about a row: none is set aside', async () => {
  const ids = [await record('c-1'), await record('c-2')];
  const refuses = { kind: 'protocol_error', message: 'too many connections' };
  let isFull = true;
  const peer = await startAgentPeer({
    hello: () => (isFull ? encodeFrame(FrameType.error, JSON.stringify(refuses)) : null),
  });
  const audit = await shop.openAudit({ socketPath: peer.socketPath, timeoutMs: 50 });
  const aside: SetAside[] = [];
  await using relay = shop.startRelay({ audit, onSetAside: (row) => aside.push(row) });
  // Refusals of doubt are believed the fifth time.
  await until(() => relay.stats().putOff > 6, 'seven goes');
  expect(aside).toEqual([]);
  expect(relay.stats().lastError).toContain('too many connections');
  isFull = false;
  await shop.shipped();
  expect(new Set(peer.appended.map(({ text }) => JSON.parse(text).event_id))).toEqual(new Set(ids));
  await relay.stop();
  await peer.close();
});

it('an agent that was away for longer than a go takes has each row once when it is back', async () => {
  let isMute = true;
  const peer = await startAgentPeer({ onBatch: () => (isMute ? 'drop' : 'ack') });
  const audit = await shop.openAudit({ socketPath: peer.socketPath, timeoutMs: 100 });
  const id = await record('c-1');
  const relay = shop.startRelay({ audit });
  await until(() => relay.stats().putOff > 2, 'three goes');
  await relay.stop();
  isMute = false;
  // One that goes the whole way: whatever was left in the queue has been sent by then.
  await eventually(
    () =>
      audit.record(deletion('c-2')).then(
        () => true,
        () => false,
      ),
    'an ack within the time of a go',
  );
  // A relay that waits for the ack, however slow the machine, sends once.
  const patient = await shop.openAudit({ socketPath: peer.socketPath, timeoutMs: 60_000 });
  await using another = shop.startRelay({ audit: patient });
  await shop.shipped();
  const appended = peer.appended.map(({ text }) => JSON.parse(text).event_id as string);
  expect(appended.filter((one) => one === id)).toEqual([id]);
  await another.stop();
  await peer.close();
});

it('a row of any size costs a relay no memory, and is set aside', async () => {
  const good = await record('c-1');
  await shop.db.query(
    `INSERT INTO audit_outbox (event_id, action, occurred_at, line)
     SELECT repeat('e', 10000000), repeat('a', 10000000), now(), repeat('x', 40000000)`,
  );
  const aside: SetAside[] = [];
  let mostBytes = 0;
  const watch = setInterval(() => (mostBytes = Math.max(mostBytes, process.memoryUsage().rss)), 5);
  const before = process.memoryUsage().rss;
  await using relay = shop.startRelay({ onSetAside: (row) => aside.push(row) });
  await shop.shipped(60_000);
  clearInterval(watch);
  await until(() => relay.stats().setAside === 1, 'the row to be set aside');
  expect(aside[0]).toMatchObject({ error: { code: 'too_large' } });
  expect((aside[0]?.event_id.length ?? 0) + (aside[0]?.action.length ?? 0)).toBeLessThan(400);
  expect(mostBytes - before).toBeLessThan(60 * 1024 * 1024);
  expect((await shop.stored()).events.get(good)).toBe(1);
  await using reconciler = createReconciler({ ...shop, stuckAfterMs: 0, everyMs: 3_600_000 });
  expect((await reconciler.pass()).stuck.set_aside).toBe(1);
});

it('an intent that is no event is told, and the intents behind it are asked about', async () => {
  for (const [event_id, line] of [
    ['a', 'no JSON'],
    ['b', '{}'],
    ['c', 'null'],
    ['d', '{"correlation":{"workflow_id":7}}'],
  ])
    await shop.db.query(
      `INSERT INTO audit_outbox (event_id, action, occurred_at, line, intent_id)
       VALUES ($1, 'payment.charge_request', now(), $2, $1)`,
      [event_id, line],
    );
  const intent = await shop.outbox.recordIntent(shop.db, {
    ...deletion('c-1'),
    action: 'payment.charge_request',
  });
  const asked: string[] = [];
  const faults: string[] = [];
  await using reconciler = createReconciler({
    connect: shop.connect,
    outbox: shop.outbox,
    danglingAfterMs: 0,
    everyMs: 3_600_000,
    onDangling: ({ intent_id }) => {
      asked.push(intent_id);
      return { ...deletion('c-1'), action: 'payment.charge', outcome: 'success' };
    },
    onError: ({ message }) => void faults.push(message),
  });
  await eventually(
    async () => asked.includes(intent.intent_id),
    'the good intent to be asked about',
  );
  const { dangling } = await reconciler.pass();
  expect(dangling).toEqual({ found: 4, settled: 0 });
  expect(faults.length).toBeGreaterThanOrEqual(4);
  expect(faults[0]).toMatch(/intent/);
  expect(faults.join()).not.toContain('no JSON');
});

it('an inquiry that never comes back costs its intent this pass, and not the alarms of the next', async () => {
  await shop.outbox.recordIntent(shop.db, { ...deletion('c-1'), action: 'payment.charge_request' });
  await record('c-2');
  let alarms = 0;
  const faults: string[] = [];
  await using reconciler = createReconciler({
    connect: shop.connect,
    outbox: shop.outbox,
    danglingAfterMs: 0,
    stuckAfterMs: 0,
    everyMs: 20,
    inquiryMs: 50,
    onDangling: () => new Promise(() => undefined),
    onStuck: () => (alarms += 1),
    onError: ({ message }) => void faults.push(message),
  });
  await until(() => alarms > 2, 'three alarms');
  expect(faults[0]).toContain('50 ms');
  await reconciler.stop();
});

it('a hook that rejects does not end the relay', async () => {
  await shop.db.query(
    `INSERT INTO audit_outbox (event_id, action, occurred_at, line) VALUES ('x', 'y', now(), '{}')`,
  );
  const warnings: string[] = [];
  const hear = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', hear);
  const onSetAside = (() => Promise.reject(new Error('pager away'))) as () => void;
  await using relay = shop.startRelay({ onSetAside });
  await until(() => warnings.length > 0, 'the warning');
  process.off('warning', hear);
  expect(warnings).toEqual(['onSetAside threw: pager away']);
  expect(relay.stats()).toMatchObject({ setAside: 1, connected: true });
});

it('a table whose name is too long for a channel is refused, and the longest works', async () => {
  const schema = 's'.repeat(30);
  await shop.db.query(`CREATE SCHEMA ${schema}`);
  const longest = `${schema}.${'t'.repeat(32)}`;
  expect(() => outboxSchema({ table: `${longest}t` })).toThrow(/63/);
  await shop.db.query(outboxSchema({ table: longest }));
  await using relay = shop.startRelay({ table: longest, pollMs: 600_000 });
  await until(() => relay.stats().connected, 'the relay to connect');
  const outbox = createOutbox(shop.audit, { table: longest });
  await outbox.recordInTransaction(shop.db, deletion('c-1'));
  await outbox.recordInTransaction(shop.db, deletion('c-2'));
  await until(() => relay.stats().shipped === 2, 'two rows to be shipped');
});
