/**
 * The bank's side, a service of its own that the shop calls over HTTP: it logs under the request id
 * and in the trace that came with the call.
 */
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';

export interface ChargeResult {
  readonly id: string;
  readonly approved: boolean;
  readonly reason: string | null;
}

/** Cards with these last digits are declined. */
const DECLINED_LAST4 = '0002';

/** Adds the routes. */
export function createCardGateway(web: FastifyInstance): FastifyInstance {
  web.post<{ Body: { card_number: string } }>('/charges', (request): ChargeResult => {
    const approved = !request.body.card_number.replaceAll(' ', '').endsWith(DECLINED_LAST4);
    const id = `p-${randomBytes(6).toString('hex')}`;
    request.log.info({ payment: id, approved }, 'charge');
    return { id, approved, reason: approved ? null : 'declined by the bank' };
  });
  web.post<{ Body: { id: string } }>('/refunds', (request): ChargeResult => {
    request.log.info({ payment: request.body.id }, 'refund');
    return { id: request.body.id, approved: true, reason: null };
  });
  return web;
}
