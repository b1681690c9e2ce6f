-- Questions to an OCSF lake for DuckDB. Run in the lake's folder: duckdb < duckdb.sql
CREATE OR REPLACE VIEW audit AS
SELECT *, make_timestamp(time * 1000) AS occurred_at,
  json_extract_string(unmapped, '$.on_behalf_of.uid') AS on_behalf_of,
  json_extract_string(unmapped, '$.metadata.ticket') AS ticket,
  json_extract_string(unmapped, '$.metadata.reason') AS reason,
  json_extract_string(unmapped, '$.metadata.customer') AS customer,
  CAST(json_extract(unmapped, '$.metadata.row_count') AS BIGINT) AS row_count,
  json_extract_string(unmapped, '$.resource.type') AS resource_type,
  json_extract_string(unmapped, '$.resource.uid') AS resource_id
FROM read_parquet('sealtrail_*/region=*/accountId=*/eventDay=*/*.parquet', hive_partitioning = true, hive_types_autocast = false);

-- 1. denials per actor and hour
SELECT metadata.tenant_uid AS tenant, actor.user.uid AS actor, date_trunc('hour', occurred_at) AS hour, count(*) AS denials
FROM audit
WHERE status_code = 'denied'
GROUP BY ALL HAVING count(*) >= 10
ORDER BY denials DESC, hour;

-- 2. impersonations
SELECT occurred_at, metadata.tenant_uid AS tenant, actor.user.uid AS actor, on_behalf_of, metadata.event_code AS action, resource_id, ticket
FROM audit
WHERE on_behalf_of IS NOT NULL
ORDER BY occurred_at;

-- 3. large exports
SELECT occurred_at, metadata.tenant_uid AS tenant, actor.user.uid AS actor, metadata.event_code AS action, row_count, metadata.correlation_uid AS request_id
FROM audit
WHERE row_count > 10000
ORDER BY row_count DESC;

-- 4. health and financial data without a ticket
SELECT occurred_at, metadata.tenant_uid AS tenant, actor.user.uid AS actor, metadata.event_code AS action, resource_id, customer
FROM audit
WHERE status_code = 'success' AND ticket IS NULL AND coalesce(reason, '') NOT SIMILAR TO '[A-Z]+-[0-9]+.*'
  AND metadata.event_code IN ('invoice.read', 'patient.record_read', 'patient.record_update', 'patient.emergency_access')
ORDER BY occurred_at;

-- 5. what touched one customer
SELECT occurred_at, actor.user.uid AS actor, on_behalf_of, metadata.event_code AS action, status_code, raw_data_hash.value AS this_hash
FROM audit
WHERE customer = 'c-181' OR resource_type = 'customer' AND resource_id = 'c-181'
ORDER BY occurred_at;
