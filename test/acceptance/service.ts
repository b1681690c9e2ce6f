/**
 * A small real service, as an application would write it: Fastify on loopback, the SDK's middleware,
 * and an application log of its own (pino, one file) whose lines carry the ids of the request.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fastify, LogController, type FastifyInstance } from 'fastify';
import { auditContext, currentCorrelation } from '../../sdk/fastify.ts';

export interface AppLine {
  readonly level: number;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly msg: string;
  readonly request_id?: string;
  readonly trace_id?: string;
  readonly [name: string]: unknown;
}

export interface Service extends AsyncDisposable {
  readonly url: string;
  readonly logFile: string;
  log(): readonly AppLine[];
}

/** Starts a service with these routes; its log file lies in `dir`. */
export async function startService(
  dir: string,
  routes: (app: FastifyInstance) => void,
  name: string = 'app',
): Promise<Service> {
  const logFile = join(dir, `${name}.log`);
  const app = fastify({
    logController: new LogController({ disableRequestLogging: true }),
    logger: {
      level: 'info',
      base: null,
      mixin: () => ({ ...currentCorrelation() }),
      stream: { write: (line: string) => appendFileSync(logFile, line) },
    },
  });
  await app.register(auditContext);
  routes(app);
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    logFile,
    log: () =>
      readFileSync(logFile, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as AppLine),
    [Symbol.asyncDispose]: () => app.close(),
  };
}
