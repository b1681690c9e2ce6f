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

  async function one(dueMs: number): Promise<void> {
    await target.record(events++);
    if (samplesMs.length < SAMPLES_MAX)
      samplesMs.push(Math.round((performance.now() - dueMs) * 1000) / 1000);
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

/** Keeps `window` events open: refills half a window at a time, as a busy service would. */
async function runWindow(
  one: (dueMs: number) => Promise<void>,
  endMs: number,
  window: number,
): Promise<void> {
  const half = Math.max(1, Math.floor(window / 2));
  let earlier: Promise<unknown> = Promise.resolve();
  while (performance.now() < endMs) {
    const now = performance.now();
    const batch = Promise.all(Array.from({ length: half }, () => one(now)));
    await earlier;
    earlier = batch;
  }
  await earlier;
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
