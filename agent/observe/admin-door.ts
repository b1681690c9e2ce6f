/**
 * A door of the admin server: an HTTP server over a table of routes, with limits, a doorkeeper and a
 * close that does not hang.
 */
import { chmod } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { isIP, type ListenOptions } from 'node:net';
import { codeOf, err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { parseEndpoint } from '../endpoint.ts';
import type { Logger } from '../ports.ts';
import type { SocketFileFault } from '../socket-file.ts';
import { faultAnswer, sendAnswer, type AdminAnswer } from './admin-answer.ts';
import type { Routes } from './admin-routes.ts';

/** Says why a request is not even looked at; null: it is. */
export type Doorkeeper = (request: IncomingMessage) => AdminAnswer | null;

/** No probe or scrape needs more; a slow or greedy client costs only itself. */
const LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 8 * 1024,
};
const CONNECTIONS_MAX = 64;
/** No event is longer. */
const BODY_BYTES_MAX = 64 * 1024;
const CLOSE_GRACE_MS = 500;
const OWNER_ONLY = 0o600;

/** Creates a door that is still closed. */
export function createDoor(routes: Routes, doorkeeper: Doorkeeper, log: Logger): Server {
  const server = createServer(LIMITS, (request, response) => {
    response.on('error', (error) => log.debug({ error: error.message }, 'an admin client left'));
    answerRequest(routes, doorkeeper, request).then(
      (answer) => sendAnswer(response, answer),
      (error: unknown) => {
        log.error({ component: 'admin', error: messageOf(error) }, 'an admin request failed');
        sendAnswer(response, faultAnswer(500, 'internal', "internal error; see the agent's log"));
      },
    );
  });
  server.maxConnections = CONNECTIONS_MAX;
  return server;
}

/** Opens it; a unix socket is for its owner only. */
export async function openDoor(
  door: Server,
  where: ListenOptions,
  log: Logger,
): Promise<Result<void, SocketFileFault>> {
  try {
    await new Promise<void>((done, fail) => {
      door.once('error', fail);
      door.listen(where, () => {
        door.off('error', fail);
        done();
      });
    });
    // The data directory is 0700: between listen and chmod nobody else can get at the socket.
    if (where.path !== undefined) await chmod(where.path, OWNER_ONLY);
  } catch (error) {
    const kind = codeOf(error) === 'EADDRINUSE' ? 'address_in_use' : 'cannot_listen';
    return err({ kind, message: messageOf(error) });
  }
  // From here on an error of the listening socket is no reason to fall over.
  door.on('error', (error) => log.error({ component: 'admin', error: error.message }, 'no accept'));
  return ok(undefined);
}

/** Takes no more; answers under way get a moment, then they are cut. Idempotent. */
export async function closeDoor(door: Server): Promise<void> {
  await new Promise<void>((done) => {
    const cut = setTimeout(() => door.closeAllConnections(), CLOSE_GRACE_MS);
    door.close(() => {
      clearTimeout(cut);
      done();
    });
    door.closeIdleConnections();
  });
}

/**
 * Turns web pages away. A page in a browser on this host can send requests to loopback: it gives
 * itself away by its Origin or, once its own name resolves to 127.0.0.1, by that name in Host.
 */
export function refuseWebPage({ headers }: IncomingMessage): AdminAnswer | null {
  const isPlain = headers.host === undefined || isAddress(headers.host);
  if (headers.origin === undefined && isPlain) return null;
  const message = 'requests from web pages, or under a host name, are refused; use 127.0.0.1';
  return faultAnswer(403, 'forbidden', message);
}

function isAddress(hostHeader: string): boolean {
  const host = parseEndpoint(hostHeader)?.host ?? hostHeader.replace(/^\[|\]$/g, '');
  return host === 'localhost' || isIP(host) !== 0;
}

async function answerRequest(
  routes: Routes,
  doorkeeper: Doorkeeper,
  request: IncomingMessage,
): Promise<AdminAnswer> {
  const refused = doorkeeper(request);
  if (refused !== null) return refused;
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const route = routes.get(path);
  if (route === undefined) {
    const message = `nothing is here; there are: ${[...routes.keys()].join(', ')}`;
    return faultAnswer(404, 'not_found', message);
  }
  const allowed = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method];
  if (!allowed.includes(request.method ?? '')) {
    const headers = { Allow: allowed.join(', ') };
    return faultAnswer(405, 'method_not_allowed', `use ${headers.Allow}`, headers);
  }
  return route.answer(new URLSearchParams(query), () => readBody(request));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new Error(`a body is longer than ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
