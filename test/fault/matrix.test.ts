/**
 * The fault matrix over everything that an agent keeps on disk at once: ledger, state files, reserve,
 * head file, cursor, dead letters and a SIEM file. Each operation in turn fails once, tears, or is the
 * last one before a crash; then the agent starts anew on a sound disk. What it holds and what the sink
 * has is compared with what was acked, `verify` agrees, and nothing of it is taken for a rollback.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { ulid } from 'ulid';
import type { Witness } from '../../agent/append/continuity.ts';
import { readHeadFile } from '../../agent/append/head-file.ts';
import { openLedger, type OpenedLedger } from '../../agent/append/open.ts';
import { cursorPath, loadCursor } from '../../agent/deliver/cursor.ts';
import type { DeliveryLoop } from '../../agent/deliver/loop.ts';
import { createFileSink } from '../../agent/deliver/sinks/file.ts';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import { admitted, createCountingMeter, silentLog } from '../support/append-stage.ts';
import { createFreezer, startTestLoop } from '../support/delivery.ts';
import { makeEvent } from '../support/events.ts';
import { eventually } from '../support/eventually.ts';
import { createFaultyFilesystem, type Fault } from '../support/faulty-filesystem.ts';
import { makeMemoryDir, TEST_AGENT } from '../support/ledger.ts';
import { readRecords } from '../support/outcome.ts';

vi.setConfig({ testTimeout: 240_000 });

const BATCHES = 4;
const SINK = 'test';
const POISON = 'poison';
/** Operations that every life has, and those of them that can fail with it. */
const REPLACE = ['remove', 'create', 'append', 'sync', 'rename', 'syncDir'].map(
  (step) => `replace: ${step}`,
);
const KINDS = {
  EIO: ['list', 'makeDir', 'create', 'openRead', 'append', 'datasync', 'syncDir', ...REPLACE],
  ENOSPC: ['makeDir', 'create', 'append', 'datasync', ...REPLACE.slice(1, 5)],
  EMFILE: ['list', 'create', 'openRead', 'syncDir', 'replace: create', 'replace: syncDir'],
} as const satisfies Record<Fault['code'], readonly string[]>;

interface Agent {
  readonly ledger: OpenedLedger;
  readonly loop: DeliveryLoop;
}

/** Starts on a disk, with what the disk outside says of the ledger; throws when it refuses to. */
async function start(
  dir: string,
  filesystem: Filesystem,
  witnesses: readonly Witness[] = [],
): Promise<Agent> {
  let loop: DeliveryLoop | null = null;
  const opened = await openLedger({
    dir: join(dir, 'ledger'),
    config: {
      segment_bytes: 8_192,
      batch_bytes_max: 65_536,
      queue_events_max: 1000,
      reserve_bytes: 65_536,
      head_file: join(dir, 'outside/head.json'),
    },
    agent: TEST_AGENT,
    meter: createCountingMeter(),
    log: silentLog,
    nowMs: Date.now,
    filesystem,
    witnesses,
    onDurable: (records) => loop?.notifyDurable(records),
    onFailed: () => undefined,
  });
  if (!opened.ok) throw new Error(opened.error);
  const sink = createFileSink({
    name: SINK,
    path: join(dir, 'siem/out.ndjson'),
    filesystem,
    log: silentLog,
    format: ({ event }) => {
      if (event.resource.id === POISON) throw new TypeError('poison');
      return `${JSON.stringify({ id: event.event_id })}\n`;
    },
  });
  try {
    loop = await startTestLoop(dir, opened.value.records, sink, {
      filesystem,
      exporter: { batch_records_max: 5 },
    });
  } catch (error) {
    await opened.value.close();
    throw error;
  }
  loop.notifyDurable(opened.value.append.status().records);
  return { ledger: opened.value, loop };
}

/** Resolves once the sink has everything, or its loop has given up. */
async function settled({ ledger, loop }: Agent): Promise<void> {
  await eventually(() => {
    const { state, cursor } = loop.report();
    const { records } = ledger.append.status();
    if (state !== 'stopped' && cursor < records) throw new Error(`${cursor} of ${records}`);
  }, 2);
}

/** A whole life: some batches, each with a record the sink will not take, delivery, a stop in order. */
async function live(dir: string, filesystem: Filesystem, acked: string[]): Promise<void> {
  for (const folder of ['cursors', 'dead-letter'])
    await mkdir(join(dir, folder), { recursive: true });
  const agent = await start(dir, filesystem);
  const producer = ulid();
  let firstSeq = 0;
  for (let batch = 0; batch < BATCHES; batch++) {
    const events = [makeEvent(), makeEvent({ metadata: { text: 'x'.repeat(2_000) } })];
    if (batch % 2 === 1)
      events.push(makeEvent({ resource: { type: 'r', id: POISON, tenant_id: 'acme' } }));
    const outcomes = await agent.ledger.append.append({
      producer,
      firstSeq,
      events: events.map(admitted),
    });
    for (const [index, { kind }] of outcomes.entries()) {
      if (kind === 'appended') acked.push(events[index]?.event_id ?? '');
      // What a client gives up it names, or the number would count as lost once there is space again.
      else agent.ledger.append.noteRefused(producer, [firstSeq + index]);
    }
    firstSeq += events.length;
  }
  await settled(agent);
  await agent.loop.stop();
  await agent.ledger.close();
}

async function witnessesOf(dir: string): Promise<readonly Witness[]> {
  const head = await readHeadFile(nodeFilesystem, join(dir, 'outside/head.json'));
  const cursor = await loadCursor(nodeFilesystem, cursorPath(dir, SINK));
  if (!head.ok) throw new Error(head.error);
  if (!cursor.ok) throw new Error(cursor.error.message);
  const source = 'the cursor';
  return [
    ...(head.value === null ? [] : [head.value]),
    { source, heads: [], records: cursor.value?.next ?? 0, incarnation: null },
  ];
}

const linesOf = async (path: string): Promise<string[]> =>
  (await nodeFilesystem.exists(path))
    ? (await readFile(path, 'utf8')).split('\n').filter(Boolean)
    : [];

/** Starts anew on the real disk and compares. */
async function expectAllThere(dir: string, acked: readonly string[], what: string): Promise<void> {
  const agent = await start(dir, nodeFilesystem, await witnessesOf(dir));
  expect(agent.ledger.rollback, what).toBe(null);
  const [outcome] = await agent.ledger.append.append({
    producer: ulid(),
    firstSeq: 0,
    events: [admitted(makeEvent())],
  });
  expect(outcome?.kind, `${what}: takes events again`).toBe('appended');
  await settled(agent);
  expect(agent.loop.report().state, what).not.toBe('stopped');
  const letters = await agent.loop.listDeadLetters(1_000);
  await agent.loop.stop();
  await agent.ledger.close();

  const records = await readRecords(join(dir, 'ledger'));
  const ids = records.map(({ event }) => event.event_id);
  expect(new Set(ids).size, what).toBe(ids.length);
  expect(ids, `${what}: acked and lost`).toEqual(expect.arrayContaining([...acked]));
  expect(await verifyLedger(dir), what).toMatchObject({ verdict: 'intact', gaps: [] });
  const delivered = (await linesOf(join(dir, 'siem/out.ndjson'))).map(
    (line) => (JSON.parse(line) as { id: string }).id,
  );
  const aside = letters.map(({ event_id }) => event_id);
  expect([...delivered, ...aside].sort(), `${what}: sink and dead letters`).toEqual(ids.toSorted());
  expect(aside, what).toHaveLength(
    records.filter(({ event }) => event.resource.id === POISON).length,
  );
}

/** Operations of a life in which nothing fails; how many there are varies a little with the timing. */
async function operationsOfALife(): Promise<readonly string[]> {
  await using temp = await makeMemoryDir();
  const counting = createFaultyFilesystem(null, { reads: true });
  const acked: string[] = [];
  await live(temp.path, counting, acked);
  expect(acked).toHaveLength(BATCHES * 2 + 2);
  await expectAllThere(temp.path, acked, 'nothing failed');
  expect(counting.operations, 'a whole life').toEqual(expect.arrayContaining([...KINDS.EIO]));
  return counting.operations;
}

test.each(['EIO', 'ENOSPC', 'EMFILE'] as const)(
  'whichever operation fails once with %s, or tears, what was acked is there once, in ledger and sink',
  async (code) => {
    const operations = await operationsOfALife();
    const kinds: readonly string[] = KINDS[code];
    const hit = new Set<string>();
    for (const [at, planned] of operations.entries()) {
      if (!kinds.includes(planned)) continue;
      for (const tearTo of planned.endsWith('append') ? [0, 900] : [0]) {
        await using temp = await makeMemoryDir();
        const filesystem = createFaultyFilesystem({ at, code, tearTo }, { reads: true });
        const acked: string[] = [];
        // Not to start at all is an answer as well; whatever was acked counts.
        await live(temp.path, filesystem, acked).catch((error: unknown) => {
          expect(String(error)).toContain('injected');
        });
        // Which one it is varies with the timing of the two threads of work.
        const operation = filesystem.operations[at] ?? 'none';
        hit.add(operation);
        const what = `${code} at ${at} (${operation}, torn to ${tearTo})`;
        await expectAllThere(temp.path, acked, what);
      }
    }
    expect([...hit]).toEqual(expect.arrayContaining([...kinds]));
  },
);

test.each([
  ['in the middle of', 'torn'],
  ['right after', 'after'],
] as const)(
  'a crash %s any operation leaves what was acked there once, in ledger and sink',
  async (when, mode) => {
    await using probe = await makeMemoryDir();
    const counting = createFreezer(Infinity, mode);
    await live(probe.path, counting.filesystem, []);
    expect(counting.count()).toBeGreaterThan(40);
    for (let at = 0; at < counting.count(); at++) {
      await using temp = await makeMemoryDir();
      const freezer = createFreezer(at, mode);
      const acked: string[] = [];
      await Promise.race([live(temp.path, freezer.filesystem, acked), freezer.frozen]);
      await freezer.release();
      await expectAllThere(temp.path, acked, `crash ${when} operation ${at}`);
    }
  },
);
