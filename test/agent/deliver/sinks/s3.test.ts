/** The archive's sink and what servers, networks and clocks do to it; the real server is in test/store/archive.test.ts. */
import { expect, test } from 'vitest';
import type { DeliveryLoop } from '../../../../agent/deliver/loop.ts';
import { createS3Sink } from '../../../../agent/deliver/sinks/s3.ts';
import { realTiming } from '../../../../agent/deliver/timing.ts';
import type { Logger } from '../../../../agent/ports.ts';
import type { S3ExporterConfig } from '../../../../schemas/archive-config.ts';
import { restoreArchive } from '../../../../store/archive/restore.ts';
import { silentLog } from '../../../support/append-stage.ts';
import {
  createScriptedSink,
  DELIVERED,
  startTestLoop,
  whenDelivered,
  writeLedger,
} from '../../../support/delivery.ts';
import { eventually } from '../../../support/eventually.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { archiveClient, archiveConfig } from '../../../support/s3.ts';
import { startS3Peer, type S3Peer } from '../../../support/s3-peer.ts';

const SECRET = 'a-secret-that-nobody-may-read';
const configOf = (peer: S3Peer): S3ExporterConfig =>
  archiveConfig(
    {
      endpoint: peer.url,
      writer: { user: 'w', access_key_id: 'key', secret_access_key: SECRET },
    },
    { bucket: 'archive', timeout_ms: 500 },
  );

async function begin(
  peer: S3Peer,
  log: Logger = silentLog,
): Promise<{ loop: DeliveryLoop; durable: number } & AsyncDisposable> {
  const temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 24);
  const sink = createS3Sink(configOf(peer), { dataDir: temp.path, log, timing: realTiming });
  const loop = await startTestLoop(temp.path, durable, sink, {
    exporter: { batch_records_max: 10 },
  });
  return {
    loop,
    durable,
    [Symbol.asyncDispose]: async () => {
      await loop.stop();
      await temp[Symbol.asyncDispose]();
    },
  };
}

const whenInTrouble = (loop: DeliveryLoop, reason: RegExp): Promise<void> =>
  eventually(() => {
    const { state, last_error } = loop.report();
    expect({ state, last_error }).toEqual({
      state: 'retrying',
      last_error: expect.stringMatching(reason),
    });
    expect(last_error).not.toContain(SECRET);
  }, 2);

const FAULTS: readonly (readonly [string, (peer: S3Peer) => void, RegExp])[] = [
  ['503 SlowDown', (peer) => peer.setError({ code: 'SlowDown', status: 503 }), /SlowDown \(503\)/],
  ['500', (peer) => peer.setFault({ kind: 'status', status: 500 }), /500/],
  [
    'a redirect',
    (peer) => peer.setFault({ kind: 'status', status: 301, location: 'http://127.0.0.1:1/' }),
    /301/,
  ],
  ['an answer that trickles', (peer) => peer.setFault({ kind: 'trickle' }), /within 500 ms/],
  [
    'a reset within the answer',
    (peer) => peer.setFault({ kind: 'reset' }),
    /ECONNRESET|aborted|Parse/,
  ],
  ['a reset before it', (peer) => peer.setFault({ kind: 'refuse' }), /ECONNRESET|hang up/],
  [
    'a key that is revoked',
    (peer) => peer.setError({ code: 'InvalidAccessKeyId', status: 403 }),
    /unknown or revoked/,
  ],
  [
    'a clock that is off',
    (peer) => peer.setError({ code: 'RequestTimeTooSkewed', status: 403 }),
    /check NTP/,
  ],
];

test.each(FAULTS)(
  '%s: everything is archived once it is over, and no key is told',
  async (_, fail, reason) => {
    await using peer = await startS3Peer();
    fail(peer);
    await using trial = await begin(peer);
    await whenInTrouble(trial.loop, reason);
    peer.setError(null);
    peer.setFault(null);
    await whenDelivered(trial.loop, trial.durable);
    expect(trial.loop.report().dead_letters).toBe(0);
    expect(peer.violations).toEqual([]);
    using client = archiveClient({ ...configOf(peer), timeout_ms: 20_000 });
    expect(
      await restoreArchive({ client, trust: null, target: null, nowMs: Date.now }),
    ).toMatchObject({
      verdict: 'intact',
      records: trial.durable,
    });
  },
);

test('a server that takes the object and drops the lock confirms nothing, and that is said loudly', async () => {
  await using peer = await startS3Peer();
  peer.dropLocks();
  const errors: string[] = [];
  await using trial = await begin(peer, {
    ...silentLog,
    error: (_, message) => void errors.push(message),
  });
  await whenInTrouble(trial.loop, /did not lock it as asked .*no lock.*no archive/);
  expect(trial.loop.report().cursor).toBe(0);
  expect(errors[0]).toMatch(/did not lock it/);
  expect(peer.stored.size).toBe(1);
});

test('records gather for a sink that asks for it: a batch goes when it is full, when it is old, or at the end', async () => {
  await using temp = await makeTempDir();
  const durable = await writeLedger(temp.path, 24);
  let nowMs = Date.now();
  const timers = new Set<() => void>();
  const timing = {
    nowMs: () => nowMs,
    random: () => 0.5,
    after: (_: number, run: () => void) => {
      timers.add(run);
      return () => void timers.delete(run);
    },
  };
  const sink = { ...createScriptedSink(() => DELIVERED), gatherMs: 60_000 };
  const loop = await startTestLoop(temp.path, 22, sink, {
    timing,
    exporter: { batch_records_max: 10 },
  });
  const gathered = () =>
    eventually(() => expect(loop.report()).toMatchObject({ state: 'idle', cursor: 20 }));
  await gathered();
  // Two full ones went at once; what is left is young, and no lag.
  expect(sink.batches.map(({ length }) => length)).toEqual([10, 10]);
  expect(loop.report().oldest_ms).toBeNull();
  loop.notifyDurable(24);
  await gathered();
  expect(sink.batches.length).toBe(2);
  nowMs += 60_000;
  await eventually(() => {
    for (const run of timers) run();
    expect(sink.batches.map(({ length }) => length)).toEqual([10, 10, 4]);
  });
  nowMs -= 60_000;
  loop.notifyDurable(durable);
  await eventually(() => expect(timers.size).toBe(2));
  expect(sink.batches.length).toBe(3);
  loop.flush();
  await whenDelivered(loop, durable);
  expect(sink.batches.at(-1)?.length).toBe(durable - 24);
  await loop.stop();
});
