/**
 * Who runs the embedded server. PostgreSQL refuses to run as root, so root hands it to an
 * unprivileged user where that user can really reach programs and data, and otherwise to a user
 * namespace in which root appears as nobody: files keep root's permissions, so a directory below
 * /root works too.
 */
import { chmod, chown, lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../schemas/result.ts';
import {
  runCommand,
  spawnAs,
  type Binaries,
  type EmbeddedError,
  type Identity,
} from './embedded-binaries.ts';

/** Users tried in this order when the agent runs as root. */
const USERS: readonly string[] = ['postgres', 'nobody'];

/** Decides who runs the server; each candidate is tried for real before it is chosen. */
export async function chooseIdentity(
  binaries: Binaries,
  dir: string,
): Promise<Result<Identity, EmbeddedError>> {
  const self: Identity = { kind: 'self' };
  if (process.getuid?.() !== 0) {
    const answer = await runCommand(spawnAs(self, binaries.postgres, ['--version']));
    if (answer.code === 0) return ok(self);
    return err({
      kind: 'binaries',
      message: `${binaries.postgres} does not run: ${answer.output.trim()}`,
    });
  }
  const tried: string[] = [];
  for (const candidate of [...(await knownUsers()), { kind: 'namespace' } as const]) {
    const problem = await whyNot(candidate, binaries, dir);
    if (problem === null) return ok(candidate);
    tried.push(`${candidate.kind === 'user' ? candidate.name : 'user namespace'}: ${problem}`);
  }
  return err({
    kind: 'permission',
    message:
      `PostgreSQL refuses to run as root, and nobody else can run it in ${dir} (${tried.join('; ')}). ` +
      'Start the agent as an ordinary user, or set SEALTRAIL_DATA_DIR to a directory that other users can enter, such as /var/lib/sealtrail',
  });
}

/**
 * Lets the identity through `dir` to its data directory. `dir` itself stays this process's: root
 * writes files there and MUST NOT do so in a directory that somebody else controls.
 */
export async function openTo(identity: Identity, dir: string): Promise<void> {
  await chmod(dir, identity.kind === 'user' ? 0o711 : 0o700);
  const data = join(dir, 'data');
  const exists = await lstat(data).then(
    () => true,
    () => false,
  );
  if (exists) await giveTo(identity, data);
}

/** Makes a directory and what is in it belong to the identity (root only; else nothing to do). */
export async function giveTo(identity: Identity, dir: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const uid = identity.kind === 'user' ? identity.uid : 0;
  const gid = identity.kind === 'user' ? identity.gid : 0;
  const top = await lstat(dir);
  if (top.uid !== uid) await chownTree(dir, uid, gid);
}

async function chownTree(path: string, uid: number, gid: number): Promise<void> {
  const entry = await lstat(path);
  // A symbolic link could point outside; nothing of ours is one.
  if (entry.isSymbolicLink()) return;
  if (entry.isDirectory())
    for (const name of await readdir(path)) await chownTree(join(path, name), uid, gid);
  // The directory last: an interrupted run is seen by its owner and repeated.
  await chown(path, uid, gid);
}

async function whyNot(identity: Identity, binaries: Binaries, dir: string): Promise<string | null> {
  const program = await runCommand(spawnAs(identity, binaries.postgres, ['--version']));
  if (program.code !== 0) return `cannot run ${binaries.postgres} (${firstLine(program.output)})`;
  // The directory itself will be handed over; what counts is the way to it.
  const above = join(dir, '..');
  const check = await runCommand(spawnAs(identity, '/bin/sh', ['-c', 'test -x "$1"', 'sh', above]));
  return check.code === 0 ? null : `cannot enter ${above}`;
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}

async function knownUsers(): Promise<Identity[]> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const lines = passwd.split('\n').map((line) => line.split(':'));
  return USERS.flatMap((name) => {
    const [, , uid, gid] = lines.find((fields) => fields[0] === name) ?? [];
    if (uid === undefined || gid === undefined || Number(uid) === 0) return [];
    return [{ kind: 'user' as const, name, uid: Number(uid), gid: Number(gid) }];
  });
}
