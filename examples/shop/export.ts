/**
 * GET /customers/:id/export: the slow request of the example. A denial is an event of its own; an
 * export is recorded before its address leaves, and the trace shows where the time went.
 */
import { setTimeout as sleep } from 'node:timers/promises';
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
        if (sessions.of(request)?.user.role !== 'admin') {
          // No business transaction takes part in this: none can take it along when it rolls back.
          await audit.record({ ...draft, outcome: 'denied', metadata: { reason: 'role' } });
          request.log.warn({ customer: customer.id }, 'export denied');
          return reply.code(403).send({ error: 'only admins export' });
        }
        const rows = await inSpan('db.query', () => queryOrders(customer));
        const address = await inSpan('upload', () => upload(rows));
        await audit.record({
          ...draft,
          outcome: 'success',
          changes: ['name', 'email', 'orders'],
          metadata: { row_count: rows.length, format: 'ndjson' },
        });
        request.log.info({ customer: customer.id, rows: rows.length }, 'exported');
        return { rows: rows.length, address };
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
