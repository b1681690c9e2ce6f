/** One writer per data directory: who gets the lock, who loses it, and what is left alone then. */
import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { lockDataDir, type DataLock } from '../../agent/lock.ts';
import { eventually, startStopwatch } from '../support/eventually.ts';
import { makeTempDir } from '../support/ledger.ts';

const ignore = (): void => undefined;

async function take(dir: string, onLost: (reason: string) => void = ignore): Promise<DataLock> {
  const lock = await lockDataDir(dir, onLost);
  if (!lock.ok) throw new Error(lock.error.message);
  return lock.value;
}

/** What an agent leaves behind that was killed on this host. */
async function leaveDeadOwner(dir: string): Promise<void> {
  const lock = await take(dir);
  const owner = JSON.parse(await readFile(join(dir, 'agent.owner.json'), 'utf8')) as object;
  await lock.release();
  await mkdir(join(dir, 'agent.lock'));
  await writeFile(join(dir, 'agent.owner.json'), JSON.stringify({ ...owner, started: '1' }));
}

test('a second agent is refused, and told whose directory it is', async () => {
  await using temp = await makeTempDir();
  const lock = await take(temp.path);
  expect(await lockDataDir(temp.path, ignore)).toMatchObject({
    ok: false,
    error: { kind: 'locked', message: expect.stringContaining(`pid ${process.pid}`) as string },
  });
  await lock.release();
  await (await take(temp.path)).release();
});

test('of many that start over a dead owner one takes the lock, at once', async () => {
  await using temp = await makeTempDir();
  await leaveDeadOwner(temp.path);
  const elapsedMs = startStopwatch();
  const taken = await Promise.all(Array.from({ length: 12 }, () => lockDataDir(temp.path, ignore)));
  const owners = taken.flatMap((lock) => (lock.ok ? [lock.value] : []));
  expect(owners).toHaveLength(1);
  expect(elapsedMs()).toBeLessThan(5_000);
  for (const owner of owners) await owner.release();
});

test('an owner that is alive, or on another host, is waited for', async () => {
  await using temp = await makeTempDir();
  await leaveDeadOwner(temp.path);
  const path = join(temp.path, 'agent.owner.json');
  const owner = JSON.parse(await readFile(path, 'utf8')) as object;
  await writeFile(path, JSON.stringify({ ...owner, boot: 'of-another-host' }));
  expect(await lockDataDir(temp.path, ignore)).toMatchObject({
    ok: false,
    error: { kind: 'locked' },
  });
});

test('a lock that is taken away is told, and its loser leaves the new owner in peace', async () => {
  await using temp = await makeTempDir();
  const lost = vi.fn();
  const lock = await take(temp.path, lost);
  await rm(join(temp.path, 'agent.lock'), { recursive: true });
  await mkdir(join(temp.path, 'agent.lock'));
  // An owner is known by its lock's time, which is the same where both are made within one tick of the kernel's clock.
  const later = new Date(Date.now() + 1_000);
  await utimes(join(temp.path, 'agent.lock'), later, later);
  await writeFile(join(temp.path, 'agent.owner.json'), '{"new":"owner"}');
  await eventually(() => expect(lost).toHaveBeenCalledOnce());
  await lock.release();
  expect(await readFile(join(temp.path, 'agent.owner.json'), 'utf8')).toBe('{"new":"owner"}');
});
