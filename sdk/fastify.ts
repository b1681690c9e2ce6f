/**
 * `@sealtrail/sdk/fastify`: each request runs in its own context. Typed structurally: the SDK
 * installs without Fastify, and works with any version that has an onRequest hook (4, 5).
 */
import { runWithContext } from './context.ts';
import { REQUEST_ID_HEADER, readHttpContext } from './http-context.ts';
import type { HttpContextOptions, HttpRequest } from './http-context.ts';

export { currentContext, currentCorrelation, enterContext } from './context.ts';
export { downstreamHeaders } from './http-context.ts';
export type { HttpContextOptions } from './http-context.ts';

interface FastifyReplyLike {
  header(name: string, value: string): unknown;
}

interface FastifyLike {
  addHook(
    name: 'onRequest',
    hook: (request: HttpRequest, reply: FastifyReplyLike, done: () => void) => void,
  ): unknown;
}

interface AuditPlugin {
  (fastify: FastifyLike, options: HttpContextOptions, done: () => void): void;
}

/**
 * Fills request_id, trace and source for every request of the instance it is registered on, and
 * answers with the request id.
 * @example await app.register(auditContext);
 */
export const auditContext: AuditPlugin = Object.assign(
  function auditContext(fastify: FastifyLike, options: HttpContextOptions, done: () => void): void {
    const header = options.requestIdHeader ?? REQUEST_ID_HEADER;
    fastify.addHook('onRequest', (request, reply, next) => {
      const context = readHttpContext(request, options);
      reply.header(header, context.request_id);
      runWithContext(context, next);
    });
    done();
  },
  {
    // Without these, the hook would hold for routes registered inside the plugin only.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'sealtrail-audit-context',
  },
);
