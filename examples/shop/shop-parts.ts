/**
 * What the routes of the shop are built from.
 */
import type { FastifyInstance } from 'fastify';
import type { Audit } from '../../sdk/index.ts';
import type { Sessions } from './sessions.ts';

export interface ShopParts {
  readonly web: FastifyInstance;
  /** With a spool: what record() resolves to is no proof that the agent has it. */
  readonly audit: Audit<unknown>;
  readonly sessions: Sessions;
  readonly gatewayUrl: string;
}
