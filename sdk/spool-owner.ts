/**
 * Who writes into a folder of the spool. Each process has a folder of its own, held by a lock
 * (proper-lockfile: a folder whose time is refreshed, which works across containers that share a volume)
 * and a note of who holds it. A folder is taken over when its lock has gone stale and its owner is not
 * known to be alive: one that merely hangs keeps it. Should two take it over all the same, they send the
 * same events under the same numbers, and the agent records each once.
 */
import { readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../schemas/result.ts';

/** Without a refresh for this long a lock counts as left behind. */
const STALE_MS = 5000;

export interface FolderLock {
  /** False once another process took the folder away. */
  isHeld(): boolean;
  release(): Promise<void>;
}

/** Locks a folder; null when another process holds it. Rejects with the system's error. */
export async function lockFolder(folder: string): Promise<FolderLock | null> {
  if (await isOwnerAlive(folder)) return null;
  // Loaded with the first use: it listens for the end of the process, which no other use of the SDK needs.
  const { lock } = await import('proper-lockfile');
  let isHeld = true;
  const release = await lock(folder, {
    stale: STALE_MS,
    onCompromised: () => {
      isHeld = false;
    },
  }).catch((error: unknown) => {
    if (messageOf(error).includes('already being held')) return null;
    throw error;
  });
  if (release === null) return null;
  try {
    const note = JSON.stringify(await describe(process.pid));
    await writeFile(ownerPath(folder), note, { mode: 0o600 });
  } catch (error) {
    // Held on to, nobody could ever take it: not this process either.
    await release();
    throw error;
  }
  return {
    isHeld: () => isHeld,
    release: async () => {
      if (!isHeld) return;
      isHeld = false;
      try {
        await rm(ownerPath(folder), { force: true });
      } finally {
        await release();
      }
    },
  };
}

interface Owner {
  readonly pid: number;
  /** Boot and pid namespace: where the pid means something. */
  readonly host: string;
  /** With the pid it names a process for good. */
  readonly started: string;
}

function ownerPath(folder: string): string {
  return join(folder, 'owner.json');
}

async function isOwnerAlive(folder: string): Promise<boolean> {
  const owner = await readOwner(ownerPath(folder));
  if (owner === null) return false;
  const now = await describe(owner.pid);
  // Without /proc nothing is known: the lock decides by its age.
  return now.started !== '' && now.host === owner.host && now.started === owner.started;
}

async function readOwner(path: string): Promise<Owner | null> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    if (!('pid' in value) || typeof value.pid !== 'number') return null;
    if (!('host' in value) || typeof value.host !== 'string') return null;
    if (!('started' in value) || typeof value.started !== 'string') return null;
    return { pid: value.pid, host: value.host, started: value.started };
  } catch {
    // No note, or half of one: the lock then decides by its age alone.
    return null;
  }
}

async function describe(pid: number): Promise<Owner> {
  const boot = await textOf(() => readFile('/proc/sys/kernel/random/boot_id', 'utf8'));
  const namespace = await textOf(() => readlink('/proc/self/ns/pid'));
  const stat = await textOf(() => readFile(`/proc/${pid}/stat`, 'utf8'));
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return { pid, host: `${boot.trim()} ${namespace}`, started };
}

/** Empty where there is no such file: no such process, or a system without /proc. */
async function textOf(read: () => Promise<string>): Promise<string> {
  try {
    return await read();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}
