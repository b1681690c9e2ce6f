/** Percentiles and process figures for the benchmarks. */
import { readdirSync, readFileSync } from 'node:fs';

/** Value at a quantile of sorted numbers; NaN where there are none. */
export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export interface Latencies {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** Latency quantiles in milliseconds. */
export function latenciesOf(samplesMs: readonly number[]): Latencies {
  const sorted = Float64Array.from(samplesMs).sort();
  const at = (q: number): number => quantile([...sorted], q);
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

const TICKS_PER_SECOND = 100;

/** CPU seconds (user and system, all threads) and peak resident bytes of a process. */
export function usageOf(pid: number): { readonly cpuSeconds: number; readonly rssBytes: number } {
  const fields = statFieldsOf(String(pid));
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const rssKb = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rssBytes: rssKb * 1024,
  };
}

/** Resident bytes of a process at this moment. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

/** CPU seconds of a process and its children, those that ended and were waited for included. */
export function treeCpuSeconds(pid: number): number {
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statFieldsOf(name);
    const isRoot = Number(name) === pid;
    if (!isRoot && Number(fields[1]) !== pid) continue;
    for (const field of isRoot ? fields.slice(11, 15) : fields.slice(11, 13))
      ticks += Number(field);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Fields of /proc/PID/stat from the state on; none where the process has ended. */
function statFieldsOf(pid: string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    // Processes come and go while the list is read.
    return [];
  }
}
