/**
 * Sessions, in memory. A session knows as whom its requests act: the actor that every audit event
 * of such a request gets from the context, without being passed along.
 */
import { randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { runWithContext, type ActorDraft, type Principal } from '../../sdk/index.ts';
import type { User } from './people.ts';

export interface Session {
  /** Names the session in audit events; the token never does. */
  readonly id: string;
  /** Who logged in; what the session may do is what this user may. */
  readonly user: User;
  readonly actor: ActorDraft & Principal;
  /** Milliseconds since the epoch. */
  lastUsedMs: number;
}

export interface Sessions {
  /** Opens a session and returns its bearer token. */
  open(user: User, onBehalfOf?: Principal): string;
  of(request: FastifyRequest): Session | undefined;
  /** A preHandler: answers 401 without a session, else runs the rest as the session's actor. */
  require(request: FastifyRequest, reply: FastifyReply, done: () => void): void;
  /** Closes and returns those not used since then. */
  closeIdle(sinceMs: number): readonly Session[];
}

/** Creates an empty set of sessions. */
export function createSessions(): Sessions {
  const byToken = new Map<string, Session>();

  function of(request: FastifyRequest): Session | undefined {
    const [, token = ''] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? [];
    return byToken.get(token);
  }

  return {
    of,
    open(user, onBehalfOf) {
      const token = randomBytes(24).toString('base64url');
      const id = `s-${randomBytes(6).toString('hex')}`;
      const actor = actorOf(user, id, onBehalfOf);
      byToken.set(token, { id, user, actor, lastUsedMs: Date.now() });
      return token;
    },
    require(request, reply, done) {
      const session = of(request);
      if (session === undefined) {
        void reply.code(401).send({ error: 'log in first' });
        return;
      }
      session.lastUsedMs = Date.now();
      runWithContext({ actor: session.actor }, done);
    },
    closeIdle(sinceMs) {
      const idle = [...byToken].filter(([, { lastUsedMs }]) => lastUsedMs < sinceMs);
      for (const [token] of idle) byToken.delete(token);
      return idle.map(([, session]) => session);
    },
  };
}

/** Who a session acts as: both identities, where somebody acts for somebody else. */
function actorOf(user: User, sessionId: string, onBehalfOf?: Principal): ActorDraft & Principal {
  return {
    type: user.role === 'admin' ? 'admin' : 'user',
    id: user.id,
    name: user.name,
    roles: [user.role],
    session_id: sessionId,
    on_behalf_of: onBehalfOf ?? null,
  };
}
