/** Every SQL block of docs/INVESTIGATIONS.md runs as an auditor, and finds what it says it finds. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import { createSealer, type EventFields } from '../store/sealed.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/INVESTIGATIONS.md'), 'utf8');
const BLOCKS = [...PAGE.matchAll(/^```sql\n([^]*?)^```/gm)].map((match) => match[1] ?? '');

let server: TestPostgres;
let auditor: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  await store.migrate();
  const sealer = createSealer();
  const nowMs = Date.now();
  const login = (outcome: 'denied' | 'success', ms: number): EventFields => ({
    action: 'user.login',
    outcome,
    actor: 'u-guess',
    time: new Date(nowMs - ms).toISOString(),
  });
  const events: EventFields[] = [
    { traceId: '4bf92f3577b34da6a3ce929d0e0e4736' },
    { actor: 'u-admin-alice', onBehalfOf: 'u-88', metadata: { ticket: 'T-1' } },
    { actor: 'u-admin-alice' },
    { resourceType: 'customer', resourceId: 'c-9' },
    // Within one hour, whatever the minute is.
    ...Array.from({ length: 12 }, () => login('denied', 60_000)),
    login('success', 0),
    { action: 'patient.record_read', resourceType: 'patient' },
    { action: 'patient.record_read', resourceType: 'patient', metadata: { ticket: 'T-2' } },
  ];
  const stored = await store.appendRecords(events.map((event) => sealer.seal(event)));
  if (!stored.ok) throw new Error(stored.error.message);
  await store.close();
  auditor = new pg.Client(server.url('auditor'));
  await auditor.connect();
});
afterAll(async () => {
  await auditor.end();
  await server.stop();
});

test('the page asks six questions', () => {
  expect(BLOCKS).toHaveLength(6);
});

test.each(BLOCKS)('%s', async (sql) => {
  const found = await auditor.query(sql);
  expect(found.rows).toHaveLength(1);
});
