/**
 * The load that a client process puts on a target. Loaded by client.ts in a process of its own, so
 * that the target's CPU is not ours. Modes: `await` records one by one; `pipeline` keeps a window
 * open; `paced` records at random moments at a fixed mean rate, whatever became of those before, as
 * the users of a service do (Poisson arrivals), and measures from the moment that was due.
 */

export type Mode = 'await' | 'pipeline' | 'paced';

export interface Target {
  /** Records one event durably. */
  record(n: number): Promise<unknown>;
  close(): Promise<void>;
}

export interface LoadOptions {
  readonly mode: Mode;
  readonly seconds: number;
  /** Open events per client in `pipeline`. */
  readonly window: number;
  /** Events per second per client in `paced`. */
  readonly rate: number;
}

export interface LoadResult {
  readonly events: number;
  readonly seconds: number;
  /** A sample of latencies, milliseconds. */
  readonly samplesMs: readonly number[];
}

const SAMPLES_MAX = 200_000;

/** Runs the load with one client. */
export async function runLoad(target: Target, options: LoadOptions): Promise<LoadResult> {
  const samplesMs: number[] = [];
  const startedMs = performance.now();
  const endMs = startedMs + options.seconds * 1000;
  let events = 0;

  /** Nothing for an event but the target's own promise and what notes its end. */
  function one(dueMs: number): Promise<void> {
    return target.record(events++).then(() => {
      if (samplesMs.length < SAMPLES_MAX)
        samplesMs.push(Math.round((performance.now() - dueMs) * 1000) / 1000);
    });
  }

  if (options.mode === 'await') {
    while (performance.now() < endMs) await one(performance.now());
  } else if (options.mode === 'pipeline') {
    await runWindow(one, endMs, options.window);
  } else {
    await runPaced(one, startedMs, endMs, options.rate);
  }
  return { events, seconds: (performance.now() - startedMs) / 1000, samplesMs };
}

/** Keeps `window` events open: refills once half of them are done, as a busy service would. */
function runWindow(
  one: (dueMs: number) => Promise<void>,
  endMs: number,
  window: number,
): Promise<void> {
  const low = Math.floor(window / 2);
  return new Promise((done, fail) => {
    let open = 0;
    const fill = (): void => {
      const nowMs = performance.now();
      if (nowMs >= endMs) return open === 0 ? done() : undefined;
      for (; open < window; open++) one(nowMs).then(settled, fail);
    };
    const settled = (): void => {
      open -= 1;
      if (open <= low) fill();
    };
    fill();
  });
}

/** Exponentially distributed. */
function gapMs(rate: number): number {
  return (-Math.log(1 - Math.random()) * 1000) / rate;
}

async function runPaced(
  one: (dueMs: number) => Promise<void>,
  startedMs: number,
  endMs: number,
  rate: number,
): Promise<void> {
  const open: Promise<void>[] = [];
  for (let due = startedMs + gapMs(rate); due < endMs; due += gapMs(rate)) {
    const waitMs = due - performance.now();
    if (waitMs > 0) await new Promise((done) => setTimeout(done, waitMs));
    open.push(one(due));
  }
  await Promise.all(open);
}
