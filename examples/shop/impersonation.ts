/**
 * POST /admin/impersonate: support acts as a customer's user. From here on every event of the new
 * session names both: who acted, and on whose behalf.
 */
import { findUser } from './people.ts';
import type { ShopParts } from './shop-parts.ts';

const BODY = {
  type: 'object',
  required: ['login', 'ticket'],
  properties: {
    login: { type: 'string', maxLength: 64 },
    ticket: { type: 'string', pattern: '^T-[0-9]{1,9}$' },
  },
};

/** Adds the route. */
export function addImpersonation({ web, audit, sessions }: ShopParts): void {
  web.post<{ Body: { login: string; ticket: string } }>(
    '/admin/impersonate',
    { preHandler: sessions.require, schema: { body: BODY } },
    async (request, reply) => {
      const session = sessions.of(request);
      const user = findUser(request.body.login);
      if (user === undefined || session === undefined) {
        return reply.code(404).send({ error: 'no such user' });
      }
      const allowed = session.user.role === 'admin' && user.role === 'customer';
      const principal = { type: 'user', id: user.id, name: user.name } as const;
      await audit.record({
        action: 'user.impersonate',
        outcome: allowed ? 'success' : 'denied',
        actor: { ...session.actor, on_behalf_of: principal },
        resource: { type: 'user', id: user.id, name: user.name },
        metadata: { ticket: request.body.ticket },
      });
      request.log.info({ admin: session.actor.id, as: user.id, allowed }, 'impersonation');
      if (!allowed) return reply.code(403).send({ error: 'only admins act for customers' });
      return { token: sessions.open(session.user, principal) };
    },
  );
}
