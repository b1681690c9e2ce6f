/**
 * What the routes of the shop are built from.
 */
import type { FastifyInstance } from 'fastify';
import type { Audit } from '../../sdk/index.ts';
import type { Sessions } from './sessions.ts';

export interface ShopParts {
  readonly web: FastifyInstance;
  readonly audit: Audit;
  readonly sessions: Sessions;
  readonly gatewayUrl: string;
}
