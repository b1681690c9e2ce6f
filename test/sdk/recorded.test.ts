/** What a failed record() says of its event: `no` only where it cannot be in the ledger. */
import { afterEach, expect, it } from 'vitest';
import { encodeFrame } from '../../schemas/wire-codec.ts';
import { FrameType } from '../../schemas/wire.ts';
import type { RefusalKind } from '../../schemas/refusal.ts';
import type { AuditError } from '../../sdk/index.ts';
import { startAgentPeer, type PeerBatch, type PeerScript } from '../support/agent-peer.ts';
import { eventually } from '../support/eventually.ts';
import { createTestAudit, draft } from '../support/sdk-fixture.ts';

/** Long enough to connect twice on a busy machine; where it is waited for, that is done side by side. */
const PATIENCE_MS = 5_000;
/** No HELLO, on a connection that stays: nothing is under way when the patience ends. */
const SILENCE = new Uint8Array(0);
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});

/** Records one event against a peer and returns what became of it. */
async function recordOne(script: PeerScript, timeoutMs = PATIENCE_MS): Promise<unknown> {
  const peer = await startAgentPeer(script);
  const audit = createTestAudit(peer.socketPath, { timeoutMs });
  const outcome = await audit.record(draft()).catch((thrown: unknown) => thrown);
  await audit.close();
  await peer.close();
  return outcome;
}

/** The ACK of an agent that takes nothing, not even what it has already, and its goodbye. */
function refuseAll({ batch, lines }: PeerBatch, kind: RefusalKind): Uint8Array {
  const rejected = lines.map((_, index) => ({ index, kind, message: 'not now' }));
  const ack = { batch, streams: [], receipts: lines.map(() => null), rejected };
  const goodbye = encodeFrame(FrameType.error, JSON.stringify({ kind, message: 'not now' }));
  return Buffer.concat([encodeFrame(FrameType.ack, JSON.stringify(ack)), goodbye]);
}

it.concurrent('an event that was put off and never recorded: no', async () => {
  const outcome = await recordOne({
    refuse: () => ({ kind: 'disk_full', message: 'no space' }),
    endsAfterPassing: true,
    hello: (connection) => (connection > 0 ? SILENCE : null),
  });
  expect(outcome).toMatchObject({ code: 'disk_full', recorded: 'no' });
});

it.concurrent.each(['disk_full', 'shutting_down', 'schema_invalid'] as const)(
  'an event whose ack was lost, refused with %s when it was sent again: unknown, for it is recorded',
  async (kind) => {
    const outcome = await recordOne({
      onBatch: ({ connection }) => (connection === 0 ? 'lose' : 'ack'),
      garbage: (batch) => refuseAll(batch, kind),
      hello: (connection) => (connection > 1 ? SILENCE : null),
    });
    expect(outcome).toMatchObject({ code: kind, recorded: 'unknown' });
  },
);

it.concurrent(
  'an event that the agent could not write for good: unknown, for its disk may have kept it',
  async () => {
    const outcome = await recordOne({ garbage: (batch) => refuseAll(batch, 'storage_failed') });
    expect(outcome).toMatchObject({ code: 'storage_failed', recorded: 'unknown' });
  },
);

it.concurrent(
  'an event that was sent outlives an agent that lets nobody in for a while',
  async () => {
    const full = encodeFrame(
      FrameType.error,
      '{"kind":"protocol_error","message":"1024 connections are open"}',
    );
    const outcome = await recordOne(
      {
        onBatch: ({ connection }) => (connection === 0 ? 'drop' : 'ack'),
        hello: (connection) => (connection > 0 && connection < 7 ? full : null),
      },
      60_000,
    );
    expect(outcome).toMatchObject({ stream: 'peer', seq: 0 });
  },
);

it('a number that was given up is told before a later one is sent, so that it is no gap', async () => {
  let full = false;
  const peer = await startAgentPeer({
    refuse: () => (full ? { kind: 'disk_full', message: 'no space' } : null),
  });
  const audit = createTestAudit(peer.socketPath, { timeoutMs: 500 });
  open.push(audit, peer);
  const record = (): Promise<unknown> => audit.record(draft());
  // Connected, an event is sent at once, and has a number.
  await eventually(record);
  const last = peer.appended.at(-1)?.seq ?? 0;
  full = true;
  // One that is under way when its time is over may be recorded: that is another case.
  const giveUp = (): Promise<unknown> => record().catch((error: AuditError) => error.recorded);
  await eventually(async () => expect(await giveUp()).toBe('no'));
  full = false;
  await eventually(record);
  const next = peer.appended.find(({ seq }) => seq > last)?.seq ?? 0;
  expect(next).toBeGreaterThan(last + 1);
  // A HELLO is the only place to say it.
  const told = peer.hellos.findLast(({ refused }) => refused !== undefined)?.refused;
  expect(told).toEqual(Array.from({ length: next - last - 1 }, (_, at) => last + 1 + at));
});
