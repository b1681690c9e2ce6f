/**
 * GET /customers/:id/export: the slow request of the example. It does not begin when it could not be
 * recorded, its address leaves once it is, and the trace shows where the time went.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DeniedError } from '../../sdk/index.ts';
import { findCustomer, type Customer } from './people.ts';
import type { ShopParts } from './shop-parts.ts';
import { inSpan } from './tracing.ts';

const QUERY_MS = 40;
const UPLOAD_MS = 180;

/** Adds the route. */
export function addExport({ web, audit, sessions }: ShopParts): void {
  web.get<{ Params: { id: string } }>(
    '/customers/:id/export',
    { preHandler: sessions.require },
    (request, reply) =>
      inSpan('handler', async () => {
        const customer = findCustomer(request.params.id);
        if (customer === undefined) return reply.code(404).send({ error: 'no such customer' });
        const draft = {
          action: 'customer.export',
          resource: { type: 'customer', id: customer.id, name: customer.name },
        } as const;
        return audit.audited(draft, async (note) => {
          // No business transaction takes part in this: none takes the denial along when it rolls back.
          if (sessions.of(request)?.user.role !== 'admin') {
            note({ metadata: { reason: 'role' } });
            throw new DeniedError('only admins export');
          }
          const rows = await inSpan('db.query', () => queryOrders(customer));
          note({
            changes: ['name', 'email', 'orders'],
            metadata: { row_count: rows.length, format: 'ndjson' },
          });
          const address = await inSpan('upload', () => upload(rows));
          request.log.info({ customer: customer.id, rows: rows.length }, 'exported');
          return { rows: rows.length, address };
        });
      }),
  );
}

async function queryOrders(customer: Customer): Promise<readonly object[]> {
  await sleep(QUERY_MS);
  return Array.from({ length: customer.orders }, (_, n) => ({ order: n + 1, of: customer.id }));
}

async function upload(rows: readonly object[]): Promise<string> {
  await sleep(UPLOAD_MS);
  return `https://files.shop.example/exports/${rows.length}-rows.ndjson`;
}
