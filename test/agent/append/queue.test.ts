/** The append queue: bounded in events and in bytes, and in order when a commit fails. */
import { expect, test } from 'vitest';
import { ulid } from 'ulid';
import { createAppendQueue, type Waiting } from '../../../agent/append/queue.ts';
import { APPEND_BYTES_MAX } from '../../../agent/ports.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { admitted, openTestStage } from '../../support/append-stage.ts';
import { makeEvent } from '../../support/events.ts';
import { makeTempDir } from '../../support/ledger.ts';

const batchOf = (...texts: string[]): Waiting => ({
  request: {
    producer: 'p',
    firstSeq: 0,
    events: texts.map((text) => admitted(makeEvent({ metadata: { text } }))),
  },
  settle: () => undefined,
});

test('few large events fill the queue as well as many small ones', () => {
  const queue = createAppendQueue({ eventsMax: 100, bytesMax: 100_000, batchBytesMax: 1 << 20 });
  queue.push(batchOf('x'.repeat(60_000)));
  expect(queue.hasRoom()).toBe(true);
  queue.push(batchOf('€'.repeat(20_000)));
  expect(queue.hasRoom()).toBe(false);
  queue.gather();
  expect(queue.hasRoom()).toBe(true);
});

test('a group commit never passes its size, but for one batch that is larger by itself', () => {
  const queue = createAppendQueue({ eventsMax: 100, bytesMax: 1 << 20, batchBytesMax: 10_000 });
  for (const size of [3_000, 3_000, 4_000, 30_000, 10]) queue.push(batchOf('x'.repeat(size)));
  const sizes: number[] = [];
  while (!queue.isEmpty()) sizes.push(queue.gather().waiting.length);
  expect(sizes).toEqual([2, 1, 1, 1]);
});

test('who waits for room and looks again takes no more of it than there is', async () => {
  const queue = createAppendQueue({ eventsMax: 2, bytesMax: 1 << 20, batchBytesMax: 1 << 20 });
  queue.push(batchOf('a', 'b'));
  let most = 0;
  const clients = Array.from({ length: 10 }, async () => {
    while (!queue.hasRoom()) await queue.whenRoom();
    queue.push(batchOf('c'));
    most = Math.max(most, queue.events());
  });
  while (!queue.isEmpty()) {
    queue.gather();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(clients);
  expect(most).toBe(2);
});

test('a batch too large for one commit is refused whole, and its numbers are no gap', async () => {
  await using temp = await makeTempDir();
  const opened = await openTestStage(temp.path);
  const producer = ulid();
  const large = admitted(makeEvent({ metadata: { text: 'x'.repeat(60_000) } }));
  const count = Math.ceil(APPEND_BYTES_MAX / 60_000);
  const events = Array.from({ length: count }, () => large);
  const refused = await opened.stage.append({ producer, firstSeq: 0, events });
  expect(new Set(refused.map((one) => one.kind === 'refused' && one.refusal.kind))).toEqual(
    new Set(['too_large']),
  );
  await opened.stage.append({ producer, firstSeq: count, events: [admitted(makeEvent())] });
  await opened.close();
  expect(await verifyLedger(temp.path)).toMatchObject({ verdict: 'intact', records: 2, gaps: [] });
});
