/**
 * How PostgreSQL goes about each question, as an auditor's login: the shape of the plan beside this file. It is written
 * anew with UPDATE_GOLDEN=1; a shape that changed is to be looked at, and measured with `bench -- investigate`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { statementOf } from '../../auditor/ask.ts';
import { resolveAsked } from '../../auditor/resolve.ts';
import { toStatement } from '../../auditor/sql.ts';
import { ASKED } from '../../bench/investigate.ts';
import { fillStore } from '../../bench/investigate-data.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const GOLDEN = join(import.meta.dirname, 'plans.golden');
const MONTH = { since: '2026-10-01T00:00:00Z', until: '2026-11-01T00:00:00Z' };

let server: TestPostgres;
let alice: pg.Client;
/** Months without records: what is not there is read in any way. Which there are depends on today's date. */
let empty: ReadonlySet<string>;

beforeAll(async () => {
  server = await startPostgres();
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  await store.close();
  const admin = new pg.Client(server.url('admin'));
  await admin.connect();
  await fillStore([admin], { records: 100_000, from: '2026-09-01T00:00:00Z', until: MONTH.until });
  await admin.query(`CREATE ROLE alice LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor;
    INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme')`);
  const { rows } = await admin.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class JOIN pg_inherits ON inhrelid = oid
     WHERE inhparent = 'audit.records'::regclass AND reltuples <= 0`,
  );
  empty = new Set(rows.map(({ name }) => name));
  await admin.end();
  const url = new URL(server.url('auditor'));
  [url.username, url.password] = ['alice', 'pw'];
  alice = new pg.Client(url.href);
  await alice.connect();
  await alice.query(`SET jit = off; SET work_mem = '64MB'; SET TimeZone = 'UTC'`);
});
afterAll(async () => {
  await alice.end();
  await server.stop();
});

const SEQ_SCAN = /Seq Scan records/;

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

/** Node types, indentation, and which index. Months of one shape are one, and those without records none. */
function shapeOf(node: PlanNode, depth = 0): string[] {
  const relation = node['Relation Name'] ?? '';
  if (empty.has(relation)) return [];
  const index = node['Index Name']?.replace(/^records_\d{4}_\d{2}_/, '');
  const name = [node['Node Type'], index ?? relation.replace(/_\d{4}_\d{2}$/, '')].join(' ').trim();
  const below = (node.Plans ?? []).flatMap((one) => shapeOf(one, depth + 1));
  // Under a node over partitions the same shape stands once for each.
  const distinct = /Append/.test(name) ? [...new Set(below)] : below;
  return [`${'  '.repeat(depth)}${name}`, ...distinct];
}

async function explain(
  question: string,
  parameters: Readonly<Record<string, string>>,
): Promise<PlanNode> {
  const asked = { question, parameters, tenant: 'acme', timeZone: 'Europe/Berlin', ...MONTH };
  const found = resolveAsked(asked);
  if (!found.ok || !statementOf(asked).ok) throw new Error(question);
  const page = { after: null, limit: 51 };
  const { sql, values } = toStatement(found.value.question.build(found.value.resolved, page));
  const { rows } = await alice.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `EXPLAIN (COSTS OFF, FORMAT JSON) ${sql}`,
    [...values],
  );
  return rows[0]!['QUERY PLAN'][0].Plan;
}

test('each question goes by the index that it went by', async () => {
  const shapes: string[] = [];
  for (const [question, parameters] of ASKED) {
    const shape = shapeOf(await explain(question, parameters));
    const asked = `${question} ${new URLSearchParams(parameters).toString()}`.trim();
    shapes.push(asked, ...shape, '');
    // It reads all of its range, and says so.
    if (question !== 'producer-gaps') expect(shape.join('\n'), asked).not.toMatch(SEQ_SCAN);
  }
  const text = shapes.join('\n');
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(GOLDEN, text);
  expect(text).toBe(readFileSync(GOLDEN, 'utf8'));
});
