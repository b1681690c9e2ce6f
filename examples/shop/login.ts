/**
 * POST /login. Both outcomes are recorded; the vocabulary says fail_open for a login, so without an
 * agent its event waits in the spool, somebody is alerted (onAuditFailure), and nobody stays locked out.
 */
import type { ActorDraft } from '../../sdk/index.ts';
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

/** Its name is what the event says of a failure. */
class WrongCredentialsError extends Error {
  override readonly name = 'WrongCredentialsError';
  readonly statusCode = 401;
}

/** Adds the route. */
export function addLogin({ web, audit, sessions }: ShopParts): void {
  web.post<{ Body: { login: string; password: string } }>(
    '/login',
    { schema: { body: BODY } },
    async (request) => {
      const { login, password } = request.body;
      const user = findUser(login);
      const proven = user !== undefined && isPassword(user, password);
      const actor: ActorDraft = proven
        ? { type: user.role === 'admin' ? 'admin' : 'user', id: user.id, name: user.name }
        : { type: 'anonymous', id: 'anonymous', name: 'not proven' };
      const draft = {
        action: 'user.login',
        actor,
        // What was typed as a name may be a password: only names that exist are recorded.
        resource: { type: 'user', id: user?.id ?? 'unknown' },
        metadata: { method: 'password' },
      };
      const token = await audit.audited(draft, () => {
        request.log.info({ user: user?.id, proven }, 'login');
        if (!proven) throw new WrongCredentialsError('wrong name or password');
        return sessions.open(user);
      });
      return { token };
    },
  );
}
