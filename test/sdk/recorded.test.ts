/** What a failed record() says of its event: `no` only where it cannot be in the ledger. */
import { afterEach, expect, it } from 'vitest';
import { encodeFrame } from '../../schemas/wire-codec.ts';
import { FrameType } from '../../schemas/wire.ts';
import type { RefusalKind } from '../../schemas/refusal.ts';
import { startAgentPeer, type PeerBatch, type PeerScript } from '../support/agent-peer.ts';
import { createTestAudit, draft } from '../support/sdk-fixture.ts';

/** Long enough to connect twice on a busy machine; where it is waited for, that is done side by side. */
const PATIENCE_MS = 5_000;
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

/** The ACK of an agent that takes nothing, not even what it has already. */
function refuseAll({ batch, lines }: PeerBatch, kind: RefusalKind): Uint8Array {
  const rejected = lines.map((_, index) => ({ index, kind, message: 'not now' }));
  const ack = { batch, streams: [], receipts: lines.map(() => null), rejected };
  return encodeFrame(FrameType.ack, JSON.stringify(ack));
}

it.concurrent('an event that was put off and never recorded: no', async () => {
  const outcome = await recordOne({
    refuse: () => ({ kind: 'disk_full', message: 'no space' }),
    endsAfterPassing: true,
  });
  expect(outcome).toMatchObject({ code: 'disk_full', recorded: 'no' });
});

it.concurrent.each(['disk_full', 'shutting_down', 'schema_invalid'] as const)(
  'an event whose ack was lost, refused with %s when it was sent again: unknown, for it is recorded',
  async (kind) => {
    const outcome = await recordOne({
      onBatch: ({ connection }) => (connection === 0 ? 'lose' : 'ack'),
      garbage: (batch) => refuseAll(batch, kind),
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
  let full = true;
  const peer = await startAgentPeer({
    refuse: () => (full ? { kind: 'disk_full', message: 'no space' } : null),
  });
  const audit = createTestAudit(peer.socketPath, { timeoutMs: 3_000 });
  open.push(audit, peer);
  await expect(audit.record(draft())).rejects.toMatchObject({ recorded: 'no' });
  full = false;
  await audit.record(draft());
  expect(peer.appended.map(({ seq }) => seq)).toEqual([1]);
  // A HELLO is the only place to say it.
  expect(peer.hellos.map(({ refused }) => refused)).toEqual([undefined, [0]]);
});
