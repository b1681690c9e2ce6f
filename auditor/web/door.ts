/**
 * Who comes in: every request is of a session or of nobody, and every POST is of a form of ours. The cookie of somebody
 * who is not signed in is good for the token of the sign-in form alone: signing in makes a new one.
 */
import { randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Assets } from './assets.ts';
import { isSameOrigin, isToken, maskToken } from './csrf.ts';
import { messagePage } from './message-page.ts';
import type { Origins } from './origins.ts';
import { drawPage, type Page, type PageContext } from './page.ts';
import { randomId, type Session, type Sessions } from './sessions.ts';

export interface Visit {
  readonly cookie: string;
  readonly session: Session | null;
  readonly context: PageContext;
}

export interface SignedIn extends Visit {
  readonly session: Session;
}

export type Handler<V extends Visit = Visit> = (
  visit: V,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<FastifyReply>;
type Route = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

export interface Door {
  /** A route for anybody. */
  anybody(handler: Handler): Route;
  /** A route for a session; others are sent to sign in. */
  signedIn(handler: Handler<SignedIn>): Route;
  /** The same for forms, which must be ours. */
  anybodysForm(handler: Handler): Route;
  form(handler: Handler<SignedIn>): Route;
  /** Puts a session's id into the browser. */
  letIn(reply: FastifyReply, session: Session): void;
  /** Takes it out. */
  letOut(reply: FastifyReply): void;
}

/** Creates the door of a server. */
export function createDoor(sessions: Sessions, assets: Assets, origins: Origins): Door {
  const key = randomBytes(32);
  const { isSecure } = origins;
  const name = isSecure ? '__Host-sealtrail' : 'sealtrail';
  const options = { path: '/', httpOnly: true, secure: isSecure, sameSite: 'strict' } as const;

  function visitOf(request: FastifyRequest, reply: FastifyReply): Visit {
    const had = request.cookies[name];
    const session = sessions.find(had);
    const cookie = had ?? randomId();
    if (had === undefined) void reply.setCookie(name, cookie, options);
    const person = session?.person ?? null;
    return { cookie, session, context: { assets, person, csrf: maskToken(key, cookie) } };
  }

  const anybody =
    (handler: Handler): Route =>
    (request, reply) =>
      handler(visitOf(request, reply), request, reply);

  const forSession =
    (handler: Handler<SignedIn>): Handler =>
    async (visit, request, reply) => {
      const { session } = visit;
      if (session !== null) return handler({ ...visit, session }, request, reply);
      // A part of a page, fetched by its script.
      if (request.headers['sec-fetch-dest'] === 'empty')
        return reply.code(401).type('text/plain; charset=utf-8').send('Your session has ended.');
      return reply.redirect('/sign-in', 303);
    };

  const ofOurs =
    (handler: Handler): Handler =>
    async (visit, request, reply) => {
      const token = fieldsOf(request).get('csrf') ?? '';
      if (isSameOrigin(request.headers, origins) && isToken(key, visit.cookie, token))
        return handler(visit, request, reply);
      const sentence =
        'This form did not come from a page of this server, or that page is too old. Nothing was done. Go back, reload the page, and try again.';
      return sendPage(reply, visit, messagePage('The form was not accepted', sentence), 403);
    };

  return {
    anybody,
    signedIn: (handler) => anybody(forSession(handler)),
    anybodysForm: (handler) => anybody(ofOurs(handler)),
    form: (handler) => anybody(forSession(ofSession(handler))),
    letIn: (reply, session) => void reply.setCookie(name, session.id, options),
    letOut: (reply) => void reply.clearCookie(name, options),
  };

  function ofSession(handler: Handler<SignedIn>): Handler<SignedIn> {
    return (visit, request, reply) =>
      ofOurs(() => handler(visit, request, reply))(visit, request, reply);
  }
}

/** The fields of a form; the first of each name counts. */
export function fieldsOf(request: FastifyRequest): URLSearchParams {
  return request.body instanceof URLSearchParams ? request.body : new URLSearchParams();
}

/** A part of the address, as :id. */
export function partOf(request: FastifyRequest, name: string): string {
  const { params } = request;
  if (typeof params !== 'object' || params === null) return '';
  const value: unknown = Object.getOwnPropertyDescriptor(params, name)?.value;
  return typeof value === 'string' ? value : '';
}

/** Answers with a page. */
export function sendPage(
  reply: FastifyReply,
  { context }: Visit,
  page: Page,
  status = 200,
): FastifyReply {
  return reply.code(status).type('text/html; charset=utf-8').send(drawPage(context, page));
}
