/**
 * The web page of the auditor as a server: what is around the routes. It listens where it is told; whether it may is
 * decided before (cli/web-config.ts).
 */
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import cookie from '@fastify/cookie';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { codeOf } from '../../schemas/result.ts';
import { addAnswerRoutes } from './answer-routes.ts';
import { createAnswerGet } from './answers.ts';
import { loadAssets, type Asset } from './assets.ts';
import { createDoor, sendPage } from './door.ts';
import { addDownloadRoutes } from './download-routes.ts';
import { addHeaders, HEADERS, pickEncoding } from './headers.ts';
import { addHealthRoutes } from './health-routes.ts';
import { messagePage } from './message-page.ts';
import { createOrigins } from './origins.ts';
import type { WebPorts } from './ports.ts';
import { addQuestionRoutes } from './question-routes.ts';
import { createSessions } from './sessions.ts';
import { addSignInRoutes } from './sign-in-routes.ts';
import { createTurns } from './turns.ts';

export interface WebServer {
  readonly app: FastifyInstance;
  /** Listens, and gives the address for browsers. Rejects with the system's error. */
  listen(at: { readonly host: string; readonly port: number }): Promise<string>;
  /** Ends all sessions and connections. */
  stop(): Promise<void>;
}

const BODY_BYTES_MAX = 16 * 1024;
const REQUESTS_A_MINUTE = 600;
const SWEEP_MS = 30_000;
const YEAR_S = 31_536_000;

/** Creates the server; it does not listen yet. */
export async function createWebServer(ports: WebPorts): Promise<WebServer> {
  const { settings, log, nowMs } = ports;
  const { tls, publicUrl, trustedProxies } = settings;
  const origins = createOrigins(publicUrl, tls !== null);
  const assets = await loadAssets();
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: 30_000,
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    forceCloseConnections: true,
    // An address that cannot be read meets no hook.
    frameworkErrors: (_error, _request, reply: FastifyReply) =>
      void reply.code(400).headers(HEADERS).type('text/plain').send('That is no address.'),
    serverFactory: (handler) =>
      tls === null ? createHttp(handler) : createHttps({ ...tls, minVersion: 'TLSv1.2' }, handler),
  });
  const sessions = createSessions(settings.session, nowMs);
  const door = createDoor(sessions, assets, origins);

  addHeaders(app, origins);
  await app.register(cookie);
  await app.register(rateLimit, { max: REQUESTS_A_MINUTE, timeWindow: 60_000 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, new URLSearchParams(String(body))),
  );
  app.setErrorHandler((error, request, reply) =>
    door.anybody(async (visit) => {
      const status = statusOf(error);
      const [title, sentence] = WORDS[status] ?? WORDS[500];
      if (status >= 500) {
        const stack = error instanceof Error ? error.stack : '';
        log.error({ code: codeOf(error), stack }, 'a page could not be made');
      }
      return sendPage(reply, visit, messagePage(title, sentence), status);
    })(request, reply),
  );
  app.setNotFoundHandler(
    { preHandler: app.rateLimit() },
    door.anybody(async (visit, _request, reply) => {
      const [title, sentence] = WORDS[404];
      return sendPage(reply, visit, messagePage(title, sentence), 404);
    }),
  );

  for (const asset of [assets.style, assets.script]) serveAsset(app, asset);
  addSignInRoutes(app, door, sessions, origins, ports);
  addQuestionRoutes(app, door, ports);
  const [get, turns] = [createAnswerGet(app, door), createTurns()];
  addAnswerRoutes(get, turns, ports);
  addDownloadRoutes(get, sessions, turns, ports);
  addHealthRoutes(app, door, ports);

  const sweeping = setInterval(sessions.sweep, SWEEP_MS).unref();
  return {
    app,
    async listen({ host, port }) {
      await app.listen({ host, port });
      const address = app.server.address();
      if (typeof address === 'object' && address !== null) origins.listens(host, address.port);
      return origins.own();
    },
    async stop() {
      clearInterval(sweeping);
      await app.close();
      sessions.endAll();
    },
  };
}

const WORDS: { readonly [status: number]: readonly [string, string] } & Readonly<
  Record<404 | 500, readonly [string, string]>
> = {
  400: ['That was not understood', 'The request has a form that this server does not know.'],
  404: ['Nothing here', 'There is no such page, or it was of a session that has ended.'],
  413: ['Too much', 'What was sent is longer than any form of this server.'],
  415: ['That was not understood', 'The request has a form that this server does not know.'],
  429: ['Too many requests', 'Wait a minute, then try again.'],
  500: [
    'Something went wrong here',
    'The page could not be made. The log of this server says why.',
  ],
};

function statusOf(error: unknown): number {
  const status =
    typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : 500;
  return typeof status === 'number' && status >= 400 ? status : 500;
}

function serveAsset(app: FastifyInstance, { path, type, encodings }: Asset): void {
  app.get(path, async (request, reply) => {
    const encoding = pickEncoding(request.headers['accept-encoding'] ?? '');
    if (encoding !== 'identity') void reply.header('content-encoding', encoding);
    return reply
      .headers({ 'cache-control': `public, max-age=${YEAR_S}, immutable`, vary: 'accept-encoding' })
      .type(type)
      .send(encodings[encoding]);
  });
}
