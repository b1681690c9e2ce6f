/**
 * What both services of the example have in common: Fastify with traces, the audit context, and an
 * app log (pino, through Fastify) in which every line of a request carries its ids.
 */
import { LogController, fastify, type FastifyInstance } from 'fastify';
import { destination, type DestinationStream } from 'pino';
import { AuditError, currentCorrelation, DeniedError } from '../../sdk/index.ts';
import { auditContext } from '../../sdk/fastify.ts';
import { traceRequests } from './tracing.ts';

/** The app log: a file, or stdout. It is not the audit trail, and holds nothing of an event. */
export function openAppLog(file: string | undefined): DestinationStream {
  return destination({ dest: file ?? 1, mkdir: true, sync: true });
}

/** Creates a service without routes. */
export async function createWebApp(
  service: string,
  appLog: DestinationStream,
): Promise<FastifyInstance> {
  const app = fastify({
    // Fastify's own line for a request comes before the request has an id; ours comes at its end.
    logController: new LogController({ disableRequestLogging: true }),
    // Without Fastify's own reqId, which would stand beside the one that leaves the process.
    childLoggerFactory: (log, _bindings, options) => log.child({}, options),
    logger: { stream: appLog, base: { service }, mixin: () => ({ ...currentCorrelation() }) },
  });
  traceRequests(app);
  await app.register(auditContext);
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions } = request;
    const fields = { method, route: routeOptions.url, status: reply.statusCode };
    request.log.info({ ...fields, ms: Math.round(reply.elapsedTime) }, 'request');
    done();
  });
  app.setErrorHandler((error, request, reply) => {
    // Fail closed: what could not be audited does not happen, and says so.
    if (error instanceof AuditError)
      return reply.code(503).send({ error: 'audit', code: error.code });
    if (error instanceof DeniedError) return reply.code(403).send({ error: error.message });
    const { statusCode = 500, message } = error instanceof Error ? toHttp(error) : {};
    if (statusCode >= 500) request.log.error({ reason: message }, 'request failed');
    return reply.code(statusCode).send({ error: statusCode >= 500 ? 'internal' : message });
  });
  return app;
}

function toHttp(error: Error & { readonly statusCode?: number }): {
  readonly statusCode?: number;
  readonly message: string;
} {
  return error.statusCode === undefined
    ? { message: error.message }
    : { message: error.message, statusCode: error.statusCode };
}
