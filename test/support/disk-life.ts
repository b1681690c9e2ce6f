/**
 * The life of everything that an agent keeps on disk at once: ledger, state files, reserve, head file, cursor, dead
 * letters and a SIEM file; and the comparison, after a start on a sound disk, of what it holds with what was acked.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { ulid } from 'ulid';
import type { Witness } from '../../agent/append/continuity.ts';
import { readHeadFile } from '../../agent/append/head-file.ts';
import { openLedger, type OpenedLedger } from '../../agent/append/open.ts';
import { cursorPath, loadCursor } from '../../agent/deliver/cursor.ts';
import type { DeliveryLoop } from '../../agent/deliver/loop.ts';
import { createFileSink } from '../../agent/deliver/sinks/file.ts';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import { admitted, createCountingMeter, silentLog } from './append-stage.ts';
import { startTestLoop } from './delivery.ts';
import { makeEvent } from './events.ts';
import { eventually } from './eventually.ts';
import { TEST_AGENT } from './ledger.ts';
import { readRecords } from './outcome.ts';

export const BATCHES = 4;
export const SINK = 'test';
const POISON = 'poison';
export interface Agent {
  readonly ledger: OpenedLedger;
  readonly loop: DeliveryLoop;
}

/** Starts on a disk, with what the disk outside says of the ledger; throws when it refuses to. */
export async function start(
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
export async function live(dir: string, filesystem: Filesystem, acked: string[]): Promise<void> {
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
export async function expectAllThere(
  dir: string,
  acked: readonly string[],
  what: string,
): Promise<void> {
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
