/** Lines that would fill the log: what goes on for a day is told once a minute, with how often it came. Pure. */

/** How often it came since it was told last, this time counted; null: it is not to be told now. Its names must be few. */
export type LogLimit = (name: string) => number | null;

export const LOG_INTERVAL_MS = 60_000;

/** Creates a limit by which nothing has been told yet. */
export function createLogLimit(
  nowMs: () => number,
  intervalMs: number = LOG_INTERVAL_MS,
): LogLimit {
  const kept = new Map<string, { toldMs: number; times: number }>();
  return (name) => {
    const of = kept.get(name) ?? { toldMs: -Infinity, times: 0 };
    kept.set(name, of);
    of.times += 1;
    // Either way: a clock that is set back must not silence it.
    if (Math.abs(nowMs() - of.toldMs) < intervalMs) return null;
    const { times } = of;
    Object.assign(of, { toldMs: nowMs(), times: 0 });
    return times;
  };
}
