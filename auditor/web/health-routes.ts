/** The agent's health, for operators alone: what it says covers all tenants. */
import type { FastifyInstance } from 'fastify';
import { sendPage, type Door } from './door.ts';
import { healthPage } from './health-page.ts';
import { messagePage } from './message-page.ts';
import type { WebPorts } from './ports.ts';

/** Adds the route. */
export function addHealthRoutes(
  app: FastifyInstance,
  door: Door,
  { health, nowMs }: WebPorts,
): void {
  app.get(
    '/health',
    door.signedIn(async (visit, _request, reply) => {
      if (!visit.session.person.isOperator) return sendPage(reply, visit, NOT_YOURS, 403);
      if (health === null) return sendPage(reply, visit, NO_AGENT, 404);
      const asked = await health();
      if (asked.ok) return sendPage(reply, visit, healthPage(asked.value, nowMs()));
      return sendPage(
        reply,
        visit,
        messagePage('The agent does not answer', `${asked.error}.`),
        503,
      );
    }),
  );
}

const NOT_YOURS = messagePage(
  'That is not yours to see',
  'The health of the agent covers all tenants: it is for operators alone.',
);
const NO_AGENT = messagePage(
  'No agent is known here',
  'Name its data directory: `sealtrail web --data-dir`.',
);
