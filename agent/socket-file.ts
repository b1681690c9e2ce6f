/** The file of a unix socket: what a crash left behind is removed, what somebody answers on is not. */
import { lstat, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { codeOf, err, ok, type Result } from '../schemas/result.ts';

export interface SocketFileFault {
  readonly kind: 'address_in_use' | 'cannot_listen';
  readonly message: string;
}

/** Makes room for a socket at a path. Only a socket that nobody answers on is removed. */
export async function removeStaleSocket(path: string): Promise<Result<void, SocketFileFault>> {
  const answer = await tryConnect(path);
  if (answer === 'connected') {
    return err({
      kind: 'address_in_use',
      message: `another agent answers on ${path}; stop it, or set SEALTRAIL_DATA_DIR`,
    });
  }
  if (answer === 'ENOENT') return ok(undefined);
  // Any other kind of file refuses a connection just as a dead socket does.
  if (answer !== 'ECONNREFUSED' || !(await lstat(path)).isSocket()) {
    return err({ kind: 'cannot_listen', message: `cannot use ${path} for a socket: ${answer}` });
  }
  await rm(path, { force: true });
  return ok(undefined);
}

function tryConnect(path: string): Promise<string> {
  return new Promise((done) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      done('connected');
    });
    probe.once('error', (error) => done(codeOf(error)));
  });
}
