/** The room for early records, on its own: held against a plain model under any order of arrivals. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Incoming } from '../../../agent/gateway/incoming.ts';
import { createWaiting } from '../../../agent/gateway/waiting.ts';
import { createSealer } from '../../store/sealed.ts';

const answer = (): void => undefined;
const incomingOf = (record: Incoming['record']): Incoming => ({
  record,
  message: {
    subject: 's',
    data: new Uint8Array(100),
    number: 1,
    deliveries: 1,
    ack: answer,
    nak: answer,
    term: answer,
  },
});
const sealer = createSealer();
const RECORDS = Array.from({ length: 12 }, () => incomingOf(sealer.seal()));
const seqsOf = (all: readonly Incoming[]): number[] =>
  all.map(({ record }) => record.event.chain.seq).sort((one, other) => one - other);

test('in whatever order records come, and however often, all are let go once each has its predecessor', () => {
  const order = fc.shuffledSubarray([...RECORDS, ...RECORDS], { minLength: 24, maxLength: 24 });
  fc.assert(
    fc.property(order, fc.integer({ min: 1, max: 5 }), (arrivals, batch) => {
      const waiting = createWaiting({ records: 100, bytes: 10_000 });
      const stored: number[] = [];
      for (let at = 0; at < arrivals.length; at += batch) {
        const come = arrivals.slice(at, at + batch);
        for (const one of [...come, ...waiting.release(come)].toSorted(
          (a, b) => a.record.event.chain.seq - b.record.event.chain.seq,
        )) {
          const { seq } = one.record.event.chain;
          if (seq < stored.length) continue;
          if (seq === stored.length) stored.push(seq);
          else expect(waiting.hold(one)).toBe(true);
        }
      }
      expect(stored).toEqual(seqsOf(RECORDS));
    }),
  );
});

test('only what comes in front of all that waits lets it go, and only that of its stream', () => {
  const waiting = createWaiting({ records: 100, bytes: 10_000 });
  for (const one of RECORDS.slice(3, 6)) waiting.hold(one);
  const other = createSealer();
  expect(waiting.release([incomingOf(other.seal()), RECORDS[7]!])).toEqual([]);
  expect(seqsOf(waiting.release([RECORDS[2]!]))).toEqual([3, 4, 5]);
  expect(waiting.release([RECORDS[2]!])).toEqual([]);
});

test('it holds so many records and so many bytes; one that comes again takes no more room', () => {
  const byCount = createWaiting({ records: 2, bytes: 10_000 });
  expect(RECORDS.slice(1, 4).map((one) => byCount.hold(one))).toEqual([true, true, false]);
  expect(byCount.hold(RECORDS[2]!)).toBe(true);
  const byBytes = createWaiting({ records: 100, bytes: 250 });
  expect(RECORDS.slice(1, 4).map((one) => byBytes.hold(one))).toEqual([true, true, false]);
  byBytes.release([RECORDS[1]!]);
  expect(byBytes.hold(RECORDS[3]!)).toBe(true);
});
