/**
 * One connection to a syslog receiver. Syslog has no acknowledgement: what can be known is that the
 * kernel took the bytes, that nobody has closed or reset the connection since, and, when our side is
 * closed first, that the receiver read to the end and closed its own.
 */
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { codeOf, err, messageOf, ok, type Result } from '../../../schemas/result.ts';
import type { Endpoint } from '../../endpoint.ts';

export interface SyslogConnection {
  /** Hands bytes to the kernel; fails when none of them moves for the timeout. */
  write(bytes: Buffer, signal: AbortSignal): Promise<Result<void, string>>;
  /** Waits so long for the receiver to close or reset; null when it did not. */
  watch(ms: number, signal: AbortSignal): Promise<string | null>;
  /** Why the connection is of no use any more; null while it is. Sees what came before this turn. */
  trouble(): Promise<string | null>;
  /** Resolves once it is gone, whoever ended it. */
  readonly gone: Promise<void>;
  /** Closes our side and waits for the receiver to close its own: it has read everything then. */
  finish(signal: AbortSignal): Promise<Result<void, string>>;
  destroy(): void;
}

export interface ConnectionOptions {
  readonly endpoint: Endpoint;
  /** Options of tls.connect; null: plain TCP. */
  readonly tls: object | null;
  /** For the connection and its handshake, and for each step of progress after it. */
  readonly timeoutMs: number;
}

/** So much is written before progress is looked at. */
const WRITE_BYTES = 64 * 1024;
const CLOSED = 'the receiver closed the connection';

/** Connects. The error says why not, in the words of the system or of TLS. */
export async function openConnection(
  { endpoint, tls, timeoutMs }: ConnectionOptions,
  signal: AbortSignal,
): Promise<Result<SyslogConnection, string>> {
  const made = makeSocket(endpoint, tls);
  if (!made.ok) return made;
  const socket = made.value;
  const state = observe(socket, tls === null ? 'connect' : 'secureConnect');
  const gone = new Promise<void>((settle) => socket.once('close', () => settle()));

  async function expect(
    done: () => boolean,
    stop: AbortSignal,
    late: string,
  ): Promise<Result<void, string>> {
    const how = await state.wait(done, timeoutMs, stop);
    if (how === 'done') return ok(undefined);
    return err(how === 'trouble' ? (state.trouble() ?? CLOSED) : how === 'timeout' ? late : how);
  }

  async function write(bytes: Buffer, stop: AbortSignal): Promise<Result<void, string>> {
    for (let at = 0; at < bytes.length; at += WRITE_BYTES) {
      let isTaken = false;
      socket.write(bytes.subarray(at, at + WRITE_BYTES), () => {
        isTaken = true;
        state.look();
      });
      const taken = await expect(() => isTaken, stop, 'the receiver does not read: timeout');
      if (!taken.ok) return taken;
    }
    return ok(undefined);
  }

  const connected = await expect(state.isConnected, signal, 'no connection: timeout');
  if (!connected.ok) {
    socket.destroy();
    return connected;
  }
  return ok({
    gone,
    write,
    watch: async (ms, stop) => {
      await state.wait(() => false, ms, stop);
      return state.trouble();
    },
    trouble: async () => {
      // A FIN or RST that is here already is told within the next turns of the loop.
      await nextTurn();
      await nextTurn();
      return state.trouble();
    },
    finish: (stop) => {
      socket.end();
      const late = 'the receiver does not close its side after ours; it may need confirm: false';
      return expect(state.isFinished, stop, late);
    },
    destroy: () => socket.destroy(),
  });
}

/** A certificate or key that cannot be read is told by tls.connect itself. */
function makeSocket({ host, port }: Endpoint, tls: object | null): Result<Socket, string> {
  if (tls === null) return ok(connect({ host, port }));
  const servername = isIP(host) === 0 ? { servername: host } : {};
  try {
    return ok(connectTls({ host, port, ...servername, ...tls }));
  } catch (error) {
    return err(`the files of tls cannot be used: ${describe(error)}`);
  }
}

type Waited = 'done' | 'trouble' | 'timeout' | 'stopped';

interface SocketState {
  trouble(): string | null;
  isConnected(): boolean;
  /** Both sides were closed in order, ours first. */
  isFinished(): boolean;
  /** Has those who wait look again. */
  look(): void;
  /** Resolves when `done` says so, with trouble, after so long, or with the signal. */
  wait(done: () => boolean, ms: number, stop: AbortSignal): Promise<Waited>;
}

/** Follows what becomes of a socket; reads it, since its end is only seen by reading. */
function observe(socket: Socket, connectEvent: string): SocketState {
  let trouble: string | null = null;
  let isConnected = false;
  let isFinished = false;
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const one of waiting) one();
  };
  const on = (event: string, note: (error?: unknown) => void): void => {
    socket.on(event, (error?: unknown) => {
      note(error);
      look();
    });
  };
  socket.setNoDelay(true);
  socket.resume();
  on(connectEvent, () => (isConnected = true));
  on('error', (error) => (trouble ??= describe(error)));
  on('end', () => {
    isFinished = socket.writableEnded && trouble === null;
    if (!isFinished) trouble ??= CLOSED;
  });
  on('close', () => {
    if (!isFinished) trouble ??= CLOSED;
  });

  return {
    trouble: () => trouble,
    isConnected: () => isConnected,
    isFinished: () => isFinished,
    look,
    wait: (done, ms, stop) =>
      new Promise((resolve) => {
        const end = (how: Waited): void => {
          clearTimeout(timer);
          waiting.delete(check);
          stop.removeEventListener('abort', abort);
          resolve(how);
        };
        const timer = setTimeout(() => end('timeout'), ms);
        const abort = (): void => end('stopped');
        const check = (): void => {
          if (trouble !== null) end('trouble');
          else if (done()) end('done');
        };
        waiting.add(check);
        stop.addEventListener('abort', abort, { once: true });
        if (stop.aborted) abort();
        else check();
      }),
  };
}

const nextTurn = (): Promise<void> => new Promise((turn) => setImmediate(turn));

function describe(error: unknown): string {
  const code = codeOf(error);
  const message = messageOf(error);
  return code === '' || message.includes(code) ? message : `${message} (${code})`;
}
