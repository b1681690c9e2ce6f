/** Processes of this host, by a folder that they were started with. */
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { AgentProcess } from './agent-process.ts';
import { eventually, startStopwatch } from './eventually.ts';

export interface Running {
  readonly pid: number;
  /** The command line. */
  readonly name: string;
}

/** Processes whose command line names the folder, and their children; ended ones left out. */
export async function processesOn(dir: string): Promise<readonly Running[]> {
  const all = (await Promise.all((await readdir('/proc')).map(readProcess))).flatMap((one) =>
    one === null ? [] : [one],
  );
  const found = new Map(all.filter(({ name }) => name.includes(dir)).map((one) => [one.pid, one]));
  for (let before = -1; before !== found.size;) {
    before = found.size;
    for (const one of all) if (found.has(one.parent)) found.set(one.pid, one);
  }
  return [...found.values()].map(({ pid, name }) => ({ pid, name }));
}

async function readProcess(entry: string): Promise<(Running & { readonly parent: number }) | null> {
  if (!/^\d+$/.test(entry)) return null;
  try {
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8');
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8');
    const [state = '', parent = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z') return null;
    return { pid: Number(entry), name: command.replaceAll('\0', ' '), parent: Number(parent) };
  } catch {
    // It has ended since the list was made.
    return null;
  }
}

/** Whether a child of this process still runs. */
export const isAlive = (pid: number): boolean => signal(pid, 0);

/** Sends a signal to a process that may have ended by now; false: it has. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    // It has ended, and was waited for.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** Sends one signal, as a terminal or a supervisor does; resolves with exit code and time taken (startStopwatch). */
export async function signalAgent(
  agent: AgentProcess,
  name: NodeJS.Signals,
): Promise<{ readonly code: number | null; readonly ms: number }> {
  const pid = agent.pid();
  const elapsedMs = startStopwatch();
  process.kill(pid, name);
  await eventually(() => expect(isAlive(pid)).toBe(false));
  const ms = elapsedMs();
  return { code: await agent.stop(), ms };
}
