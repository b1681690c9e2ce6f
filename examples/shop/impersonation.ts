/**
 * POST /admin/impersonate: support acts as a customer's user. From here on every event of the new
 * session names both: who acted, and on whose behalf.
 */
import { DeniedError } from '../../sdk/index.ts';
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
      const principal = { type: 'user', id: user.id, name: user.name } as const;
      const draft = {
        action: 'user.impersonate',
        actor: { ...session.actor, on_behalf_of: principal },
        resource: { type: 'user', id: user.id, name: user.name },
        metadata: { ticket: request.body.ticket },
      };
      const token = await audit.audited(draft, () => {
        if (session.user.role !== 'admin' || user.role !== 'customer')
          throw new DeniedError('only admins act for customers');
        return sessions.open(session.user, principal);
      });
      request.log.info({ admin: session.actor.id, as: user.id }, 'impersonation');
      return { token };
    },
  );
}
