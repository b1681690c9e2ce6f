/** Task 7: one chokepoint in front of a store that nobody can change. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect } from 'vitest';
import { makeEvent } from '../support/events.ts';
import { makeTempDir } from '../support/ledger.ts';
import { describeTask } from './criterion.ts';
import { sendRaw } from './raw-client.ts';
import { draft, openTrail, type Trail } from './trail.ts';

/** Enough that reading an index pays; recorded through the SDK, spread over three months. */
const SEEDED = 12_000;
const ACTIONS = ['customer.read', 'user.login', 'payment.charge', 'invoice.read', 'file.download'];
const MONTHS = [3, 2, 1].map((back) => {
  const now = new Date();
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1);
});
const DAY_MS = 86_400_000;
const range = `occurred_at >= '${iso(MONTHS[1])}' AND occurred_at < '${iso(MONTHS[2])}'`;

let trail: Trail;
let writer: pg.Client;

beforeAll(async () => {
  trail = await openTrail();
  await Promise.all(
    Array.from({ length: SEEDED }, (_, n) =>
      trail.audit.record({
        action: ACTIONS[n % ACTIONS.length] ?? '',
        outcome: n % 97 === 0 ? 'denied' : 'success',
        actor: { type: 'user', id: `u-${n % 400}`, name: `User ${n % 400}` },
        resource: { type: 'customer', id: `c-${n % 1_500}` },
        time: new Date((MONTHS[n % 3] ?? 0) + ((n * 7_919) % 27) * DAY_MS + n * 1_000),
      }),
    ),
  );
  writer = await trail.connect('writer');
  const admin = await trail.connect('admin');
  await admin.query('ANALYZE');
});
afterAll(() => trail[Symbol.asyncDispose]());

function iso(ms: number | undefined): string {
  return new Date(ms ?? 0).toISOString();
}

async function countRows(): Promise<number> {
  await trail.agent.delivered();
  const found = await writer.query<{ n: number }>('SELECT count(*)::int AS n FROM audit.records');
  return found.rows[0]?.n ?? -1;
}

describeTask(7, (criterion) => {
  criterion('a complete event writes one row', async () => {
    const before = await countRows();
    const { event_id } = await trail.audit.record(draft());
    expect(await countRows()).toBe(before + 1);
    const rows = await writer.query('SELECT action FROM audit.events WHERE event_id = $1', [
      event_id,
    ]);
    expect(rows.rows).toEqual([{ action: 'customer.export' }]);
  });

  criterion('an incomplete event is refused before any I/O: zero rows', async () => {
    const [rows, records] = [await countRows(), (await trail.agent.status()).append.records];
    await using dir = await makeTempDir();
    let connections = 0;
    const listener = createServer(() => (connections += 1)).listen(join(dir.path, 'agent.sock'));
    const audit = await trail.openAudit({
      socketPath: join(dir.path, 'agent.sock'),
      timeoutMs: 300,
    });
    const whole = draft();
    const halves: [string, object][] = [
      ['/actor/id', { ...whole, actor: { ...whole.actor, id: '' } }],
      ['/event/action', { ...whole, action: undefined }],
      ['/resource/id', { ...whole, resource: { type: 'customer' } }],
      ['/event/outcome', { ...whole, outcome: undefined }],
    ];
    for (const [field, half] of halves) {
      for (const one of [audit, trail.audit])
        await expect(one.record(half as typeof whole)).rejects.toMatchObject({
          code: 'incomplete_event',
          field,
        });
    }
    expect(connections).toBe(0);
    // The control: a whole event makes the same SDK connect.
    await expect(audit.record(whole)).rejects.toMatchObject({ code: 'agent_unavailable' });
    await expect.poll(() => connections).toBeGreaterThan(0);
    listener.close();
    expect([await countRows(), (await trail.agent.status()).append.records]).toEqual([
      rows,
      records,
    ]);
  });

  criterion('a free-text action is refused', async () => {
    const rows = await countRows();
    await expect(
      trail.audit.record(draft({ action: 'customer.exported!!' })),
    ).rejects.toMatchObject({
      code: 'unknown_action',
    });
    await expect(trail.audit.record(draft({ action: 'customer.exprot' }))).rejects.toMatchObject({
      hint: expect.stringContaining('"customer.export"'),
    });
    // A client that skips the SDK meets the same door.
    const text = JSON.stringify(
      makeEvent({ event: { ...makeEvent().event, action: 'did some stuff' } }),
    );
    expect(await refusalOf(text)).toEqual(['schema_invalid']);
    const unlisted = text.replace('did some stuff', 'customer.teleport');
    expect(await refusalOf(unlisted)).toEqual(['unknown_action']);
    expect(await countRows()).toBe(rows);
  });

  criterion("as the application's role UPDATE and DELETE both fail, in CI", async () => {
    const rows = await countRows();
    for (const sql of [
      `UPDATE audit.records SET outcome = 'tampered'`,
      'DELETE FROM audit.records',
    ])
      await expect(writer.query(sql)).rejects.toMatchObject({
        code: '42501',
        message: 'permission denied for table records',
      });
    expect(await countRows()).toBe(rows);
  });

  criterion('EXPLAIN shows an index for each of the three forensic queries', async (say) => {
    const queries: [string, RegExp][] = [
      [`tenant_id = 'acme' AND actor_id = 'u-7' AND ${range}`, /actor/],
      [
        `tenant_id = 'acme' AND resource_type = 'customer' AND resource_id = 'c-9' AND ${range}`,
        /resource/,
      ],
      [
        `tenant_id = 'acme' AND action = 'payment.charge' AND ${range} ORDER BY occurred_at LIMIT 50`,
        /action/,
      ],
    ];
    const used: string[] = [];
    for (const [where, index] of queries) {
      const scans = (await explain(where)).filter(isOfRecords);
      expect(scans.map((node) => node['Node Type'])).not.toContain('Seq Scan');
      const names = scans.flatMap((node) => node['Index Name'] ?? []);
      expect(names.some((name) => index.test(name))).toBe(true);
      used.push(...names);
    }
    say(`${SEEDED} rows: ${used.join(', ')}`);
  });

  criterion('a jsonb payload holds the whole event, and its category is indexed', async () => {
    const { event_id } = await trail.audit.record(draft({ metadata: { row_count: 12 } }));
    await trail.agent.delivered();
    const record = (await trail.ledger()).find(({ event }) => event.event_id === event_id);
    const found = await writer.query(
      `SELECT payload, pg_typeof(payload)::text AS type FROM audit.events WHERE event_id = $1`,
      [event_id],
    );
    expect(found.rows).toEqual([{ payload: record?.event, type: 'jsonb' }]);
    const differing = await writer.query(
      `SELECT 1 FROM audit.events WHERE category IS DISTINCT FROM payload->'event'->>'category'`,
    );
    expect(differing.rowCount).toBe(0);
    const scans = (
      await explain(
        `tenant_id = 'acme' AND category = 'payment' AND ${range} ORDER BY occurred_at LIMIT 50`,
      )
    ).filter(isOfRecords);
    expect(scans.map((node) => node['Node Type'])).not.toContain('Seq Scan');
    expect(scans.flatMap((node) => node['Index Name'] ?? []).join()).toMatch(/category/);
  });

  criterion('a query of one month touches one monthly partition', async () => {
    const touched = (await explain(range)).flatMap((node) => node['Relation Name'] ?? []);
    const month = iso(MONTHS[1]).slice(0, 7).replace('-', '_');
    expect(touched.filter((name) => name.startsWith('records'))).toEqual([`records_${month}`]);
    // The control: without the range every month is read.
    const all = (await explain('true')).filter(isOfRecords);
    expect(all.length).toBeGreaterThan(MONTHS.length);
  });
});

async function refusalOf(event: string): Promise<string[]> {
  const { rejected } = await sendRaw(trail.agent.socketPath, [event]);
  return rejected.map(({ kind }) => kind);
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

async function explain(where: string): Promise<readonly PlanNode[]> {
  const answer = await writer.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM audit.events WHERE ${where}`,
  );
  const flatten = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flatten)];
  return answer.rows.flatMap((row) => flatten(row['QUERY PLAN'][0].Plan));
}

function isOfRecords(node: PlanNode): boolean {
  return /^records_/.test(node['Relation Name'] ?? node['Index Name'] ?? '');
}
