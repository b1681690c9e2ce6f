/**
 * `@sealtrail/sdk/express`: a middleware for Express and anything with its (req, res, next) form.
 * Typed structurally: the SDK installs without Express.
 */
import { runWithContext } from './context.ts';
import { REQUEST_ID_HEADER, readHttpContext } from './http-context.ts';
import type { HttpContextOptions, HttpRequest } from './http-context.ts';

export { currentContext, currentCorrelation, enterContext } from './context.ts';
export { downstreamHeaders } from './http-context.ts';
export type { HttpContextOptions } from './http-context.ts';

interface ResponseLike {
  setHeader(name: string, value: string): unknown;
}

/**
 * Creates a middleware that fills request_id, trace and source, and answers with the request id.
 * @example app.use(auditContext());
 */
export function auditContext(
  options: HttpContextOptions = {},
): (request: HttpRequest, response: ResponseLike, next: () => void) => void {
  const header = options.requestIdHeader ?? REQUEST_ID_HEADER;
  return (request, response, next) => {
    const context = readHttpContext(request, options);
    response.setHeader(header, context.request_id);
    runWithContext(context, next);
  };
}
