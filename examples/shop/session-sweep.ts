/**
 * A job without a request: it ends idle sessions. Its events name the job as the actor and tie
 * together what one run did.
 */
import { randomBytes } from 'node:crypto';
import type { FastifyBaseLogger } from 'fastify';
import { runWithContext, type Audit } from '../../sdk/index.ts';
import type { Sessions } from './sessions.ts';
import { inSpan } from './tracing.ts';

export const IDLE_MS: number = 30 * 60_000;

/** Ends sessions that were not used for half an hour; never throws. */
export async function sweepSessions(
  sessions: Sessions,
  audit: Audit<unknown>,
  log: FastifyBaseLogger,
  nowMs: number = Date.now(),
): Promise<void> {
  const actor = { type: 'service', id: 'cron/session-sweep', name: 'session sweep' } as const;
  const run = `sweep-${randomBytes(6).toString('hex')}`;
  await runWithContext({ actor, request_id: run, workflow_id: 'session-sweep' }, () =>
    inSpan('session-sweep', async () => {
      const idle = sessions.closeIdle(nowMs - IDLE_MS);
      // Recorded together, awaited together: one batch, one fsync.
      const records = idle.map(({ id, actor: owner }) =>
        audit.record({
          action: 'session.revoke',
          outcome: 'success',
          resource: { type: 'session', id, name: owner.name },
          metadata: { reason: 'idle', user_id: owner.id },
        }),
      );
      const failed = (await Promise.allSettled(records)).filter((one) => one.status === 'rejected');
      if (idle.length > 0) log.info({ ended: idle.length, unaudited: failed.length }, 'sweep');
    }),
  );
}
