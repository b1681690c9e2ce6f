/**
 * Delivery over a socket that fails: whatever happens to connections, every record() is answered,
 * numbers go out in order without gaps, and an event keeps its number.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditError, RecordReceipt } from '../../sdk/index.ts';
import { encodeFrame } from '../../schemas/wire-codec.ts';
import { FrameType } from '../../schemas/wire.ts';
import { startAgentPeer, until } from '../support/agent-peer.ts';
import { createTestAudit, draft } from '../support/sdk-fixture.ts';
import { codesOf, expectNumbersInOrder, open, recordMany, start } from '../support/sdk-delivery.ts';

describe('a connection that breaks', () => {
  it('anywhere, at any byte and around any ack, loses, doubles and reorders nothing', async () => {
    const scenario = fc.record({
      events: fc.integer({ min: 1, max: 60 }),
      bursts: fc.integer({ min: 1, max: 4 }),
      cuts: fc.array(fc.option(fc.integer({ min: 0, max: 9000 })), { maxLength: 4 }),
      verdicts: fc.array(fc.constantFrom('ack', 'lose', 'drop'), { maxLength: 6 }),
    });
    const property = fc.asyncProperty(scenario, async ({ events, bursts, cuts, verdicts }) => {
      let step = 0;
      const { peer, audit } = await start({
        dropAtByte: (connection) => cuts[connection] ?? null,
        onBatch: () => (verdicts[step++] ?? 'ack') as 'ack' | 'lose' | 'drop',
      });
      const all: Promise<PromiseSettledResult<RecordReceipt>[]>[] = [];
      for (let burst = 0; burst < bursts; burst++) {
        all.push(recordMany(audit, events));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const results = (await Promise.all(all)).flat();
      expect(codesOf(results)).toEqual(results.map(() => 'ok'));
      expect(peer.appended).toHaveLength(events * bursts);
      expectNumbersInOrder(peer);
      await audit.close();
      await peer.close();
      open.length = 0;
    });
    await fc.assert(property, { seed: 20_260, numRuns: 40 });
  });

  it('while the agent also puts events off still records each event once', async () => {
    const scenario = fc.record({
      events: fc.integer({ min: 2, max: 40 }),
      nacks: fc.array(fc.boolean(), { maxLength: 60 }),
      endsAfterPassing: fc.boolean(),
      verdicts: fc.array(fc.constantFrom('ack', 'drop', 'lose'), { maxLength: 5 }),
    });
    const property = fc.asyncProperty(scenario, async (chosen) => {
      const { events, nacks, verdicts, endsAfterPassing } = chosen;
      let step = 0;
      let asked = 0;
      const { peer, audit } = await start({
        endsAfterPassing,
        refuse: () => (nacks[asked++] ? { kind: 'disk_full', message: 'no space' } : null),
        onBatch: () => (verdicts[step++] ?? 'ack') as 'ack' | 'lose' | 'drop',
      });
      const early = recordMany(audit, events);
      await new Promise((resolve) => setImmediate(resolve));
      const results = [...(await early), ...(await recordMany(audit, events))];
      expect(codesOf(results)).toEqual(results.map(() => 'ok'));
      expect(peer.appended).toHaveLength(events * 2);
      expect(new Set(peer.appended.map(({ text }) => text)).size).toBe(events * 2);
      await audit.close();
      await peer.close();
      open.length = 0;
    });
    await fc.assert(property, { seed: 20_261, numRuns: 20 });
  });

  it('is not noticed by the caller while the agent restarts on the same path', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sealtrail-restart-'));
    const socketPath = join(directory, 'agent.sock');
    const peer = await startAgentPeer({}, socketPath);
    const audit = createTestAudit(socketPath);
    await audit.record(draft());
    await peer.close();
    const pending = audit.record(draft());
    const restarted = await startAgentPeer({}, socketPath);
    open.push(audit, restarted);
    expect((await pending).seq).toBe(0);
    expect(restarted.appended.map(({ seq }) => seq)).toEqual([1]);
    expect(audit.stats()).toMatchObject({ pending: 0, acked: 2, failures: 0 });
    expect(audit.stats().reconnects).toBeGreaterThan(0);
    rmSync(directory, { recursive: true, force: true });
  });

  it('shows a resent event as duplicate, with the receipt it had', async () => {
    const { audit } = await start({
      onBatch: ({ connection }) => (connection === 0 ? 'lose' : 'ack'),
    });
    expect(await audit.record(draft())).toMatchObject({ duplicate: true });
  });
});

describe('an agent that refuses', () => {
  it('an event rejects that one with the kind as code, and tells the next connection', async () => {
    const { peer, audit } = await start({
      refuse: ({ text }) =>
        text.includes('"n":1}') ? { kind: 'tenant_not_allowed', message: 'not here' } : null,
      onBatch: ({ connection, index }) => (connection === 0 && index === 1 ? 'drop' : 'ack'),
    });
    const first = await recordMany(audit, 2);
    expect(codesOf(first)).toEqual(['ok', 'tenant_not_allowed']);
    await audit.record(draft());
    expect(peer.hellos.map(({ refused }) => refused)).toEqual([undefined, [1]]);
    expect(peer.appended.map(({ seq }) => seq)).toEqual([0, 2]);
  });

  it('for now (disk full) is tried again until it takes the event, once', async () => {
    let nacks = 3;
    const { peer, audit } = await start({
      refuse: () => (nacks-- > 0 ? { kind: 'disk_full', message: 'no space' } : null),
    });
    await audit.record(draft());
    expect(peer.appended.map(({ seq }) => seq)).toEqual([0]);
    expect(peer.arrivals.map(({ seq }) => seq)).toEqual([0, 0, 0, 0]);
  });

  it('for now while later events were taken never hides the put-off one as a duplicate', async () => {
    let nacked = false;
    const { peer, audit } = await start({
      refuse({ text }) {
        if (nacked || !text.includes('"n":0}')) return null;
        nacked = true;
        return { kind: 'disk_full', message: 'no space' };
      },
    });
    const results = await recordMany(audit, 3);
    expect(codesOf(results)).toEqual(['ok', 'ok', 'ok']);
    expect(results.every((r) => r.status === 'fulfilled' && !r.value.duplicate)).toBe(true);
    expect(peer.appended.map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(new Set(peer.appended.map(({ text }) => text)).size).toBe(3);
  });

  it('for now a batch, and what waits behind it, gets all of it again in its order', async () => {
    let full = true;
    const { peer, audit } = await start({
      refuse: () => (full ? { kind: 'disk_full', message: 'no space' } : null),
      endsAfterPassing: true,
      onBatch({ connection }) {
        full = connection < 3;
        return 'ack';
      },
    });
    const bursts: Promise<PromiseSettledResult<RecordReceipt>[]>[] = [];
    for (let burst = 0; burst < 5; burst++) {
      bursts.push(recordMany(audit, 300));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(codesOf((await Promise.all(bursts)).flat())).toEqual(Array(1500).fill('ok'));
    expectNumbersInOrder(peer);
    expect(peer.appended).toHaveLength(1500);
    expect(peer.hellos.every(({ refused }) => refused === undefined)).toBe(true);
  });

  for (const endsAfterPassing of [true, false]) {
    it(`for now beyond timeoutMs rejects with the reason, and never sends the event again (${endsAfterPassing})`, async () => {
      let full = true;
      const { peer, audit } = await start(
        {
          refuse: () => (full ? { kind: 'disk_full', message: 'no space' } : null),
          endsAfterPassing,
        },
        // Well above the longest backoff, so that the second event finds the agent again.
        { timeoutMs: 4_000 },
      );
      // The tries end when the caller is told: which of the two answers depends on the moment.
      const [result] = await recordMany(audit, 1);
      full = false;
      await audit.record(draft({ metadata: { later: true } }));
      const { code, recorded } = (result as PromiseRejectedResult).reason as AuditError;
      if (recorded === 'no') {
        expect(code).toBe('disk_full');
        expect(peer.appended.map(({ text }) => text.includes('"later":true'))).toEqual([true]);
      } else {
        expect(code).toBe('timeout');
      }
    });
  }

  it('for now beyond timeoutMs is the reason that events behind hear as well', async () => {
    let isSilent = false;
    const { audit } = await start(
      {
        refuse: () => ({ kind: 'disk_full', message: 'no space' }),
        endsAfterPassing: true,
        // In the end no HELLO, on a connection that stays: nothing is under way when their time is over.
        hello: () => (isSilent ? new Uint8Array(0) : null),
      },
      // Well above the first backoffs, so that the second try comes before the first event ends.
      { timeoutMs: 4_000 },
    );
    const first = recordMany(audit, 1);
    await until(() => audit.stats().reconnects > 1, 'the second try');
    const behind = recordMany(audit, 2);
    isSilent = true;
    expect(codesOf(await first)).toEqual(['disk_full']);
    expect(codesOf(await behind)).toEqual(['disk_full', 'disk_full']);
  });

  it('every time it sees one batch gives that batch up, and serves those behind it', async () => {
    const error = encodeFrame(FrameType.error, '{"kind":"protocol_error","message":"no"}');
    const { audit } = await start({
      garbage: ({ lines }) => (lines[0]?.includes('"bad":1') ? error : null),
    });
    const bad = audit.record(draft({ metadata: { bad: 1 } })).catch((thrown: unknown) => thrown);
    expect(await bad).toMatchObject({ code: 'protocol_error', recorded: 'unknown' });
    await audit.record(draft());
  });
});

describe('an agent that answers nonsense', () => {
  const nonsense: readonly (readonly [string, Uint8Array])[] = [
    ['random bytes', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a giant frame', Buffer.from([0xff, 0xff, 0xff, 0xff, 3])],
    ['no JSON', encodeFrame(FrameType.ack, '{')],
    ['an ACK of another batch', encodeFrame(FrameType.ack, ackOf({ batch: 99 }))],
    ['too few receipts', encodeFrame(FrameType.ack, ackOf({ receipts: [] }))],
    ['a receipt without hash', encodeFrame(FrameType.ack, ackOf({ receipts: [[0, 0, 'x']] }))],
    ['an unknown stream', encodeFrame(FrameType.ack, ackOf({ streams: [] }))],
    ['a silent null', encodeFrame(FrameType.ack, ackOf({ receipts: [null] }))],
    ['a batch', encodeFrame(FrameType.batch, '{}')],
  ];
  for (const [what, bytes] of nonsense) {
    it(`(${what}) settles nothing, costs a reconnect, and is counted`, async () => {
      const { peer, audit } = await start({
        garbage: ({ connection }) => (connection === 0 ? bytes : null),
      });
      const receipt = await audit.record(draft());
      expect(receipt).toMatchObject({ duplicate: true, stream: 'peer' });
      expect(peer.appended).toHaveLength(1);
      expect(audit.stats()).toMatchObject({ reconnects: 1, protocolErrors: 1 });
    });
  }

  it('in place of HELLO is not sent any event', async () => {
    const { peer, audit } = await start({
      hello: (connection) =>
        connection < 2 ? encodeFrame(FrameType.hello, '{"version":7}') : null,
    });
    await audit.record(draft());
    expect(peer.arrivals.map(({ connection }) => connection)).toEqual([2]);
    expect(audit.stats().protocolErrors).toBe(2);
  });
});

function ackOf(fields: object): string {
  const whole = { batch: 1, streams: ['s'], receipts: [[0, 0, 'a'.repeat(64)]], rejected: [] };
  return JSON.stringify({ ...whole, ...fields });
}
