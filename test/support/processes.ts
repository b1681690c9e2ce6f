/** Processes of this host, by a folder that they were started with. */
import { readdir, readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { AgentProcess } from './agent-process.ts';
import { eventually } from './eventually.ts';

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
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    // ESRCH: it has ended, and was waited for.
    return false;
  }
}

/** Sends one signal, as a terminal or a supervisor does; resolves with exit code and time taken. */
export async function signalAgent(
  agent: AgentProcess,
  name: NodeJS.Signals,
): Promise<{ readonly code: number | null; readonly ms: number }> {
  const pid = agent.pid();
  const startedMs = performance.now();
  process.kill(pid, name);
  await eventually(() => expect(isAlive(pid)).toBe(false));
  const ms = performance.now() - startedMs;
  return { code: await agent.stop(), ms };
}
