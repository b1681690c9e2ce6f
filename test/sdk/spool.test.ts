/** The local spool: kept on disk while the agent is away, bounded, and drained when it is back. */
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createAudit } from '../../sdk/index.ts';
import { mayMount, mountTmpfs, testWhere } from '../support/host.ts';
import { draft, TEST_KEY, TEST_VOCABULARY } from '../support/sdk-fixture.ts';
import {
  channelOf,
  idsOf,
  LOGIN,
  openAudit,
  spoolFiles,
  startPeer,
  useSpooling,
  whenever,
} from '../support/spooling.ts';

const testMount = testWhere(mayMount, 'ENOSPC of the spool on a tmpfs: only root may mount one');
const spooling = useSpooling();

describe('while the agent is away', () => {
  it('an event of a fail-open action is fsynced in the spool, told as such, and drained in order', async () => {
    const audit = openAudit(spooling);
    const receipts = await Promise.all(Array.from({ length: 200 }, () => audit.record(LOGIN)));
    expect(receipts.every(({ spooled }) => spooled)).toBe(true);
    expect(receipts[0]).toMatchObject({ spooled: true, error: { code: 'agent_unavailable' } });
    expect(receipts[0]).not.toHaveProperty('seq');
    expect(spooling.failures).toHaveLength(200);
    expect(spooling.failures[0]).toMatchObject({ spooled: true, fail_policy: 'fail_open' });
    expect(audit.stats().spool).toMatchObject({ spooled: 200, drained: 0 });
    expect(spoolFiles(spooling.spoolDir).length).toBeGreaterThan(0);

    const peer = await startPeer(spooling);
    await whenever(() => audit.stats().spool?.drained).toBe(200);
    const ids = receipts.map(({ event_id }) => event_id);
    expect(idsOf(peer)).toEqual(ids);
    await whenever(() => spoolFiles(spooling.spoolDir)).toEqual([]);
    await whenever(() => audit.stats().spool?.bytes).toBe(0);
  });

  it('is recorded in the audit_failure channel, by id and code alone', async () => {
    const audit = openAudit(spooling);
    const { event_id } = await audit.record({ ...LOGIN, metadata: { note: 'zebra' } });
    await expect(audit.record(draft())).rejects.toMatchObject({ code: 'agent_unavailable' });
    await audit.close();
    expect(channelOf(spooling.spoolDir)).toMatchObject([
      {
        ...{ kind: 'audit_failure', service: 'test', action: 'user.login', event_id },
        ...{ spooled: true, fail_policy: 'fail_open', code: 'agent_unavailable', recorded: 'no' },
      },
      { action: 'customer.export', spooled: false, fail_policy: 'fail_closed' },
    ]);
    expect(JSON.stringify(channelOf(spooling.spoolDir))).not.toMatch(/zebra|Ada|u-1/);
  });

  it('an event of a fail-closed action is refused, and never spooled', async () => {
    const audit = openAudit(spooling);
    await expect(audit.record(draft())).rejects.toMatchObject({ code: 'agent_unavailable' });
    expect(audit.stats()).toMatchObject({ failures: 1, spool: { spooled: 0, bytes: 0 } });
  });

  it('what was sent and not acked is sent from the spool alone, so it is in the ledger once', async () => {
    let isMute = true;
    const peer = await startPeer(spooling, { onBatch: () => (isMute ? 'drop' : 'ack') });
    const audit = openAudit(spooling, { timeoutMs: 30_000 });
    const receipts = await Promise.all(Array.from({ length: 20 }, () => audit.record(LOGIN)));
    expect(receipts.every(({ spooled }) => spooled)).toBe(true);
    isMute = false;
    await whenever(() => audit.stats().spool?.drained).toBe(20);
    const kept = new Set(receipts.map(({ event_id }) => event_id));
    expect(idsOf(peer)).toEqual([...kept]);
    // One that is not spooled, however slow the agent: whatever was left on its connection has gone before it.
    await audit.record(draft());
    expect(idsOf(peer).filter((id) => kept.has(id))).toEqual([...kept]);
  });

  it('an event that the agent refuses for good is not spooled', async () => {
    await startPeer(spooling, { refuse: () => ({ kind: 'unknown_tenant', message: 'unknown' }) });
    const audit = openAudit(spooling, {
      timeoutMs: 30_000,
      spool: { dir: spooling.spoolDir, afterMs: 30_000 },
    });
    await expect(audit.record(LOGIN)).rejects.toMatchObject({ code: 'unknown_tenant' });
    expect(audit.stats().spool).toMatchObject({ spooled: 0 });
  });
});

it('what was kept before the lock of its folder was lost is sent all the same, and its file is let go', async () => {
  const audit = openAudit(spooling);
  // The first is on its way to an agent that is away; so the second waits in a file that is written to.
  const ids = [(await audit.record(LOGIN)).event_id, (await audit.record(LOGIN)).event_id];
  const folders = (): string[] =>
    readdirSync(spooling.spoolDir).filter((name) => /^[0-9A-Z]{26}$/.test(name));
  const [lost = ''] = folders();
  rmSync(join(spooling.spoolDir, `${lost}.lock`), { recursive: true });
  // That is noticed when the lock is to be refreshed.
  await whenever(async () => {
    ids.push((await audit.record(LOGIN)).event_id);
    return folders().length;
  }).toBe(2);
  const open = readdirSync('/proc/self/fd').filter((fd) => pathOf(fd).includes(lost));
  expect(open).toEqual([]);
  const peer = await startPeer(spooling);
  await whenever(() => new Set(idsOf(peer))).toEqual(new Set(ids));
});

/** Of a file that is open in this process; empty where it is closed meanwhile. */
function pathOf(fd: string): string {
  const path = `/proc/self/fd/${fd}`;
  return existsSync(path) ? readlinkSync(path) : '';
}

describe('the bound', () => {
  it('a full spool opens the breaker: every action is refused until the agent is back', async () => {
    const audit = openAudit(spooling, {
      timeoutMs: 30_000,
      breaker: { forMs: 60_000, coolDownMs: 60_000 },
      spool: { dir: spooling.spoolDir, afterMs: 30, bytesMax: 4000 },
    });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, () => audit.record(LOGIN)),
    );
    const kept = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(kept).toBeGreaterThan(2);
    expect(kept).toBeLessThan(30);
    const bytes = spoolFiles(spooling.spoolDir).reduce(
      (sum, path) => sum + readFileSync(path).length,
      0,
    );
    expect(bytes).toBeLessThanOrEqual(4000 + 200);
    expect(audit.stats().breaker).toBe('open');
    await expect(audit.record(LOGIN)).rejects.toMatchObject({ code: 'circuit_open' });
    await expect(audit.record(draft())).rejects.toMatchObject({ code: 'circuit_open' });

    const peer = await startPeer(spooling);
    await whenever(() => audit.stats().breaker).toBe('closed');
    expect((await audit.record(draft())).spooled).toBeUndefined();
    await whenever(() => audit.stats().spool?.drained).toBe(kept);
    expect(new Set(idsOf(peer)).size).toBe(kept + 1);
    const told = () => channelOf(spooling.spoolDir).filter(({ kind }) => kind === 'breaker');
    await whenever(told).toMatchObject([
      { state: 'open', reason: 'spool_full', refused: 0 },
      { state: 'closed', reason: 'spool_full', refused: 2 },
    ]);
  });

  testMount(
    'a full disk: nothing is said to be kept that is not, and the breaker opens',
    async () => {
      await using disk = await mountTmpfs(1);
      writeFileSync(join(disk.path, 'ballast'), Buffer.alloc(960 * 1024));
      const audit = openAudit(spooling, { spool: { dir: disk.path, afterMs: 30 } });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 400 }, (_, n) =>
          audit.record({ ...LOGIN, metadata: { n, text: 'x'.repeat(1000) } }),
        ),
      );
      // All of one group or none of it: with so little room the first group does not fit.
      const refused = outcomes.filter(({ status }) => status === 'rejected');
      expect(refused.length).toBeGreaterThan(0);
      expect(refused[0]).toMatchObject({ reason: { code: 'agent_unavailable' } });
      expect(String((refused[0] as PromiseRejectedResult).reason)).toContain('ENOSPC');
      expect(audit.stats().breaker).not.toBe('closed');
      rmSync(join(disk.path, 'ballast'));
      const peer = await startPeer(spooling);
      const again = async (): Promise<string> => (await audit.record(LOGIN)).event_id;
      await whenever(() => again().catch((error: { code: string }) => error.code)).toHaveLength(26);
      const kept = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      // Those of the tries are among them that were not acked in time.
      await whenever(() => audit.stats().spool).toMatchObject({ bytes: 0 });
      expect(idsOf(peer)).toEqual(expect.arrayContaining(kept.map(({ event_id }) => event_id)));
      await audit.close();
    },
  );
});

it('repeated failures open the breaker, and the first ack closes it', async () => {
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath: spooling.socketPath,
    timeoutMs: 400,
    breaker: { failures: 3, forMs: 0, coolDownMs: 600_000 },
  });
  spooling.closing.push(() => audit.close());
  let aheadMs = 0;
  const nowMs = performance.now.bind(performance);
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs() + aheadMs);
  onTestFinished(() => clock.mockRestore());
  for (let n = 0; n < 3; n++) await expect(audit.record(draft())).rejects.toThrow('no ack');
  expect(audit.stats().breaker).toBe('open');
  await expect(audit.record(LOGIN)).rejects.toMatchObject({ code: 'circuit_open' });
  await expect(audit.audited(LOGIN, () => 'in')).rejects.toMatchObject({
    code: 'circuit_open',
    performed: 'no',
  });
  await startPeer(spooling);
  await whenever(() => {
    // Each try that fails is followed by another cool-down.
    aheadMs += 600_000;
    return audit.record(LOGIN).then(
      () => 'acked',
      () => 'refused',
    );
  }).toBe('acked');
  expect(audit.stats().breaker).toBe('closed');
});

it('half open, an action that would fail open does not begin without an agent', async () => {
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath: spooling.socketPath,
    timeoutMs: 50,
    breaker: { failures: 1, forMs: 0, coolDownMs: 1 },
    spool: { dir: spooling.spoolDir, afterMs: 10 },
  });
  spooling.closing.push(() => audit.close());
  expect((await audit.record(LOGIN)).spooled).toBe(true);
  await whenever(() => audit.stats().breaker).toBe('half_open');
  let begun = 0;
  const { outcome: _, ...login } = LOGIN;
  await expect(audit.audited(login, () => (begun += 1))).rejects.toMatchObject({
    code: 'agent_unavailable',
    performed: 'no',
  });
  expect(begun).toBe(0);
});

it('a folder that cannot be written is found by createAudit', () => {
  writeFileSync(join(spooling.dir, 'file'), '');
  expect(() => openAudit(spooling, { spool: { dir: join(spooling.dir, 'file') } })).toThrow(
    /the spool cannot be used/,
  );
});
