/**
 * POST /payments. The whole body goes into the event: the card number leaves as its last four
 * digits, the tax number as a keyed token, the security code not at all. Nobody has to remember.
 */
import { downstreamHeaders } from '../../sdk/index.ts';
import type { ChargeResult } from './card-gateway.ts';
import type { ShopParts } from './shop-parts.ts';
import { inSpan } from './tracing.ts';

interface Payment {
  readonly card_number: string;
  readonly cvv: string;
  /** In cents. */
  readonly amount: number;
  readonly currency: string;
  /** For the invoice. */
  readonly tax_id?: string;
}

const BODY = {
  type: 'object',
  required: ['card_number', 'cvv', 'amount', 'currency'],
  additionalProperties: false,
  properties: {
    card_number: { type: 'string', pattern: '^[0-9 ]{12,23}$' },
    cvv: { type: 'string', pattern: '^[0-9]{3,4}$' },
    amount: { type: 'integer', minimum: 1 },
    currency: { type: 'string', pattern: '^[A-Z]{3}$' },
    tax_id: { type: 'string', maxLength: 32 },
  },
};

/** Adds the route. */
export function addPayments({ web, audit, sessions, gatewayUrl }: ShopParts): void {
  /** Calls downstream within the trace and under the request's id. */
  async function callGateway(path: string, body: object): Promise<ChargeResult> {
    const headers = { 'content-type': 'application/json', ...downstreamHeaders() };
    const answer = await fetch(gatewayUrl + path, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`the card gateway answers ${answer.status}`);
    return (await answer.json()) as ChargeResult;
  }

  web.post<{ Body: Payment }>(
    '/payments',
    { preHandler: sessions.require, schema: { body: BODY } },
    async (request, reply) => {
      const charge = await inSpan('charge', () => callGateway('/charges', request.body));
      try {
        await audit.record({
          action: 'payment.charge',
          outcome: charge.approved ? 'success' : 'failure',
          resource: { type: 'payment', id: charge.id },
          metadata: { ...request.body, reason: charge.reason },
        });
      } catch (error) {
        // Fail closed: a charge that nobody can account for does not stand.
        if (charge.approved)
          await inSpan('refund', () => callGateway('/refunds', { id: charge.id }));
        throw error;
      }
      const { amount, currency } = request.body;
      request.log.info({ payment: charge.id, amount, currency, approved: charge.approved }, 'paid');
      return reply.code(charge.approved ? 201 : 402).send({ id: charge.id, reason: charge.reason });
    },
  );
}
