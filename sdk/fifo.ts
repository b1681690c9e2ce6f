/**
 * A first-in, first-out queue with constant-time ends: Array.shift moves every element of a
 * long array, which at 100,000 waiting events is most of the work.
 */
export interface Fifo<T> {
  push(item: T): void;
  peek(): T | undefined;
  shift(): T | undefined;
  /** Puts items before all others, in their order. */
  prepend(first: readonly T[]): void;
  length(): number;
}

const COMPACT_AT = 1024;

/** Creates an empty queue. */
export function createFifo<T>(): Fifo<T> {
  let items: T[] = [];
  let head = 0;

  function shift(): T | undefined {
    const item = items[head];
    if (head >= items.length) return undefined;
    head += 1;
    if (head === items.length) {
      items = [];
      head = 0;
    } else if (head >= COMPACT_AT && head * 2 >= items.length) {
      items = items.slice(head);
      head = 0;
    }
    return item;
  }

  return {
    push: (item) => void items.push(item),
    peek: () => items[head],
    shift,
    prepend(first) {
      items = [...first, ...items.slice(head)];
      head = 0;
    },
    length: () => items.length - head,
  };
}
