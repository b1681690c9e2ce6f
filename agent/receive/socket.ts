/**
 * The unix socket receiver: the SDK's way in. File mode and a tenant allow-list say who may write
 * what; a connection that breaks the protocol costs only itself.
 */
import { chmod } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import type { SocketReceiverConfig } from '../../schemas/config.ts';
import { refusal } from '../../schemas/refusal.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { encodeFrame } from '../../schemas/wire-codec.ts';
import { FrameType, type AgentHello } from '../../schemas/wire.ts';
import type { Admission, Appender, Logger, Meter, TenantAllowList } from '../ports.ts';
import { removeStaleSocket, type SocketFileFault } from '../socket-file.ts';
import { createAllowList } from './admission.ts';
import { serveConnection, type Connection } from './connection.ts';

/** How long a client may take. */
export interface SocketLimits {
  /** To say HELLO. */
  readonly helloMs: number;
  /** To read what it was told last, once its connection is over. */
  readonly lingerMs: number;
}

export const SOCKET_LIMITS: SocketLimits = { helloMs: 10_000, lingerMs: 2_000 };

export interface SocketReceiver {
  listen(): Promise<Result<void, SocketFileFault>>;
  /** Takes no more connections, lets acks in flight leave for up to `graceMs`, then cuts the rest. */
  close(graceMs: number): Promise<void>;
}

/** Creates the receiver; nothing listens until `listen`. */
export function createSocketReceiver(options: {
  readonly config: SocketReceiverConfig;
  readonly hello: AgentHello;
  readonly admission: Admission;
  readonly appender: Appender;
  readonly meter: Meter;
  readonly log: Logger;
  readonly limits?: Partial<SocketLimits>;
  /** Default: the tenants of `config`. */
  readonly allowed?: TenantAllowList;
}): SocketReceiver {
  const { config, meter, log } = options;
  const limits = { ...SOCKET_LIMITS, ...options.limits };
  const allowed = options.allowed ?? createAllowList(config.tenants);
  /** Until the socket is closed: whoever lingers counts. */
  const serving = new Map<Socket, Connection>();

  function accept(socket: Socket): void {
    // A broken pipe is reported to the reader as well; unheard it would end the process.
    socket.on('error', (error) => log.debug({ error: error.message }, 'socket error'));
    if (serving.size >= config.connections_max) {
      meter.nacks('protocol_error', 1);
      const full = refusal(
        'protocol_error',
        `${config.connections_max} connections are open; raise receivers.socket.connections_max`,
      );
      socket.end(encodeFrame(FrameType.error, JSON.stringify(full)));
      socket.destroySoon();
      return;
    }
    meter.connection(1);
    const connection = serveConnection({ ...options, ...limits, socket, allowed });
    serving.set(socket, connection);
    socket.once('close', () => {
      serving.delete(socket);
      meter.connection(-1);
    });
  }

  const server = createServer({ allowHalfOpen: true }, accept);

  async function listen(): Promise<Result<void, SocketFileFault>> {
    const stale = await removeStaleSocket(config.path);
    if (!stale.ok) return stale;
    try {
      await new Promise<void>((done, fail) => {
        server.once('error', fail);
        server.listen(config.path, () => {
          server.off('error', fail);
          done();
        });
      });
      await chmod(config.path, Number.parseInt(config.mode, 8));
      return ok(undefined);
    } catch (error) {
      return err({
        kind: 'cannot_listen',
        message: `cannot listen on ${config.path}: ${messageOf(error)}`,
      });
    }
  }

  async function close(graceMs: number): Promise<void> {
    // Waits for every socket, as far as it was let in.
    const closed = new Promise<void>((done) => server.close(() => done()));
    for (const connection of serving.values()) connection.stop();
    const cut = setTimeout(() => {
      for (const socket of serving.keys()) socket.destroy();
    }, graceMs);
    await closed;
    clearTimeout(cut);
  }

  return { listen, close };
}
