/** A throw-away PostgreSQL 15 of the host, the oldest that is supported; `trust` on loopback. */
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../bench/processes.ts';

const BIN = '/usr/lib/postgresql/15/bin';

export const hasPostgres15: boolean = existsSync(`${BIN}/postgres`);

/** Starts a server with an empty database `postgres` and the superuser `boss`; `settings` as for `postgres -c`. */
export async function startPostgres15(
  ...settings: readonly string[]
): Promise<{ readonly url: string } & AsyncDisposable> {
  const data = await mkdtemp(join(tmpdir(), 'sealtrail-pg15-'));
  if (process.getuid?.() === 0) {
    const uid = Number(execFileSync('id', ['-u', 'postgres']).toString());
    chownSync(data, uid, statSync(data).gid);
  }
  const port = await freePort();
  run('initdb', '-D', data, '-A', 'trust', '-U', 'boss', '--no-sync');
  const more = settings.map((setting) => ` -c ${setting}`).join('');
  const options = `-c listen_addresses=127.0.0.1 -p ${port} -k ${data}${more}`;
  run('pg_ctl', '-D', data, '-w', '-l', join(data, 'log'), '-o', options, 'start');
  return {
    url: `postgresql://boss@127.0.0.1:${port}/postgres`,
    [Symbol.asyncDispose]: async () => {
      run('pg_ctl', '-D', data, '-w', '-m', 'immediate', 'stop');
      await rm(data, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

/** Runs a program of PostgreSQL as the user that may run it. */
function run(program: string, ...args: string[]): void {
  const command = [join(BIN, program), ...args];
  const [file = '', ...rest] =
    process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--', ...command] : command;
  execFileSync(file, rest, { stdio: 'pipe', cwd: tmpdir() });
}
