/**
 * One writer per data directory. proper-lockfile holds the lock (a folder whose time is refreshed,
 * which works across containers that share a volume). After a kill -9 it would stay until it is
 * stale; since that would cost every crash ten seconds, a lock whose owner is provably dead on this
 * host is taken over at once. Two starters cannot both do so: the takeover happens under an abstract
 * unix socket, which the kernel frees with its process.
 */
import { readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import * as lockfile from 'proper-lockfile';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';

export interface DataLock {
  release(): Promise<void>;
}

export interface LockError {
  readonly kind: 'locked' | 'io';
  readonly message: string;
}

/** Without a refresh for this long a lock of another host counts as left behind. */
const STALE_MS = 10_000;

/** Takes the lock of a data directory; `onLost` is called if it is taken away later: stop writing then. */
export async function lockDataDir(
  dir: string,
  onLost: (reason: string) => void,
): Promise<Result<DataLock, LockError>> {
  const lockPath = join(dir, 'agent.lock');
  const ownerPath = join(dir, 'agent.owner.json');
  let isLost = false;
  try {
    const mutex = await holdMutex(dir);
    if (mutex === null) return err(lockedBy(dir, await readOwner(ownerPath)));
    try {
      const owner = await readOwner(ownerPath);
      if (owner !== null && (await isDead(owner)))
        await rm(lockPath, { recursive: true, force: true });
      const release = await lockfile.lock(dir, {
        lockfilePath: lockPath,
        stale: STALE_MS,
        onCompromised: (error) => {
          isLost = true;
          onLost(error.message);
        },
      });
      await writeFile(ownerPath, JSON.stringify(await describeSelf()), { mode: 0o600 });
      return ok({
        release: async () => {
          // What lies there after a loss is another owner's.
          if (!isLost) {
            await rm(ownerPath, { force: true });
            await release();
          }
          mutex.close();
        },
      });
    } catch (error) {
      mutex.close();
      const locked = messageOf(error).includes('already being held');
      return err(
        locked
          ? lockedBy(dir, await readOwner(ownerPath))
          : { kind: 'io', message: `cannot lock ${dir}: ${messageOf(error)}` },
      );
    }
  } catch (error) {
    return err({ kind: 'io', message: `cannot lock ${dir}: ${messageOf(error)}` });
  }
}

interface Owner {
  readonly pid: number;
  readonly boot: string;
  readonly namespace: string;
  readonly started: string;
}

function lockedBy(dir: string, owner: Owner | null): LockError {
  const who = owner === null ? 'another agent' : `another agent (pid ${owner.pid})`;
  return {
    kind: 'locked',
    message: `${who} uses ${dir}; stop it, or give this one its own SEALTRAIL_DATA_DIR`,
  };
}

/** Binds the abstract socket named after the directory; null when somebody holds it. */
async function holdMutex(dir: string): Promise<Server | null> {
  const { dev, ino } = await stat(dir);
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') done(null);
      else fail(error);
    });
    server.listen(`\0sealtrail-lock-${dev}-${ino}`, () => done(server));
  });
}

async function describeSelf(): Promise<Owner> {
  return {
    pid: process.pid,
    boot: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
    namespace: await readlink('/proc/self/ns/pid'),
    started: await startTimeOf(process.pid),
  };
}

/** Field 22 of /proc/<pid>/stat: with the pid it names a process for good. */
async function startTimeOf(pid: number): Promise<string> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

/** Whether the owner ran on this host, in this pid namespace, and is gone. */
async function isDead(owner: Owner): Promise<boolean> {
  const self = await describeSelf();
  if (owner.boot !== self.boot || owner.namespace !== self.namespace) return false;
  const started = await startTimeOf(owner.pid).catch(() => 'gone');
  return started !== owner.started;
}

async function readOwner(path: string): Promise<Owner | null> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof value !== 'object' || value === null) return null;
    if (!('pid' in value) || typeof value.pid !== 'number') return null;
    if (!('boot' in value) || typeof value.boot !== 'string') return null;
    if (!('namespace' in value) || typeof value.namespace !== 'string') return null;
    if (!('started' in value) || typeof value.started !== 'string') return null;
    return { pid: value.pid, boot: value.boot, namespace: value.namespace, started: value.started };
  } catch {
    // No owner file, or half of one: the lock then decides by its age alone.
    return null;
  }
}
