/** Events that are sent again, and what clients say of numbers: nobody else pays, nothing is acked wrongly. */
import { expect, test } from 'vitest';
import { ulid } from 'ulid';
import { createNumbering } from '../../../agent/append/numbering.ts';
import { createOriginWindow } from '../../../agent/append/origin-window.ts';
import { createSealer } from '../../../agent/append/sealer.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { emptyState, PRODUCERS_MAX } from '../../../ledger/state.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { chainHash } from '../../../schemas/brand.ts';
import { canonicalize } from '../../../schemas/canonical.ts';
import { canonicalEvent } from '../../../schemas/canonical-event.ts';
import { admitted, openTestStage } from '../../support/append-stage.ts';
import { makeEvent } from '../../support/events.ts';
import { eventually } from '../../support/eventually.ts';
import { makeTempDir, TEST_AGENT } from '../../support/ledger.ts';
import { cpuMs } from '../../support/cpu.ts';

test('a number that was recorded with another event is refused, not acked with the wrong receipt', async () => {
  await using temp = await makeTempDir();
  const opened = await openTestStage(temp.path);
  // As two copies of one process image do: the same producer, the same numbers, other events.
  const [producer, mine, theirs] = [ulid(), admitted(makeEvent()), admitted(makeEvent())];
  await opened.stage.append({ producer, firstSeq: 0, events: [mine] });
  expect(await opened.stage.append({ producer, firstSeq: 0, events: [theirs] })).toMatchObject([
    { kind: 'refused', refusal: { kind: 'protocol_error' } },
  ]);
  expect(await opened.stage.append({ producer, firstSeq: 0, events: [mine] })).toMatchObject([
    { kind: 'duplicate' },
  ]);
  await opened.close();
});

test('who sends something new never waits for the receipts of what others send again', async () => {
  await using temp = await makeTempDir();
  let release = (): void => undefined;
  const gate = new Promise<void>((open) => (release = open));
  let searches = 0;
  let isGated = false;
  const opened = await openTestStage(temp.path, {
    filesystem: {
      ...nodeFilesystem,
      openRead: async (path) => {
        searches += 1;
        if (isGated) await gate;
        return nodeFilesystem.openRead(path);
      },
    },
  });
  const producers = Array.from({ length: 20 }, () => ulid());
  const event = admitted(makeEvent());
  const send = (producer: string) =>
    opened.stage.append({ producer, firstSeq: 0, events: [event] });
  const receipts = (await Promise.all(producers.map(send))).flat();
  isGated = true;
  searches = 0;
  const resent = producers.map(send);
  expect(await send(ulid())).toMatchObject([{ kind: 'appended' }]);
  await eventually(() => expect(searches).toBe(1));
  release();
  expect((await Promise.all(resent)).flat()).toEqual(
    receipts.map((outcome) => ({ ...outcome, kind: 'duplicate' })),
  );
  expect(searches, 'all who asked meanwhile share one pass').toBeLessThanOrEqual(2);
  await opened.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact', records: 22 });
});

test('refused numbers are counted in no time, however many a client names', () => {
  const last = new Map<string, number>();
  const numbering = createNumbering(last);
  const producer = ulid();
  const far = Array.from({ length: 10_000 }, (_, n) => Number.MAX_SAFE_INTEGER - n);
  numbering.noteRefused(producer, far);
  const tookMs = cpuMs();
  for (let seq = 0; seq < 50_000; seq++) {
    numbering.place(producer, seq);
    last.set(producer, seq);
  }
  // Counting them one by one would take 500 million steps.
  expect(tookMs()).toBeLessThan(2_000);
});

test('refused numbers that nobody ever takes up are forgotten, those silent the longest first', () => {
  const numbering = createNumbering(new Map());
  const numbers = Array.from({ length: 10_000 }, (_, n) => n);
  const producers = Array.from({ length: 400 }, () => ulid());
  for (const producer of producers) numbering.noteRefused(producer, numbers);
  const refusedOf = (producer: string): number => {
    const placed = numbering.place(producer, 10_000);
    return placed.kind === 'new' ? placed.refused : -1;
  };
  expect(refusedOf(producers.at(-1) ?? '')).toBe(10_000);
  expect(producers.filter((producer) => refusedOf(producer) > 0).length).toBeLessThan(60);
});

test('refused numbers count once, in whatever order and however often they are named', () => {
  const numbering = createNumbering(new Map([['p', 2]]));
  numbering.noteRefused('p', [9, 4]);
  numbering.noteRefused('p', [4, 1, 5]);
  expect(numbering.place('p', 6)).toEqual({ kind: 'new', refused: 2, gap: 1 });
  numbering.settle('p', 6);
  expect(numbering.place('p', 10)).toEqual({ kind: 'new', refused: 1, gap: 6 });
});

test('a commit that is undone forgets no foreign id but its own', () => {
  const window = createOriginWindow(2);
  const origin = (id: string) =>
    ({ signal: 'audit', record_id: id, payload_sha256: 'a'.repeat(64) }) as const;
  const receipt = { stream: 's', seq: 1, this_hash: chainHash('1'.repeat(64)) };
  for (const id of ['one', 'two']) window.remember('acme', origin(id), receipt);
  window.commit();
  window.remember('acme', origin('three'), receipt);
  expect(window.find('acme', origin('three'))).toEqual(receipt);
  window.rollback();
  expect(['one', 'two', 'three'].map((id) => window.find('acme', origin(id)) !== null)).toEqual([
    true,
    true,
    false,
  ]);
});

test('a commit that is undone forgets no producer: what it sent before is still known', () => {
  const state = emptyState();
  for (let n = 0; n < PRODUCERS_MAX; n++) state.producers.set(`producer-${n}`, n);
  const before = new Map(state.producers);
  const sealer = createSealer({
    agent: TEST_AGENT,
    state,
    incarnation: 'f'.repeat(32),
    reason: 'test',
    producer: ulid(),
    nowMs: Date.now,
  });
  const input = {
    canonical: canonicalEvent(canonicalize(makeEvent())),
    tenant: 'acme',
    retention_class: 'standard',
  };
  sealer.begin();
  sealer.seal(input, { id: ulid(), seq: 0, refused: 0 });
  sealer.rollback();
  expect(new Map(state.producers)).toEqual(before);
  sealer.begin();
  sealer.seal(input, { id: ulid(), seq: 0, refused: 0 });
  sealer.commit();
  expect(state.producers.size).toBe(PRODUCERS_MAX);
});
