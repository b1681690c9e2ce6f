/**
 * Records whose predecessor has not come yet, kept in memory until it does. Their messages stay unanswered:
 * they come again after the acknowledgement wait, or at once to whoever takes the shard over, so nothing is lost
 * with this memory. What is handed back instead comes again when its delay is over, each by itself; records that
 * came in the wrong order would go in one by one, a delay each. Pure.
 */
import type { Incoming } from './incoming.ts';

export interface Waiting {
  /** Takes out what may go on now that these have come: of each stream, if one of them is in front of all that waits. */
  release(come: readonly Incoming[]): Incoming[];
  /** False: there is no room. One that waits already is replaced, since it came again. */
  hold(incoming: Incoming): boolean;
}

export interface WaitingLimits {
  readonly records: number;
  /** Of all messages together. */
  readonly bytes: number;
}

interface Queue {
  readonly records: Map<string, Incoming>;
  lowest: number;
}

/** Creates a waiting room. */
export function createWaiting(limits: WaitingLimits): Waiting {
  const queues = new Map<string, Queue>();
  let [records, bytes] = [0, 0];
  const count = ({ message }: Incoming, sign: 1 | -1): void => {
    records += sign;
    bytes += sign * message.data.length;
  };

  return {
    release: (come) => {
      const released: Incoming[] = [];
      for (const { record } of come) {
        const { stream, seq } = record.event.chain;
        const queue = queues.get(stream);
        if (queue === undefined || seq > queue.lowest) continue;
        queues.delete(stream);
        for (const one of queue.records.values()) {
          count(one, -1);
          released.push(one);
        }
      }
      return released;
    },
    hold: (incoming) => {
      const { event, this_hash: hash } = incoming.record;
      const { stream, seq } = event.chain;
      const key = `${seq} ${hash}`;
      const before = queues.get(stream)?.records.get(key);
      if (before !== undefined) count(before, -1);
      else if (records >= limits.records || bytes + incoming.message.data.length > limits.bytes)
        return false;
      const queue = queues.get(stream) ?? { records: new Map<string, Incoming>(), lowest: seq };
      queues.set(stream, queue);
      queue.records.set(key, incoming);
      queue.lowest = Math.min(queue.lowest, seq);
      count(incoming, 1);
      return true;
    },
  };
}
