/** Each question of the catalogue, asked of a real store: its pages put together are its stream. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CATALOGUE } from '../../auditor/catalogue.ts';
import type { AnswerRow } from '../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../auditor/ask.ts';
import { digestOfRow } from '../../auditor/page-cursor.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { KINDS, PASSWORD, startKind, type KindServer } from '../support/store-kinds.ts';
import { createSealer } from '../store/sealed.ts';

const GIVEN: Record<string, Record<string, string>> = {
  'actor-activity': { actor: 'u-1' },
  'resource-history': { type: 'customer', id: 'c-3' },
  'action-occurrences': { action: 'customer.export' },
  impersonations: { actor: 'u-1' },
  'access-without-ticket': { actions: 'customer.export' },
  'access-outside-tickets': { actor: 'u-1', actions: '*' },
  'denials-per-hour': { threshold: '1' },
  'subject-activity': { subject: 'v-1' },
  'first-time-access': { actor: 'u-1' },
};

describe.each(KINDS)('%s', (kind) => {
  let server: KindServer;
  let auditor: Auditor;
  beforeAll(async () => {
    server = await startKind(kind);
    const store = createPostgresStore({
      url: server.url('sealtrail_writer'),
      ownerUrl: server.url('sealtrail_owner'),
    });
    const done = await store.migrate();
    if (!done.ok) throw new Error(done.error.message);
    const sealer = createSealer('sealtrail/shop/01K/t/standard');
    const t0 = Date.parse('2026-10-05T06:00:00.000Z');
    const stored = await store.appendRecords(
      Array.from({ length: 200 }, (_, n) =>
        sealer.seal({
          actor: `u-${n % 5}`,
          time: new Date(t0 + n * 600_000).toISOString(),
          outcome: n % 7 === 0 ? 'denied' : 'success',
          ...(n % 11 === 0 ? { onBehalfOf: 'v-1' } : {}),
          resourceId: `c-${n % 9}`,
          metadata: n % 3 === 0 ? { ticket: 'T-1' } : { row_count: n * 50 },
        }),
      ),
    );
    if (!stored.ok) throw new Error(stored.error.message);
    await store.close();
    const admin = new pg.Client(server.url('admin'));
    await admin.connect();
    await admin.query(`CREATE ROLE alice LOGIN PASSWORD '${PASSWORD}' IN ROLE sealtrail_auditor;
    INSERT INTO audit.auditor_tenants VALUES ('alice', '*')`);
    await admin.end();
    auditor = createAuditor({ url: server.url('alice') });
  });
  afterAll(async () => {
    auditor.close();
    await server.stop();
  });
  test.each(CATALOGUE.map(({ id }) => id))('%s: its pages are its stream', async (id) => {
    const asked = {
      question: id,
      tenant: 'acme',
      since: '2026-10-01T00:00:00Z',
      until: '2026-11-01T00:00:00Z',
      timeZone: 'Europe/Berlin',
      parameters: GIVEN[id] ?? {},
    };
    const pages: AnswerRow[] = [];
    let cursor: string | undefined;
    do {
      const page = await auditor.ask(asked, {
        limit: 7,
        ...(cursor === undefined ? {} : { cursor }),
      });
      if (!page.ok) throw new Error(`${id}: ${JSON.stringify(page.error)}`);
      // Each says behind which row it stands.
      const last = pages.at(-1);
      expect(page.value.before).toBe(last === undefined ? null : digestOfRow(last));
      pages.push(...page.value.rows);
      cursor = page.value.next ?? undefined;
    } while (cursor !== undefined);
    const stream = await auditor.stream(asked);
    if (!stream.ok) throw new Error(stream.error.message);
    const all: unknown[] = [];
    for await (const batch of stream.value.batches) all.push(...batch);
    expect(pages).toEqual(all);
  });
});
