/** What a gateway says: a flood of what it refuses, or is refused, fills no log, and nothing of it is lost. */
import { jetstream } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { handleBatch, type BatchOptions } from '../../../agent/gateway/batch.ts';
import { startConsumption } from '../../../agent/gateway/consumption.ts';
import type { GatewayLetter } from '../../../agent/gateway/dead-letters.ts';
import type { GatewayMessage } from '../../../agent/gateway/incoming.ts';
import { createTotals } from '../../../agent/gateway/totals.ts';
import { createWaiting } from '../../../agent/gateway/waiting.ts';
import { createLogLimit, LOG_INTERVAL_MS } from '../../../agent/log-limit.ts';
import { SHARDS, subjectOf } from '../../../agent/nats-subject.ts';
import type { Logger } from '../../../agent/ports.ts';
import { formatRecord } from '../../../ledger/frame.ts';
import { err, ok } from '../../../schemas/result.ts';
import { createSealer } from '../../store/sealed.ts';
import { silentLog } from '../../support/append-stage.ts';
import { eventually } from '../../support/eventually.ts';
import { testWhere } from '../../support/host.ts';
import { hasNats, startNats } from '../../support/nats.ts';

const testWithNats = testWhere(hasNats, 'what NATS refuses needs nats-server');
const { event, eventText, prev_hash, this_hash } = createSealer().seal();
const SUBJECT = subjectOf('sealtrail', event.resource.tenant_id, event.chain.stream);
const RECORD = formatRecord(eventText, prev_hash, this_hash).trimEnd();

/** A log that keeps its lines, and a limit on a clock that a test moves. */
function createLog() {
  const lines: object[] = [];
  const take = (fields: object, message: string): void => void lines.push({ ...fields, message });
  const log: Logger = { ...silentLog, warn: take, error: take };
  const clock = { nowMs: 0 };
  return { lines, clock, ports: { log, logLimit: createLogLimit(() => clock.nowMs) } };
}

/** Handles a hundred messages at once; how many of them were given up and handed back. */
async function flood(
  ports: BatchOptions,
  textOf: (n: number) => string,
): Promise<{ readonly term: number; readonly nak: number }> {
  const answers = { term: 0, nak: 0 };
  const messages = Array.from({ length: 100 }, (_, number): GatewayMessage => ({
    ...{ subject: SUBJECT, data: Buffer.from(textOf(number)), number, deliveries: 1 },
    ack: () => expect.unreachable('nothing is stored'),
    nak: () => void (answers.nak += 1),
    term: () => void (answers.term += 1),
  }));
  await handleBatch(ports, messages, new AbortController().signal);
  return answers;
}

test('of messages that are no records the first of a kind in a minute is logged, and how many there were; each is kept and counted', async () => {
  const { lines, clock, ports } = createLog();
  const kept: GatewayLetter[] = [];
  const totals = createTotals(() => clock.nowMs);
  const options: BatchOptions = {
    ...{ ...ports, totals, subjectPrefix: 'sealtrail' },
    links: { read: () => expect.unreachable('none is a record') },
    store: { appendRecords: () => expect.unreachable('none is a record') },
    letters: { add: (letters) => Promise.resolve(ok(void kept.push(...letters))) },
    waiting: createWaiting({ records: 1, bytes: 1 }),
    tellFork: () => expect.unreachable('none is of a stream'),
  };
  const textOf = (n: number): string => (n % 2 === 0 ? 'no record' : RECORD.replace('u-', 'v-'));
  for (const stepMs of [0, LOG_INTERVAL_MS, 0]) {
    expect(await flood(options, textOf)).toEqual({ term: 100, nak: 0 });
    clock.nowMs += stepMs;
  }
  const message = expect.stringMatching(/^FINDING: /) as string;
  expect(lines).toMatchObject([
    { kind: 'malformed', number: 0, count: 1, message },
    { kind: 'altered', number: 1, count: 1, message },
    { kind: 'malformed', number: 0, count: 100, message },
    { kind: 'altered', number: 1, count: 100, message },
  ]);
  expect(kept).toHaveLength(300);
  expect(totals.counts().refused_total).toMatchObject({ malformed: 150, altered: 150 });
});

test('a store or a disk that is away is told once a minute, and every message is handed back', async () => {
  const { lines, clock, ports } = createLog();
  const options: BatchOptions = {
    ...{ ...ports, totals: createTotals(() => clock.nowMs), subjectPrefix: 'sealtrail' },
    links: { read: () => Promise.resolve(err({ kind: 'unavailable', message: 'away' })) },
    store: { appendRecords: () => expect.unreachable('it is away') },
    letters: { add: () => Promise.resolve(err('the disk is full')) },
    waiting: createWaiting({ records: 1, bytes: 1 }),
    tellFork: () => expect.unreachable('nothing is judged'),
  };
  for (const textOf of [() => RECORD, () => 'no record', () => RECORD, () => 'no record'])
    expect(await flood(options, textOf)).toEqual({ term: 0, nak: 100 });
  expect(lines).toMatchObject([
    { kind: 'unavailable', count: 1 },
    { reason: 'the disk is full', count: 1 },
  ]);
});

testWithNats(
  'a gateway that may not tell of forks says once a minute that NATS refuses it, and goes on',
  async () => {
    const denied = 'permissions: { publish: { deny: ["sealtrail_forks.>"] } }';
    await using nats = await startNats(
      `authorization { users: [ { user: agent, password: pw }, { user: gateway, password: pw, ${denied} } ] }`,
    );
    const connectAs = (user: string): Promise<NatsConnection> =>
      connect({ servers: nats.url, user, pass: 'pw' });
    const { lines, clock, ports } = createLog();
    let handled = 0;
    const consumption = startConsumption({
      ...{ ...ports, stream: 'SEALTRAIL', subjectPrefix: 'sealtrail', consumer: 'gateway' },
      ...{ createStream: true, ackWaitMs: 30_000, batchRecordsMax: 1 },
      connect: () => connectAs('gateway'),
      leases: { balance: () => Promise.resolve([0]), close: () => undefined },
      handle: (messages, _waiting, tellFork) => {
        for (const message of messages) {
          tellFork('tenant', { stream: 's', reason: 'fork: taken' });
          message.ack();
          handled += 1;
        }
        return Promise.resolve();
      },
      onTrouble: (reason) => expect.unreachable(reason),
    });
    const agent = await connectAs('agent');
    const client = jetstream(agent);
    const send = async (count: number): Promise<void> => {
      const before = handled;
      for (let n = 0; n < count; n += 1) await client.publish(`sealtrail.${SHARDS[0]}.tenant`, 'x');
      await eventually(() => expect(handled).toBe(before + count));
    };
    try {
      await eventually(() => expect(consumption.status().shards).toEqual([SHARDS[0]]));
      await send(20);
      const reason = expect.stringMatching(/[Pp]ermission/) as string;
      await eventually(() => expect(lines).toMatchObject([{ reason, count: 1 }]));
      clock.nowMs += LOG_INTERVAL_MS;
      await send(1);
      await eventually(() => expect(lines).toMatchObject([{ reason, count: 1 }, { reason }]));
    } finally {
      await agent.close();
      await consumption.stop(1_000);
    }
  },
);
