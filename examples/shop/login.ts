/**
 * POST /login. Both outcomes are recorded; the vocabulary says fail_open for a login, so a failed
 * audit write is an alert (onAuditFailure) and nobody stays locked out.
 */
import { AuditError, type ActorDraft, type EventDraft } from '../../sdk/index.ts';
import { findUser, isPassword } from './people.ts';
import type { ShopParts } from './shop-parts.ts';

const BODY = {
  type: 'object',
  required: ['login', 'password'],
  properties: {
    login: { type: 'string', maxLength: 64 },
    password: { type: 'string', maxLength: 256 },
  },
};

/** Adds the route. */
export function addLogin({ web, audit, sessions }: ShopParts): void {
  async function recordFailOpen(draft: EventDraft): Promise<void> {
    try {
      await audit.record(draft);
    } catch (error) {
      if (!(error instanceof AuditError)) throw error;
    }
  }

  web.post<{ Body: { login: string; password: string } }>(
    '/login',
    { schema: { body: BODY } },
    async (request, reply) => {
      const { login, password } = request.body;
      const user = findUser(login);
      const proven = user !== undefined && isPassword(user, password);
      const actor: ActorDraft = proven
        ? { type: user.role === 'admin' ? 'admin' : 'user', id: user.id, name: user.name }
        : { type: 'anonymous', id: 'anonymous', name: 'not proven' };
      await recordFailOpen({
        action: 'user.login',
        outcome: proven ? 'success' : 'failure',
        actor,
        // What was typed as a name may be a password: only names that exist are recorded.
        resource: { type: 'user', id: user?.id ?? 'unknown' },
        metadata: { method: 'password', ...(proven ? {} : { reason: 'wrong name or password' }) },
      });
      request.log.info({ user: user?.id, proven }, 'login');
      if (!proven) return reply.code(401).send({ error: 'wrong name or password' });
      return { token: sessions.open(user) };
    },
  );
}
