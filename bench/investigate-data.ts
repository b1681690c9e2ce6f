/**
 * A store filled by SQL, faster than an agent could: plausible events over a year, every one a function of its number.
 * Hashes are random, so it is for asking and not for verifying; keys for deliveries are left out.
 */
import type { ClientBase } from 'pg';

export interface FillOptions {
  readonly records: number;
  /** RFC 3339; times rise evenly over [from, until). */
  readonly from: string;
  readonly until: string;
  readonly onProgress?: (records: number) => void;
}

export const CLASSES: readonly string[] = ['standard', 'security', 'health', 'financial'];
/** Weighted by how often it stands here. */
const TENANTS = ['acme', 'acme', 'acme', 'acme', 'acme', 'acme', 'zeta', 'zeta', 'zeta', 'tiny'];
const BATCH_RECORDS = 250_000;

/** Per thousand: action, category, kind of record. The rest is read of customers. */
const ACTIONS: readonly (readonly [number, string, string, string])[] = [
  [200, 'user.login', 'authentication', 'user'],
  [330, 'customer.search', 'data_access', 'customer'],
  [450, 'customer.update', 'data_change', 'customer'],
  [540, 'invoice.read', 'data_access', 'invoice'],
  [600, 'patient.record_read', 'data_access', 'patient'],
  [650, 'payment.charge', 'payment', 'payment'],
  [700, 'file.download', 'data_access', 'file'],
  [704, 'customer.export', 'data_access', 'customer'],
  [706, 'ticket.assign', 'access_control', 'ticket'],
  [708, 'ticket.close', 'access_control', 'ticket'],
];

/**
 * As a superuser, over as many connections as there are clients: it puts the indexes back that it takes off to be quick.
 * Ends with ANALYZE.
 */
export async function fillStore(
  clients: readonly [ClientBase, ...ClientBase[]],
  options: FillOptions,
): Promise<void> {
  const { records, from, until, onProgress } = options;
  const [client] = clients;
  for (const one of clients)
    await one.query(`SET TimeZone = 'UTC'; SET synchronous_commit = off; SET jit = off;
    SET maintenance_work_mem = '512MB'; SET max_parallel_maintenance_workers = 0`);
  for (const tenant of new Set(TENANTS))
    for (const name of CLASSES)
      await client.query(`INSERT INTO audit.streams (stream, tenant_id) VALUES ($1, $2)`, [
        `sealtrail/shop-1/01K00000000000000000000000/${tenant}/${name}`,
        tenant,
      ]);
  await client.query(
    `SELECT audit.ensure_partition(month) FROM generate_series($1::timestamptz, $2::timestamptz, interval '1 month') AS month`,
    [from, until],
  );
  const indexes = await client.query<{ name: string; definition: string }>(
    `SELECT c.oid::regclass::text AS name, pg_get_indexdef(c.oid) AS definition
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = 'audit.records'::regclass AND NOT i.indisprimary`,
  );
  for (const { name } of indexes.rows) await client.query(`DROP INDEX ${name}`);
  const batches = Array.from({ length: Math.ceil(records / BATCH_RECORDS) }, (_, at) => at);
  await share(clients, batches, async (one, at) => {
    const last = Math.min((at + 1) * BATCH_RECORDS, records);
    await one.query(INSERT, [at * BATCH_RECORDS, last - 1, records, from, until]);
    onProgress?.(last);
  });
  await share(clients, indexes.rows, async (one, { definition }) => {
    await one.query(definition.replace(' ON ONLY ', ' ON '));
  });
  await client.query('VACUUM (ANALYZE) audit.records');
  await client.query('ANALYZE audit.streams');
}

/** Each client takes the next piece of work when it is done with one. */
async function share<T>(
  clients: readonly ClientBase[],
  work: readonly T[],
  run: (client: ClientBase, piece: T) => Promise<void>,
): Promise<void> {
  const pieces = work.values();
  await Promise.all(
    clients.map(async (client) => {
      for (const piece of pieces) await run(client, piece);
    }),
  );
}

const pick = (column: 1 | 2 | 3): string =>
  `CASE ${ACTIONS.map((one) => `WHEN kind < ${one[0]} THEN '${one[column]}'`).join(' ')} ELSE '${['', 'customer.read', 'data_access', 'customer'][column]}' END`;

/** A pseudo-random number from 0 to below `below`. */
const random = (seed: number, below: number): string =>
  `(hashint8extended(n, ${seed}) & 1073741823) % ${below}`;

const INSERT = `
WITH numbers AS (
  SELECT n, $4::timestamptz + ($5::timestamptz - $4::timestamptz) * (n::float8 / $3::float8) AS at,
    (ARRAY['${TENANTS.join("','")}'])[1 + n % ${TENANTS.length}] AS tenant,
    ${random(2, 1000)} AS kind, ${random(3, 10_000)} AS luck, ${random(4, 1_000_000)} AS who,
    ${random(5, 20_000)} AS what
  FROM generate_series($1::int8, $2::int8) AS n
), facts AS (
  SELECT n, date_trunc('milliseconds', at) AS at, tenant, luck, what, ${pick(1)} AS action,
    ${pick(2)} AS category, ${pick(3)} AS resource_type, who,
    CASE WHEN kind < 200 OR kind BETWEEN 704 AND 707 THEN 'security' WHEN kind BETWEEN 450 AND 539 OR
      kind BETWEEN 600 AND 649 THEN 'financial' WHEN kind BETWEEN 540 AND 599 THEN 'health' ELSE 'standard' END AS class,
    -- Every 37th hour somebody guesses.
    extract(epoch FROM at)::int8 / 3600 % 37 = 0 AND luck % 20 = 0 AS guesses
  FROM numbers
  -- Nothing for three hours of one night.
  WHERE NOT (to_char(at, 'MM-DD') = '10-13' AND extract(hour FROM at) IN (1, 2, 3))
), people AS (
  SELECT facts.*, luck < 30 AND NOT guesses AS impersonates,
    CASE WHEN guesses THEN 'u-guess' WHEN luck < 100 THEN 'u_admin_' || who % 20
      ELSE 'u-' || (who::float8 * who / 200000000)::int8 END AS actor,
    CASE WHEN resource_type = 'ticket' THEN 'T-' || what ELSE left(resource_type, 1) || '-' || what END AS resource,
    CASE WHEN guesses OR luck % 100 = 7 THEN 'denied' WHEN luck % 100 = 8 THEN 'failure' ELSE 'success' END AS outcome,
    to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS time, lpad(to_hex(n), 26, '0') AS event_id,
    md5(n::text) AS digest,
    -- An instance of the SDK a tenant, whose numbers have no gap but for that night.
    n / 10 * CASE tenant WHEN 'acme' THEN 6 WHEN 'zeta' THEN 3 ELSE 1 END
      + n % 10 - CASE tenant WHEN 'acme' THEN 0 WHEN 'zeta' THEN 6 ELSE 9 END AS number, s.stream, s.stream_id
  FROM facts
  JOIN (SELECT stream, stream_id, tenant_id, split_part(stream, '/', 5) AS class FROM audit.streams OFFSET 0) s
    ON s.tenant_id = tenant AND s.class = facts.class
)
INSERT INTO audit.records (occurred_at, received_at, seq, stream_id, duplicate, event_id, tenant_id, actor_type,
  actor_id, on_behalf_of_id, action, category, outcome, resource_type, resource_id, request_id, trace_id,
  prev_hash, this_hash, event_bytes)
SELECT at, at, n, stream_id, false, event_id, tenant, 'user', actor,
  CASE WHEN impersonates THEN 'u-' || what END, action, category, outcome, resource_type, resource,
  'r-' || event_id, digest, decode(digest || digest, 'hex'), decode(digest || digest, 'hex'),
  '{"actor":{"id":"' || actor || '","name":"' || actor || '","on_behalf_of":'
  || CASE WHEN impersonates THEN '{"id":"u-' || what || '","name":"u","type":"user"}' ELSE 'null' END
  || ',"type":"user"},"chain":{"producer":{"id":"01K0000000000000000000' || rpad(tenant, 4, 'X') || '","seq":' || number
  || '},"received_at":"' || time || '","salt":"' || digest || '","seq":' || n || ',"stream":"' || stream
  || '","v":"sealtrail/1"},"correlation":{"request_id":"r-' || event_id || '","span_id":"' || left(digest, 16)
  || '","trace_id":"' || digest || '"},"event":{"action":"' || action || '","category":"' || category
  || '","outcome":"' || outcome || '","time":"' || time || '"},"event_id":"' || event_id || '","metadata":{'
  || CASE WHEN action = 'ticket.assign' THEN '"assignee":"u_admin_' || who % 20 || '","customer":"c-' || what || '"'
       WHEN action = 'customer.export' THEN '"row_count":' || luck * luck % 100003
       WHEN resource_type IN ('invoice', 'patient', 'payment') THEN '"customer":"c-' || what || '"'
         || CASE WHEN luck % 50 = 3 THEN '' ELSE ',"ticket":"T-' || what || '"' END
       ELSE '"page":"/customers/' || what || '"' END
  || '},"resource":{"id":"' || resource || '","tenant_id":"' || tenant || '","type":"' || resource_type
  || '"},"schema_version":"1.0","source":{"ip":"192.0.2.' || who % 250
  || '","service":"shop","service_version":"4.2.1","user_agent":"Mozilla/5.0 (X11; Linux x86_64)"}}'
FROM people`;
