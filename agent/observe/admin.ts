/**
 * The admin server: one set of answers, two doors. TCP on loopback for probes and Prometheus; a unix
 * socket (0600) for the owner, who may also see the status and send dead letters again.
 */
import { assert, err, ok, type Result } from '../../schemas/result.ts';
import { isLoopback, parseEndpoint, type Endpoint } from '../endpoint.ts';
import type { Logger } from '../ports.ts';
import { removeStaleSocket, type SocketFileFault } from '../socket-file.ts';
import { closeDoor, createDoor, openDoor, refuseWebPage } from './admin-door.ts';
import { createOpenRoutes, createOwnerRoutes, type AdminSources } from './admin-routes.ts';

export interface AdminOptions extends AdminSources {
  /** host:port, loopback only. Port 0 picks a free one. */
  readonly endpoint: string;
  readonly socketPath: string;
  readonly log: Logger;
}

export interface AdminFault {
  readonly kind: SocketFileFault['kind'] | 'endpoint_invalid' | 'endpoint_not_loopback';
  readonly message: string;
}

export interface AdminServer {
  /** Opens both doors or neither. */
  listen(): Promise<Result<{ readonly port: number }, AdminFault>>;
  /** Lets answers under way leave for a moment, then cuts them. Idempotent. */
  close(): Promise<void>;
}

/** Creates a server that does not listen yet. */
export function createAdminServer(options: AdminOptions): AdminServer {
  const { log, socketPath } = options;
  const open = createDoor(createOpenRoutes(options), refuseWebPage, log);
  // No browser reaches a unix socket, and its file mode says who may.
  const owner = createDoor(createOwnerRoutes(options), () => null, log);

  async function openBoth(): Promise<Result<void, AdminFault>> {
    const endpoint = checkEndpoint(options.endpoint);
    if (!endpoint.ok) return endpoint;
    const stale = await removeStaleSocket(socketPath);
    if (!stale.ok) return stale;
    const tcp = await openDoor(open, endpoint.value, log);
    if (!tcp.ok) return tcp;
    return openDoor(owner, { path: socketPath }, log);
  }

  async function listen(): Promise<Result<{ readonly port: number }, AdminFault>> {
    const opened = await openBoth();
    if (!opened.ok) {
      await close();
      return err({ ...opened.error, message: `admin server: ${opened.error.message}` });
    }
    const bound = open.address();
    assert(typeof bound === 'object' && bound !== null, 'a TCP server has an address');
    return ok({ port: bound.port });
  }

  async function close(): Promise<void> {
    options.tap.close();
    await Promise.all([closeDoor(open), closeDoor(owner)]);
  }

  return { listen, close };
}

function checkEndpoint(text: string): Result<Endpoint, AdminFault> {
  const name = 'service.telemetry.admin_endpoint';
  const endpoint = parseEndpoint(text);
  if (endpoint === null) {
    const message = `${name} must be host:port, such as 127.0.0.1:9464`;
    return err({ kind: 'endpoint_invalid', message });
  }
  if (isLoopback(endpoint.host)) return ok(endpoint);
  const message = `${name} ${text} can be reached from other hosts; listen on 127.0.0.1`;
  return err({ kind: 'endpoint_not_loopback', message });
}
