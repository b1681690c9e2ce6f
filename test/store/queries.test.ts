/** The forensic questions, on a seeded table: each finds its index, a month one partition. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createSealer } from './sealed.ts';

let server: TestPostgres;
let owner: pg.Client;
let auditor: pg.Client;
/** Three whole months before this one. */
const months = [3, 2, 1].map((back) => {
  const now = new Date();
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1);
});
const [FROM, TO] = [months[1]!, months[2]!].map((ms) => new Date(ms).toISOString());

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  await store.migrate();
  for (const tenant of ['acme', 'zeta']) {
    const sealer = createSealer(undefined, tenant);
    const records = Array.from({ length: 6_000 }, (_, n) =>
      sealer.seal({
        actor: `u-${n % 300}`,
        resourceId: `c-${n % 1_000}`,
        action: n % 100 === 0 ? 'patient.record_read' : 'user.login',
        category: n % 100 === 0 ? 'health_data' : 'authentication',
        outcome: n % 500 === 0 ? 'denied' : 'success',
        time: new Date(months[n % 3]! + ((n * 7_919) % 2_400_000) * 1_000).toISOString(),
        requestId: `${tenant}-r-${n}`,
        traceId: n.toString(16).padStart(32, tenant === 'acme' ? 'a' : 'b'),
        ...(n % 50 === 0 ? { onBehalfOf: 'v-1' } : {}),
      }),
    );
    const done = await store.appendRecords(records);
    if (!done.ok || done.value.stored !== records.length) throw new Error(JSON.stringify(done));
  }
  await store.close();
  const admin = new pg.Client(server.url('admin'));
  await admin.connect();
  await admin.query('ANALYZE');
  await admin.query(`CREATE ROLE alice LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor`);
  await admin.end();
  owner = new pg.Client(server.url('owner'));
  await owner.connect();
  await owner.query(`INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme')`);
  const url = new URL(server.url('auditor'));
  url.username = 'alice';
  url.password = 'pw';
  auditor = new pg.Client(url.href);
  await auditor.connect();
});

afterAll(async () => {
  await owner.end();
  await auditor.end();
  await server.stop();
});

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Loops'?: number;
  readonly Plans?: readonly PlanNode[];
}

async function explain(client: pg.Client, where: string): Promise<PlanNode[]> {
  const sql = `EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM audit.events WHERE ${where}`;
  const answer = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(sql);
  const nodes: PlanNode[] = [];
  const walk = (node: PlanNode): void => {
    nodes.push(node);
    node.Plans?.forEach(walk);
  };
  walk(answer.rows[0]!['QUERY PLAN'][0].Plan);
  return nodes;
}

/** Partitions that hold rows; reading an empty one whole is the cheapest plan there is. */
const SEEDED: ReadonlySet<string> = new Set(
  months.map((ms) => `records_${new Date(ms).toISOString().slice(0, 7).replace('-', '_')}`),
);

function scansOf(nodes: readonly PlanNode[]): PlanNode[] {
  return nodes.filter((node) => SEEDED.has(node['Relation Name'] ?? ''));
}

const range = `occurred_at >= '${FROM}' AND occurred_at < '${TO}'`;
const QUESTIONS: readonly [string, string, RegExp][] = [
  ['what an actor did in a range', `tenant_id = 'acme' AND actor_id = 'u-7' AND ${range}`, /actor/],
  [
    'who touched a resource',
    `tenant_id = 'acme' AND resource_type = 'customer' AND resource_id = 'c-9'`,
    /resource/,
  ],
  [
    'each occurrence of an action',
    `tenant_id = 'acme' AND action = 'patient.record_read'`,
    /action/,
  ],
  [
    'denied occurrences of an action',
    `tenant_id = 'acme' AND action = 'patient.record_read' AND outcome = 'denied'`,
    // That of the action, or that of denials, which are few.
    /_action_|_occurred_at_actor_id_/,
  ],
  [
    'accesses to one category of data',
    `tenant_id = 'acme' AND category = 'health_data'`,
    /category/,
  ],
  [
    'impersonations by an actor',
    `tenant_id = 'acme' AND actor_id = 'u-50' AND on_behalf_of_id IS NOT NULL`,
    /actor_id_occurred_at_idx/,
  ],
  ['one request', `request_id = 'acme-r-17'`, /request/],
  ['one trace', `trace_id = '${'a'.repeat(30)}11'`, /trace/],
];

describe.each(['owner', 'auditor'])('asked by the %s', (who) => {
  test.each(QUESTIONS)('%s uses an index', async (_name, where, index) => {
    const nodes = await explain(who === 'owner' ? owner : auditor, where);
    const scans = scansOf(nodes).map((node) => node['Node Type']);
    expect(scans.length).toBeGreaterThan(0);
    expect(scans).not.toContain('Seq Scan');
    const used = nodes.flatMap((node) => node['Index Name'] ?? []);
    expect(used.filter((name) => index.test(name)).length).toBeGreaterThan(0);
  });

  test('a question about one month touches one partition', async () => {
    const nodes = await explain(who === 'owner' ? owner : auditor, range);
    const touched = nodes.flatMap((node) => node['Relation Name'] ?? []);
    const expected = `records_${FROM!.slice(0, 7).replace('-', '_')}`;
    expect(touched.filter((name) => name.startsWith('records'))).toEqual([expected]);
  });
});

test('without the tenant an auditor is still answered from the index', async () => {
  const nodes = await explain(auditor, `actor_id = 'u-7' AND ${range}`);
  const scans = scansOf(nodes).map((node) => node['Node Type']);
  expect(scans.length).toBeGreaterThan(0);
  expect(scans).not.toContain('Seq Scan');
});

test('the impersonation index holds impersonations only', async () => {
  const sizes = await owner.query<{ all: string; some: string }>(
    `SELECT sum(c.reltuples) FILTER (WHERE i.indpred IS NULL) AS all,
            sum(c.reltuples) FILTER (WHERE i.indpred IS NOT NULL) AS some
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relname LIKE 'records_%tenant_id_actor_id_occurred_at_idx%'`,
  );
  expect(Number(sizes.rows[0]?.all)).toBe(12_000);
  expect(Number(sizes.rows[0]?.some)).toBe(240);
});

test('events of both tenants are counted once each', async () => {
  const count = await owner.query('SELECT count(*)::int AS n FROM audit.events');
  expect(count.rows).toEqual([{ n: 12_000 }]);
});
