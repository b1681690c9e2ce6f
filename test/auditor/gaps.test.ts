/** Numbers of producers that no record has, told from those that were refused or are of another tenant. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import { chainHash } from '../../schemas/brand.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { StoredRecord } from '../../store/store.ts';
import { createSealer } from '../store/sealed.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

let server: TestPostgres;
let auditor: Auditor;

/** The record with another number of its producer; its hash is made anew, the links are not looked at here. */
function renumber(record: StoredRecord, seq: number, refused?: number): StoredRecord {
  const producer = { id: 'P1', seq, ...(refused === undefined ? {} : { refused }) };
  const event = { ...record.event, chain: { ...record.event.chain, producer } };
  const eventText = canonicalize(event) ?? '';
  const digest = createHash('sha256').update(record.prev_hash + eventText);
  return { ...record, event, eventText, this_hash: chainHash(digest.digest('hex')) };
}

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  // Numbers by record: 3 went to another tenant, 7 and 8 were refused, 10 to 12 are missing.
  const last: Partial<Record<'acme' | 'zeta', StoredRecord>> = {};
  const numbers: ['acme' | 'zeta', number, number?][] = [
    ...([0, 1, 2].map((n) => ['acme', n]) as ['acme' | 'zeta', number][]),
    ['zeta', 3],
    ['acme', 4],
    ['acme', 5],
    ['acme', 6],
    ['acme', 9, 2],
    ['acme', 13],
    ['acme', 14],
  ];
  for (const [index, [tenant, number, refused]] of numbers.entries()) {
    const time = new Date(Date.UTC(2026, 9, 5, 8, index)).toISOString();
    const sealer = createSealer(`a/a/1/${tenant}/x`, tenant, last[tenant]);
    const record = renumber(sealer.seal({ time }), number, refused);
    last[tenant] = record;
    const stored = await store.appendRecords([record]);
    if (!stored.ok || stored.value.stored !== 1) throw new Error(JSON.stringify(stored));
  }
  await store.close();
  auditor = createAuditor({ url: server.url('auditor') });
});
afterAll(async () => {
  auditor.close();
  await server.stop();
});

test('what never arrived is named with the record behind it; what was refused, or is of a tenant in sight, is not', async () => {
  const page = await auditor.ask({
    ...{ question: 'producer-gaps', tenant: 'acme', timeZone: 'UTC', parameters: {} },
    ...{ since: '2026-10-05T00:00:00Z', until: '2026-10-06T00:00:00Z' },
  });
  if (!page.ok) throw new Error(page.error.message);
  expect(page.value.rows.map(({ values }) => values.slice(0, 4))).toEqual([
    ['P1', 10, 12, '2026-10-05T08:08:00.000Z'],
  ]);
  expect(page.value.rows[0]?.record?.event_bytes).toContain('"seq":13}');
});
