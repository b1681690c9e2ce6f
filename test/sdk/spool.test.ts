/** The local spool: kept on disk while the agent is away, bounded, drained in order, each event once. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalize } from '../../schemas/canonical.ts';
import { encodeSpoolHeader, encodeSpoolLine, readSpool } from '../../sdk/spool-format.ts';
import {
  createAudit,
  type Audit,
  type AuditFailure,
  type SpooledReceipt,
} from '../../sdk/index.ts';
import type { RecordReceipt, SpoolOptions } from '../../sdk/index.ts';
import { startAgentPeer, type AgentPeer, type PeerScript } from '../support/agent-peer.ts';
import { makeEvent } from '../support/events.ts';
import { mayMount, mountTmpfs, testWhere } from '../support/host.ts';
import { draft, TEST_KEY, TEST_VOCABULARY } from '../support/sdk-fixture.ts';

type SpoolingAudit = Audit<RecordReceipt | SpooledReceipt>;
const LOGIN = draft({ action: 'user.login' });
const testMount = testWhere(mayMount, 'ENOSPC of the spool on a tmpfs: only root may mount one');

/** Waits for a condition, for as long as a busy machine may need. */
const eventually = <T>(look: () => T): Eventually<T> => expect.poll(look);
type Eventually<T> = ReturnType<typeof expect.poll<T>>;

let dir = '';
let spoolDir = '';
let socketPath = '';
let failures: AuditFailure[] = [];
let closing: (() => Promise<void>)[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sealtrail-spool-'));
  spoolDir = join(dir, 'spool');
  socketPath = join(dir, 'agent.sock');
  failures = [];
  closing = [];
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  rmSync(dir, { recursive: true, force: true });
});

function open(spool: SpoolOptions = {}, coolDownMs = 50): SpoolingAudit {
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath,
    timeoutMs: 2000,
    breaker: { forMs: 60_000, coolDownMs },
    spool: { dir: spoolDir, afterMs: 30, ...spool },
    onAuditFailure: (failure) => failures.push(failure),
  });
  closing.push(() => audit.close());
  return audit;
}

async function startPeer(script: PeerScript = {}): Promise<AgentPeer> {
  const peer = await startAgentPeer(script, socketPath);
  closing.push(() => peer.close());
  return peer;
}

const idsOf = (peer: AgentPeer): string[] =>
  peer.appended.map(({ text }) => (JSON.parse(text) as { event_id: string }).event_id);

/** Every spool file below a folder, and what the audit_failure channel says. */
function spoolFiles(folder = spoolDir): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\/[0-9A-Z]{26}\.ndjson$/.test(`/${name}`))
    .map((name) => join(folder, name))
    .sort();
}
function channel(folder = spoolDir): Record<string, unknown>[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith('audit_failure-'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** A spool file as a process that is gone left it. */
function orphan(events: number): { path: string; bytes: Buffer; ids: string[] } {
  const folder = join(spoolDir, ulid());
  mkdirSync(folder, { recursive: true });
  const ids = Array.from({ length: events }, () => ulid());
  const lines = ids.map((event_id) =>
    encodeSpoolLine(Buffer.from(canonicalize(makeEvent({ event_id })))),
  );
  const bytes = Buffer.concat([encodeSpoolHeader(ulid()), ...lines]);
  const path = join(folder, `${ulid()}.ndjson`);
  writeFileSync(path, bytes);
  return { path, bytes, ids };
}

describe('while the agent is away', () => {
  it('an event of a fail-open action is fsynced in the spool, told as such, and drained in order', async () => {
    const audit = open();
    const receipts = await Promise.all(Array.from({ length: 200 }, () => audit.record(LOGIN)));
    expect(receipts.every(({ spooled }) => spooled)).toBe(true);
    expect(receipts[0]).toMatchObject({ spooled: true, error: { code: 'agent_unavailable' } });
    expect(receipts[0]).not.toHaveProperty('seq');
    expect(failures).toHaveLength(200);
    expect(failures[0]).toMatchObject({ spooled: true, fail_policy: 'fail_open' });
    expect(audit.stats().spool).toMatchObject({ spooled: 200, drained: 0 });
    expect(spoolFiles().length).toBeGreaterThan(0);

    const peer = await startPeer();
    await eventually(() => audit.stats().spool?.drained).toBe(200);
    const ids = receipts.map(({ event_id }) => event_id);
    expect(idsOf(peer)).toEqual(ids);
    await eventually(() => spoolFiles()).toEqual([]);
    await eventually(() => audit.stats().spool?.bytes).toBe(0);
  });

  it('is recorded in the audit_failure channel, by id and code alone', async () => {
    const audit = open();
    const { event_id } = await audit.record({ ...LOGIN, metadata: { note: 'zebra' } });
    await expect(audit.record(draft())).rejects.toMatchObject({ code: 'agent_unavailable' });
    await audit.close();
    expect(channel()).toMatchObject([
      {
        ...{ kind: 'audit_failure', service: 'test', action: 'user.login', event_id },
        ...{ spooled: true, fail_policy: 'fail_open', code: 'agent_unavailable', recorded: 'no' },
      },
      { action: 'customer.export', spooled: false, fail_policy: 'fail_closed' },
    ]);
    expect(JSON.stringify(channel())).not.toMatch(/zebra|Ada|u-1/);
  });

  it('an event of a fail-closed action is refused, and never spooled', async () => {
    const audit = open();
    await expect(audit.record(draft())).rejects.toMatchObject({ code: 'agent_unavailable' });
    expect(audit.stats()).toMatchObject({ failures: 1, spool: { spooled: 0, bytes: 0 } });
  });

  it('what was sent and not acked is sent from the spool alone, so it is in the ledger once', async () => {
    let isMute = true;
    const peer = await startPeer({ onBatch: () => (isMute ? 'drop' : 'ack') });
    const audit = open();
    const receipts = await Promise.all(Array.from({ length: 20 }, () => audit.record(LOGIN)));
    expect(receipts.every(({ spooled }) => spooled)).toBe(true);
    isMute = false;
    await eventually(() => audit.stats().spool?.drained).toBe(20);
    const later = await audit.record(LOGIN);
    expect(later.spooled).toBeUndefined();
    expect(idsOf(peer)).toEqual([...receipts, later].map(({ event_id }) => event_id));
  });

  it('an event that the agent refuses for good is not spooled', async () => {
    await startPeer({ refuse: () => ({ kind: 'unknown_tenant', message: 'unknown' }) });
    const audit = open();
    await expect(audit.record(LOGIN)).rejects.toMatchObject({ code: 'unknown_tenant' });
    expect(audit.stats().spool).toMatchObject({ spooled: 0 });
  });
});

describe('the bound', () => {
  it('a full spool opens the breaker: every action is refused until the agent is back', async () => {
    const audit = open({ bytesMax: 4000 }, 60_000);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, () => audit.record(LOGIN)),
    );
    const kept = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(kept).toBeGreaterThan(2);
    expect(kept).toBeLessThan(30);
    const bytes = spoolFiles().reduce((sum, path) => sum + readFileSync(path).length, 0);
    expect(bytes).toBeLessThanOrEqual(4000 + 200);
    expect(audit.stats().breaker).toBe('open');
    await expect(audit.record(LOGIN)).rejects.toMatchObject({ code: 'circuit_open' });
    await expect(audit.record(draft())).rejects.toMatchObject({ code: 'circuit_open' });

    const peer = await startPeer();
    await eventually(() => audit.stats().breaker).toBe('closed');
    expect((await audit.record(draft())).spooled).toBeUndefined();
    await eventually(() => audit.stats().spool?.drained).toBe(kept);
    expect(new Set(idsOf(peer)).size).toBe(kept + 1);
    expect(channel().filter(({ kind }) => kind === 'breaker')).toMatchObject([
      { state: 'open', reason: 'spool_full', refused: 0 },
      { state: 'closed', reason: 'spool_full', refused: 2 },
    ]);
  });

  testMount(
    'a full disk: nothing is said to be kept that is not, and the breaker opens',
    async () => {
      await using disk = await mountTmpfs(1);
      writeFileSync(join(disk.path, 'ballast'), Buffer.alloc(960 * 1024));
      const audit = open({ dir: disk.path });
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
      const peer = await startPeer();
      const again = async (): Promise<string> => (await audit.record(LOGIN)).event_id;
      await eventually(() => again().catch((error: { code: string }) => error.code)).toHaveLength(
        26,
      );
      const kept = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      await eventually(() => audit.stats().spool?.drained).toBe(kept.length);
      expect(idsOf(peer)).toEqual(expect.arrayContaining(kept.map(({ event_id }) => event_id)));
      await audit.close();
    },
  );
});

describe('a spool that another process left behind', () => {
  it('is taken over, drained in order under its own numbers, and removed', async () => {
    const left = orphan(50);
    const peer = await startPeer();
    const audit = open();
    await eventually(() => audit.stats().spool?.drained).toBe(50);
    expect(idsOf(peer)).toEqual(left.ids);
    await eventually(() => readdirSync(spoolDir)).toEqual([]);
    const { producer } = readSpool(left.bytes);
    expect(new Set(peer.appended.map((one) => one.producer))).toEqual(new Set([producer]));
  });

  it('is in the ledger once when it is drained again, as after a kill before it was removed', async () => {
    const left = orphan(30);
    const peer = await startPeer();
    const first = open();
    await eventually(() => first.stats().spool?.drained).toBe(30);
    await eventually(() => spoolFiles()).toEqual([]);
    await first.close();
    mkdirSync(join(left.path, '..'), { recursive: true });
    writeFileSync(left.path, left.bytes);
    const second = open();
    await eventually(() => second.stats().spool?.drained).toBe(30);
    expect(peer.arrivals).toHaveLength(60);
    expect(idsOf(peer)).toEqual(left.ids);
  });

  it('is left alone while its owner lives', async () => {
    const owner = open();
    const { event_id } = await owner.record(LOGIN);
    const other = open();
    await other.record(LOGIN);
    const peer = await startPeer();
    await eventually(() => owner.stats().spool?.drained).toBe(1);
    await eventually(() => other.stats().spool?.drained).toBe(1);
    expect(idsOf(peer)).toContain(event_id);
    expect(peer.arrivals).toHaveLength(2);
  });

  it('is let go by close() and drained by the next one', async () => {
    const first = open();
    const { event_id } = await first.record(LOGIN);
    await first.close();
    const peer = await startPeer();
    const second = open();
    await eventually(() => second.stats().spool?.drained).toBe(1);
    expect(idsOf(peer)).toEqual([event_id]);
  });

  it('with damage in the middle: the rest is drained, the file is set aside, and it is told', async () => {
    const left = orphan(3);
    const at = left.bytes.indexOf(left.ids[1] ?? '');
    left.bytes[at] = left.bytes[at]! ^ 1;
    writeFileSync(left.path, left.bytes);
    const peer = await startPeer();
    const audit = open();
    await eventually(() => audit.stats().spool?.drained).toBe(2);
    expect(idsOf(peer)).toEqual([left.ids[0], left.ids[2]]);
    await eventually(() => readdirSync(join(spoolDir, 'set-aside'))).toHaveLength(1);
    await eventually(() => channel()).toMatchObject([{ kind: 'spool_damaged', corrupt_lines: 1 }]);
  });

  it('with an event that the agent refuses for good: set aside and told, the rest is drained', async () => {
    const left = orphan(3);
    const peer = await startPeer({
      refuse: ({ text }) =>
        text.includes(left.ids[1] ?? '') ? { kind: 'unknown_tenant', message: 'unknown' } : null,
    });
    const audit = open();
    await eventually(() => audit.stats().spool?.drained).toBe(3);
    expect(idsOf(peer)).toEqual([left.ids[0], left.ids[2]]);
    await eventually(() => readdirSync(join(spoolDir, 'set-aside'))).toHaveLength(1);
    await eventually(() => channel()).toMatchObject([
      { kind: 'spool_refused', event_id: left.ids[1], code: 'unknown_tenant' },
    ]);
  });

  it('cut off at any byte of its last batch: what was whole before is there, and half a line is not', async () => {
    const { bytes, ids } = orphan(6);
    const whole = readSpool(bytes);
    expect(whole).toMatchObject({ tornBytes: 0, corruptLines: 0 });
    const batchStart = whole.events[3]!.start - 9;
    const ends = whole.events.map(({ end }) => end + 1);
    for (let cut = batchStart; cut <= bytes.length; cut++) {
      const { events, corruptLines, producer } = readSpool(bytes.subarray(0, cut));
      const expected = ends.filter((end) => end <= cut).length;
      expect([cut, events.map(({ event_id }) => event_id)]).toEqual([cut, ids.slice(0, expected)]);
      expect([producer, corruptLines]).toEqual([whole.producer, 0]);
    }
    // A tear that a file system filled with zeros, as after a power cut.
    const zeros = Buffer.from(bytes).fill(0, batchStart + 20);
    expect(readSpool(zeros).events).toHaveLength(3);
    expect(readSpool(bytes.subarray(0, 5))).toMatchObject({ producer: null, events: [] });
  });

  it('with a torn last line is drained as far as it is whole', async () => {
    const left = orphan(3);
    writeFileSync(left.path, left.bytes.subarray(0, -7));
    const peer = await startPeer();
    const audit = open();
    await eventually(() => audit.stats().spool?.drained).toBe(2);
    await eventually(() => spoolFiles()).toEqual([]);
    expect(idsOf(peer)).toEqual(left.ids.slice(0, 2));
  });
});

it('repeated failures open the breaker, and the first ack closes it', async () => {
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath,
    timeoutMs: 50,
    breaker: { failures: 3, forMs: 0, coolDownMs: 3000 },
  });
  closing.push(() => audit.close());
  for (let n = 0; n < 3; n++) await expect(audit.record(draft())).rejects.toThrow('no ack');
  expect(audit.stats().breaker).toBe('open');
  await expect(audit.record(LOGIN)).rejects.toMatchObject({ code: 'circuit_open' });
  await expect(audit.audited(LOGIN, () => 'in')).rejects.toMatchObject({
    code: 'circuit_open',
    performed: 'no',
  });
  await startPeer();
  await eventually(() =>
    audit.record(LOGIN).then(
      () => 'acked',
      () => 'refused',
    ),
  ).toBe('acked');
  expect(audit.stats().breaker).toBe('closed');
});

it('half open, an action that would fail open does not begin without an agent', async () => {
  const audit = createAudit({
    service: 'test',
    vocabulary: TEST_VOCABULARY,
    redactionKey: TEST_KEY,
    socketPath,
    timeoutMs: 50,
    breaker: { failures: 1, forMs: 0, coolDownMs: 1 },
    spool: { dir: spoolDir, afterMs: 10 },
  });
  closing.push(() => audit.close());
  expect((await audit.record(LOGIN)).spooled).toBe(true);
  await eventually(() => audit.stats().breaker).toBe('half_open');
  let begun = 0;
  const { outcome: _, ...login } = LOGIN;
  await expect(audit.audited(login, () => (begun += 1))).rejects.toMatchObject({
    code: 'agent_unavailable',
    performed: 'no',
  });
  expect(begun).toBe(0);
});

it('a folder that cannot be written is found by createAudit', () => {
  writeFileSync(join(dir, 'file'), '');
  expect(() => open({ dir: join(dir, 'file') })).toThrow(/the spool cannot be used/);
});
