import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ulid } from 'ulid';
import type { AppendOutcome } from '../../../agent/ports.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { segmentName } from '../../../ledger/segment.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { refusal } from '../../../schemas/refusal.ts';
import { err } from '../../../schemas/result.ts';
import { admitted, openTestStage, type TestStage } from '../../support/append-stage.ts';
import { makeEvent } from '../../support/events.ts';
import { createFaultyFilesystem } from '../../support/faulty-filesystem.ts';
import { makeTempDir } from '../../support/ledger.ts';

/** A number stands for the same event whenever it is sent. */
const sent = new Map<string, ReturnType<typeof admitted>>();
function eventOf(producer: string, n: number): ReturnType<typeof admitted> {
  const key = `${producer} ${n}`;
  const event = sent.get(key) ?? admitted(makeEvent({ metadata: { n } }));
  sent.set(key, event);
  return event;
}

const send = (of: TestStage, producer: string, firstSeq: number, count: number) =>
  of.stage.append({
    producer,
    firstSeq,
    events: Array.from({ length: count }, (_, i) => eventOf(producer, firstSeq + i)),
  });

const receiptsOf = (outcomes: readonly AppendOutcome[]) =>
  outcomes.map((outcome) =>
    outcome.kind === 'refused' ? outcome.refusal.kind : outcome.receipt.seq,
  );

test('batches that wait together share one commit, and each event gets its own receipt', async () => {
  await using temp = await makeTempDir();
  const opened = await openTestStage(temp.path);
  const outcomes = await Promise.all([0, 1, 2, 3].map(() => send(opened, ulid(), 0, 5)));
  expect(opened.meter.counts).toMatchObject({ commits: 1, acks: 20 });
  expect(outcomes.flatMap(receiptsOf)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  await opened.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact', records: 21 });
});

test('a resent event is acked again with its first receipt and appended once, across a restart too', async () => {
  await using temp = await makeTempDir();
  const producer = ulid();
  const first = await openTestStage(temp.path);
  const before = await send(first, producer, 0, 4);
  const again = await send(first, producer, 2, 4);
  expect(again.slice(0, 2)).toEqual(
    before.slice(2).map((outcome) => ({ ...outcome, kind: 'duplicate' })),
  );
  await first.close();

  const second = await openTestStage(temp.path);
  const resent = await send(second, producer, 0, 7);
  expect(resent.map(({ kind }) => kind)).toEqual([...Array(6).fill('duplicate'), 'appended']);
  expect(receiptsOf(resent)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  await second.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact', records: 8, gaps: [] });
});

test('a resent event whose receipt cannot be read is put off, so that it is never recorded twice', async () => {
  await using temp = await makeTempDir();
  let readable = true;
  const unreadable = Object.assign(new Error('EIO: no reading'), { code: 'EIO' });
  const opened = await openTestStage(temp.path, {
    filesystem: {
      ...nodeFilesystem,
      openRead: (path) => (readable ? nodeFilesystem.openRead(path) : Promise.reject(unreadable)),
    },
  });
  const producer = ulid();
  const [before] = await send(opened, producer, 0, 1);
  readable = false;
  expect(await send(opened, producer, 0, 1)).toMatchObject([
    { kind: 'refused', refusal: { kind: 'storage_failed' } },
  ]);
  readable = true;
  expect(await send(opened, producer, 0, 1)).toEqual([{ ...before, kind: 'duplicate' }]);
  await opened.close();
});

test('a refused number is no gap; a number that never came is one', async () => {
  await using temp = await makeTempDir();
  const opened = await openTestStage(temp.path);
  const producer = ulid();
  const bad = err(refusal('schema_invalid', '/actor is missing'));
  await opened.stage.append({ producer, firstSeq: 0, events: [admitted(makeEvent()), bad, bad] });
  await send(opened, producer, 3, 1);
  expect(opened.meter.counts.gaps).toBe(0);
  opened.stage.noteRefused(producer, [4]);
  await send(opened, producer, 5, 1);
  expect(opened.meter.counts.gaps).toBe(0);
  await send(opened, producer, 8, 1);
  expect(opened.meter.counts.gaps).toBe(2);
  await opened.close();
  const { verdict, gaps } = await verifyLedger(temp.path);
  expect({ verdict, gaps }).toMatchObject({
    verdict: 'intact',
    gaps: [{ producer, after: 5, before: 8 }],
  });
});

test('a foreign record id is sealed once, a changed payload under it is refused, across a restart too', async () => {
  await using temp = await makeTempDir();
  const foreign = (payload: string) =>
    admitted(
      makeEvent({
        origin: { signal: 'audit', record_id: 'r-1', payload_sha256: payload.repeat(64) },
      }),
    );
  const first = await openTestStage(temp.path);
  const [sealed] = await first.stage.append({
    producer: '',
    firstSeq: null,
    events: [foreign('a')],
  });
  await first.close();
  const second = await openTestStage(temp.path);
  const outcomes = await second.stage.append({
    producer: '',
    firstSeq: null,
    events: [foreign('a'), foreign('b')],
  });
  expect(outcomes[0]).toEqual({ ...sealed, kind: 'duplicate' });
  expect(outcomes[1]).toMatchObject({ kind: 'refused', refusal: { kind: 'id_conflict' } });
  await second.close();
});

test('a full disk refuses, is itself recorded, and ends by itself when space returns', async () => {
  await using temp = await makeTempDir();
  let full = false;
  const real = createFaultyFilesystem(null);
  const noSpace = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
  let reserveFree = false;
  const opened = await openTestStage(temp.path, {
    filesystem: {
      ...real,
      create: async (path) => {
        const file = await real.create(path);
        return {
          ...file,
          append: async (bytes) => {
            // The reserve, once released, leaves room for one small event.
            if (full && !(reserveFree && bytes.length < 4096)) throw noSpace;
            await file.append(bytes);
          },
        };
      },
      replace: async (path, bytes) => {
        if (full) throw noSpace;
        await real.replace(path, bytes);
      },
      remove: async (path) => {
        reserveFree = true;
        await real.remove(path);
      },
    },
  });
  const producer = ulid();
  await send(opened, producer, 0, 2);
  full = true;
  const refused = await Promise.all([
    send(opened, producer, 2, 10),
    send(opened, producer, 12, 10),
  ]);
  expect(new Set(refused.flatMap(receiptsOf))).toEqual(new Set(['disk_full']));
  expect(opened.stage.status().state).toBe('disk_full');
  full = false;
  await expect
    .poll(async () => receiptsOf(await send(opened, producer, 2, 10)))
    .not.toContain('disk_full');
  await opened.close();
  const verification = await verifyLedger(temp.path);
  expect(verification).toMatchObject({ verdict: 'intact', gaps: [] });
  const own = verification.streams.find(
    ({ stream, records }) => stream.endsWith('/standard') && records === 3,
  );
  expect(own, 'genesis, disk full, space returned').toBeDefined();
});

test('a disk that fails for good refuses everything and says so once', async () => {
  await using temp = await makeTempDir();
  const real = createFaultyFilesystem(null);
  let broken = false;
  const broke = (): never => {
    throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
  };
  const opened = await openTestStage(temp.path, {
    filesystem: {
      ...real,
      open: (path) => (broken ? broke() : real.open(path)),
      create: async (path) => {
        const file = await real.create(path);
        return { ...file, datasync: () => (broken ? broke() : file.datasync()) };
      },
    },
  });
  const producer = ulid();
  await send(opened, producer, 0, 2);
  broken = true;
  expect(receiptsOf(await send(opened, producer, 2, 2))).toEqual([
    'storage_failed',
    'storage_failed',
  ]);
  broken = false;
  expect(receiptsOf(await send(opened, producer, 2, 2))).toEqual([
    'storage_failed',
    'storage_failed',
  ]);
  expect(opened.failures).toHaveLength(1);
  await opened.close();
});

test('the queue is bounded: at its limit there is no room, and room returns after the commit', async () => {
  await using temp = await makeTempDir();
  const opened = await openTestStage(temp.path, { queueEventsMax: 10 });
  const producer = ulid();
  const first = send(opened, producer, 0, 10);
  expect(opened.stage.hasRoom()).toBe(false);
  await opened.stage.whenRoom();
  expect(opened.stage.hasRoom()).toBe(true);
  await first;
  await opened.close();
});

test('received_at never falls within a stream, whatever the clock does', async () => {
  await using temp = await makeTempDir();
  let now = 1_800_000_000_000;
  const opened = await openTestStage(temp.path, { nowMs: () => now });
  const producer = ulid();
  for (const [seq, step] of [3600_000, -7200_000, 60_000, -1].entries()) {
    now += step;
    await send(opened, producer, seq, 1);
  }
  await opened.close();
  expect((await verifyLedger(temp.path)).verdict).toBe('intact');
  const { readFile, readdir } = await import('node:fs/promises');
  const name = (await readdir(temp.path)).find((one) => one.endsWith('.ndjson')) ?? '';
  const times = (await readFile(`${temp.path}/${name}`, 'utf8'))
    .trim()
    .split('\n')
    .map(
      (line) =>
        (JSON.parse(line) as { event: { chain: { received_at: string } } }).event.chain.received_at,
    );
  expect(times).toEqual([...times].sort());
});

test('any interleaving of producers, tenants and segment cuts leaves every stream whole', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({ who: fc.nat(3), tenant: fc.nat(2), count: fc.integer({ min: 1, max: 4 }) }),
        { maxLength: 25 },
      ),
      async (steps) => {
        await using temp = await makeTempDir();
        const opened = await openTestStage(temp.path, { segmentBytes: 6000 });
        const producers = [ulid(), ulid(), ulid(), ulid()];
        const next = [0, 0, 0, 0];
        let sent = 0;
        const pending = steps.map(({ who, tenant, count }) => {
          const firstSeq = next[who]!;
          next[who]! += count;
          sent += count;
          const resource = { type: 'x', id: '1', tenant_id: `t${tenant}` };
          const events = Array.from({ length: count }, () => admitted(makeEvent({ resource })));
          return opened.stage.append({ producer: producers[who]!, firstSeq, events });
        });
        const kinds = (await Promise.all(pending)).flat().map(({ kind }) => kind);
        expect(kinds).toEqual(Array(sent).fill('appended'));
        await opened.close();
        const verification = await verifyLedger(temp.path);
        if (sent > 0) expect(verification).toMatchObject({ verdict: 'intact', gaps: [] });
      },
    ),
    { numRuns: 40 },
  );
});

test('received_at does not fall over a restart either, with a clock that was set back', async () => {
  await using temp = await makeTempDir();
  const producer = ulid();
  const first = await openTestStage(temp.path, { nowMs: () => 1_900_000_000_000 });
  await send(first, producer, 0, 1);
  await first.close();
  const second = await openTestStage(temp.path, { nowMs: () => 1_800_000_000_000 });
  await send(second, producer, 1, 1);
  await second.close();
  const lines = (await nodeFilesystem.readFile(`${temp.path}/${segmentName(0)}`)).toString();
  expect(new Set(lines.match(/"received_at":"[^"]*"/g))).toEqual(
    new Set(['"received_at":"2030-03-17T17:46:40.000Z"']),
  );
});
