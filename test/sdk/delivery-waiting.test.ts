/** How long record() waits, for what, and how much may wait. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type RecordReceipt } from '../../sdk/index.ts';
import { startAgentPeer, until } from '../support/agent-peer.ts';
import { eventually } from '../support/eventually.ts';
import { createTestAudit, draft } from '../support/sdk-fixture.ts';
import { codesOf, expectNumbersInOrder, open, recordMany, start } from '../support/sdk-delivery.ts';

describe('waiting', () => {
  it('ends after timeoutMs when there is no agent, with what failed and where', async () => {
    const failures: string[] = [];
    const audit = createTestAudit('/nonexistent/sealtrail.sock', {
      timeoutMs: 120,
      onAuditFailure: ({ error, action }) => failures.push(`${action} ${error.code}`),
    });
    const results = await recordMany(audit, 3);
    expect(codesOf(results)).toEqual(Array(3).fill('agent_unavailable'));
    expect(results[0]).toMatchObject({
      reason: { recorded: 'no', hint: expect.stringContaining('/nonexistent/sealtrail.sock') },
    });
    expect(failures).toEqual(Array(3).fill('customer.export agent_unavailable'));
    expect(audit.stats().pending).toBe(0);
    await audit.close();
  });

  it('is over as soon as an agent that was not there comes up, and all arrives in order', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'sealtrail-late-'));
    const socketPath = join(directory, 'agent.sock');
    const audit = createTestAudit(socketPath);
    const results = recordMany(audit, 600);
    await until(() => audit.stats().reconnects > 1, 'some tries in vain');
    const peer = await startAgentPeer({}, socketPath);
    open.push(audit, peer);
    expect(codesOf(await results)).toEqual(Array(600).fill('ok'));
    expectNumbersInOrder(peer);
    expect(audit.stats()).toMatchObject({ pending: 0, failures: 0, lastError: null });
    rmSync(directory, { recursive: true, force: true });
  });

  it('ends after timeoutMs when the agent is silent; what was sent is still delivered', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let isSilent = false;
    const { peer, audit } = await start(
      { onBatch: () => (isSilent ? gate.then(() => 'ack' as const) : 'ack') },
      { timeoutMs: 200 },
    );
    // Connected, the next event is sent at once.
    await eventually(() => audit.record(draft()));
    const before = peer.appended.length;
    isSilent = true;
    const [result] = await recordMany(audit, 1);
    expect(result).toMatchObject({ reason: { code: 'timeout', recorded: 'unknown' } });
    release();
    await until(() => audit.stats().pending === 0, 'the late ack');
    expect(peer.appended).toHaveLength(before + 1);
    expectNumbersInOrder(peer);
  });

  it('is bounded: at queueEventsMax record() refuses, and nothing queued is dropped', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { peer, audit } = await start(
      { onBatch: () => gate.then(() => 'ack' as const) },
      { queueEventsMax: 5 },
    );
    const results = recordMany(audit, 8);
    await until(() => peer.connections() === 1, 'the connection');
    release();
    expect(codesOf(await results)).toEqual([
      ...Array<string>(5).fill('ok'),
      ...Array<string>(3).fill('queue_full'),
    ]);
    expect(peer.appended).toHaveLength(5);
  });

  it('is bounded in bytes as well, and takes events again once there is room', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { audit } = await start(
      { onBatch: () => gate.then(() => 'ack' as const) },
      { queueBytesMax: 100_000 },
    );
    const big = (): Promise<RecordReceipt> =>
      audit.record(draft({ metadata: { text: 'word '.repeat(8_000) } }));
    const results = Promise.allSettled([big(), big(), big(), big()]);
    release();
    expect(codesOf(await results)).toEqual(['ok', 'ok', 'ok', 'queue_full']);
    await big();
  });

  it('flush() resolves after the answers, close() refuses what comes later', async () => {
    const { peer, audit } = await start();
    const results = recordMany(audit, 100);
    await audit.flush();
    expect(peer.appended).toHaveLength(100);
    const closing = audit.close();
    const [late] = await recordMany(audit, 1);
    expect(late).toMatchObject({ reason: { code: 'closed' } });
    await closing;
    expect(codesOf(await results)).toEqual(Array(100).fill('ok'));
  });

  it('is short for many: events recorded together travel in few batches', async () => {
    const batches: number[] = [];
    const { audit } = await start({
      onBatch({ lines }) {
        batches.push(lines.length);
        return 'ack';
      },
    });
    await audit.record(draft());
    await recordMany(audit, 3000);
    expect(batches.slice(1).reduce((a, b) => a + b, 0)).toBe(3000);
    expect(batches.length).toBeLessThan(20);
  });
});
