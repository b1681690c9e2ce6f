/** A progress line on a terminal; silent where standard error is none. */

export interface Progress {
  /** `total` 0: not known. */
  readonly update: (done: number, total: number) => void;
  /** Removes the line. */
  end(): void;
}

const REDRAW_MS = 100;

/** Creates a progress line: `verifying 42 % 31.0 MB/s`. */
export function createProgress(what: string, unit: 'B' | 'events' | 'records'): Progress {
  const isShown = process.stderr.isTTY === true;
  const startedMs = performance.now();
  let drawnMs = startedMs;

  function update(done: number, total: number): void {
    const nowMs = performance.now();
    if (!isShown || nowMs - drawnMs < REDRAW_MS) return;
    drawnMs = nowMs;
    const perSecond = done / ((nowMs - startedMs) / 1000);
    const rate =
      unit === 'B' ? `${(perSecond / 1e6).toFixed(1)} MB/s` : `${perSecond.toFixed(0)} ${unit}/s`;
    const share = total > 0 ? `${((done / total) * 100).toFixed(0)} %` : String(done);
    process.stderr.write(`\r\x1b[K${what} ${share}  ${rate}`);
  }

  return {
    update,
    end: () => {
      if (isShown) process.stderr.write('\r\x1b[K');
    },
  };
}
