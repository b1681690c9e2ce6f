/** The quota before the real writer, in a real folder: refused as on a full disk, and over by itself. */
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ulid } from 'ulid';
import type { FilesystemSpace } from '../../../agent/append/disk-use.ts';
import { openLedger, type OpenedLedger, type OpenOptions } from '../../../agent/append/open.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { createKeptLog, type KeptLine } from '../observe/support.ts';
import { admitted, createCountingMeter } from '../../support/append-stage.ts';
import { makeEvent } from '../../support/events.ts';
import { makeTempDir, TEST_AGENT } from '../../support/ledger.ts';
import { readRecords } from '../../support/outcome.ts';

const LIMITS = {
  segment_bytes: 65_536,
  batch_bytes_max: 65_536,
  queue_events_max: 1000,
  reserve_bytes: 65_536,
};
const QUOTA = 400_000;

interface Opened extends OpenedLedger {
  readonly lines: readonly KeptLine[];
}

async function openIn(dir: string, over: Partial<OpenOptions> = {}): Promise<Opened> {
  const log = createKeptLog();
  const opened = await openLedger({
    dir,
    config: { ...LIMITS, quota: QUOTA },
    agent: TEST_AGENT,
    meter: createCountingMeter(),
    log,
    nowMs: Date.now,
    onDurable: () => undefined,
    onFailed: (reason) => expect(reason).toBe('no failure'),
    ...over,
  });
  if (!opened.ok) throw new Error(opened.error);
  return { ...opened.value, lines: log.lines };
}

const producer = ulid();
/** Sends one event of about 4 KB; resolves with what became of it. */
async function send({ append }: OpenedLedger, firstSeq: number): Promise<string> {
  const events = [admitted(makeEvent({ metadata: { text: 'x'.repeat(3_000) } }))];
  const [outcome] = await append.append({ producer, firstSeq, events });
  return outcome?.kind === 'refused' ? outcome.refusal.kind : (outcome?.kind ?? 'nothing');
}

/** Sends until one is refused; resolves with how many were taken and what the refusal is. */
async function fill(ledger: OpenedLedger, from = 0): Promise<{ taken: number; kind: string }> {
  for (let seq = from; seq < from + 500; seq++) {
    const kind = await send(ledger, seq);
    if (kind !== 'appended') return { taken: seq, kind };
  }
  throw new Error('the quota was never reached');
}

async function bytesIn(dir: string): Promise<number> {
  const sizes = (await readdir(dir)).map(async (name) => (await stat(join(dir, name))).size);
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

const diskEvents = async (dir: string): Promise<unknown[]> =>
  (await readRecords(dir))
    .filter(({ event }) => event.event.action === 'ledger.disk_full')
    .map(({ event }) => event.metadata['state']);

test('at the quota events are refused as on a full disk, the folder never passes it, and that is recorded', async () => {
  await using temp = await makeTempDir();
  const ledger = await openIn(temp.path);
  const { taken, kind } = await fill(ledger);
  expect(kind).toBe('disk_full');
  expect(taken).toBeGreaterThan(60);
  expect(await bytesIn(temp.path)).toBeLessThanOrEqual(QUOTA);
  expect(ledger.append.status()).toMatchObject({
    state: 'disk_full',
    last_error: expect.stringMatching(/^ledger\.quota is reached: \d+ of 400000 bytes$/),
  });
  expect(await diskEvents(temp.path)).toEqual(['began']);
  await ledger.disk.look();
  expect(ledger.disk.status()?.ledger_bytes, 'what is counted is what is there').toBe(
    await bytesIn(temp.path),
  );
  await ledger.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact', gaps: [] });
});

test('once old segments are moved away events are taken again, without a restart and without a flutter', async () => {
  await using temp = await makeTempDir();
  await using archive = await makeTempDir();
  const dir = join(temp.path, 'ledger');
  await mkdir(dir);
  const ledger = await openIn(dir);
  const { taken } = await fill(ledger);
  // Some probes for space, each of which finds none.
  for (const endMs = performance.now() + 700; performance.now() < endMs;)
    expect(await send(ledger, taken)).toBe('disk_full');
  expect(await diskEvents(dir)).toEqual(['began']);
  const oldest = (await readdir(dir)).filter((name) => /\.(ndjson|json)$/.test(name)).sort();
  for (const name of oldest.slice(0, 4)) await rename(join(dir, name), join(archive.path, name));
  await expect.poll(() => send(ledger, taken)).toBe('appended');
  expect(ledger.append.status().state).toBe('ready');
  expect((await readdir(dir)).includes('reserve'), 'the reserve is back').toBe(true);
  const again = await fill(ledger, taken + 1);
  expect(again.taken - taken).toBeGreaterThan(10);
  expect(await bytesIn(dir)).toBeLessThanOrEqual(QUOTA);
  await ledger.close();
});

test('a restart at the quota is full at once, however often, and one with a higher quota takes events', async () => {
  await using temp = await makeTempDir();
  const first = await openIn(temp.path);
  const { taken } = await fill(first);
  await first.close();
  for (let start = 0; start < 3; start++) {
    const again = await openIn(temp.path);
    const own = { type: 'agent', id: 'test' };
    expect(await again.append.recordOwn('agent.started', 'success', own, {})).toBe(false);
    expect(again.append.status().state).toBe('disk_full');
    expect(await send(again, taken)).toBe('disk_full');
    await again.close();
  }
  expect(await bytesIn(temp.path)).toBeLessThanOrEqual(QUOTA);
  const raised = await openIn(temp.path, { config: { ...LIMITS, quota: 2 * QUOTA } });
  expect(await send(raised, taken)).toBe('appended');
  await raised.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact', gaps: [] });
});

test('a share of the file system follows its size', async () => {
  await using temp = await makeTempDir();
  let totalBytes = 2 * QUOTA;
  const askSpace = (): Promise<FilesystemSpace> =>
    Promise.resolve({ totalBytes, freeBytes: totalBytes });
  const ledger = await openIn(temp.path, { config: { ...LIMITS, quota: '50%' }, askSpace });
  const { taken } = await fill(ledger);
  expect(await bytesIn(temp.path)).toBeLessThanOrEqual(QUOTA);
  totalBytes *= 2;
  await ledger.disk.look();
  await expect.poll(() => send(ledger, taken)).toBe('appended');
  await ledger.close();
});

test('each threshold is logged once, with the time left, for quota and file system alike', async () => {
  await using temp = await makeTempDir();
  let freeBytes = 900_000;
  let nowMs = 1_000_000;
  const ledger = await openIn(temp.path, {
    config: LIMITS,
    nowMs: () => nowMs,
    askSpace: () => Promise.resolve({ totalBytes: 1_000_000, freeBytes }),
  });
  const lookAt = async (free: number): Promise<void> => {
    freeBytes = free;
    nowMs += 60_000;
    await ledger.disk.look();
  };
  for (const free of [290_000, 280_000, 310_000, 140_000, 145_000, 40_000, 30_000, 900_000])
    await lookAt(free);
  const told = ledger.lines.filter(({ fields }) => Reflect.get(fields, 'component') === 'disk');
  expect(
    told.map(({ level, message }) => [level, /more than (\d+) %|space again/.exec(message)?.[0]]),
  ).toEqual([
    ['warn', 'more than 70 %'],
    ['warn', 'more than 85 %'],
    ['error', 'more than 95 %'],
    ['info', 'space again'],
  ]);
  expect(told[0]?.fields).toMatchObject({
    used_ratio: 0.71,
    seconds_left: expect.closeTo(28.5, 1),
  });
  await ledger.close();
});
