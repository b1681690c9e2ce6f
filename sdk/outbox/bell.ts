/** A bell to wait at: rung before the wait, it is heard all the same, once. */
export interface Bell {
  ring(): void;
  /** Wakes everybody, now and from now on. */
  close(): void;
  /** Resolves at a ring, at close() or after the time. */
  wait(ms: number): Promise<void>;
  /** Resolves at close() or after the time: rings do not shorten a backoff, nor get lost. */
  pause(ms: number): Promise<void>;
}

/** Creates a bell for one who waits. */
export function createBell(): Bell {
  let rung = false;
  let closed = false;
  let wake: (() => void) | null = null;
  let hearsRings = false;

  function sleep(ms: number, hears: boolean): Promise<void> {
    if (closed || (hears && rung)) {
      if (hears) rung = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      hearsRings = hears;
      wake = done;
      function done(): void {
        clearTimeout(timer);
        wake = null;
        if (hears) rung = false;
        resolve();
      }
    });
  }

  return {
    ring: () => {
      rung = true;
      if (hearsRings) wake?.();
    },
    close: () => {
      closed = true;
      wake?.();
    },
    wait: (ms) => sleep(ms, true),
    pause: (ms) => sleep(ms, false),
  };
}
