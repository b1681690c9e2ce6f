-- Questions to an OCSF lake for Amazon Athena. One table a class, here API Activity (6003); Security Lake makes it by itself
-- for a custom source. Put your bucket in place of BUCKET.
CREATE EXTERNAL TABLE IF NOT EXISTS sealtrail_6003 (
  class_uid int, class_name string, activity_id int, activity_name string, type_uid bigint, type_name string,
  category_uid int, status_id int, status string, status_code string, status_detail string,
  action_id int, disposition_id int, severity_id int, `time` bigint, message string,
  metadata struct<version:string,uid:string,event_code:string,original_event_uid:string,original_time:string,logged_time:bigint,product:struct<name:string,version:string>,loggers:array<struct<name:string,version:string,product:struct<name:string>>>,profiles:array<string>,tenant_uid:string,correlation_uid:string,log_name:string,log_version:string,sequence:bigint>,
  actor struct<`user`:struct<uid:string,name:string,type:string,type_id:int>,session:struct<uid:string>>,
  src_endpoint struct<ip:string,name:string,svc_name:string>,
  http_request struct<uid:string,user_agent:string>,
  trace struct<uid:string>,
  api struct<operation:string,service:struct<name:string>>,
  resources array<struct<uid:string,name:string,type:string>>,
  raw_data_hash struct<algorithm:string,algorithm_id:int,value:string>,
  unmapped string
)
PARTITIONED BY (region string, accountId string, eventDay string)
STORED AS PARQUET
LOCATION 's3://BUCKET/ext/sealtrail_6003/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.region.type' = 'enum', 'projection.region.values' = 'local',
  'projection.accountId.type' = 'injected',
  'projection.eventDay.type' = 'date', 'projection.eventDay.format' = 'yyyyMMdd', 'projection.eventDay.range' = '20260101,NOW'
);

-- 1. denials per actor and hour
SELECT metadata.tenant_uid AS tenant, actor.user.uid AS actor_id, date_trunc('hour', from_unixtime("time" / 1000)) AS "hour", count(*) AS denials
FROM sealtrail_6003
WHERE accountId = 'external_acme' AND eventDay BETWEEN '20261001' AND '20261031' AND status_code = 'denied'
GROUP BY 1, 2, 3 HAVING count(*) >= 10
ORDER BY denials DESC;

-- 2. impersonations
SELECT from_unixtime("time" / 1000) AS occurred_at, actor.user.uid AS actor_id, json_extract_scalar(unmapped, '$.on_behalf_of.uid') AS on_behalf_of, metadata.event_code AS action, json_extract_scalar(unmapped, '$.resource.uid') AS resource_id, json_extract_scalar(unmapped, '$.metadata.ticket') AS ticket
FROM sealtrail_6003
WHERE accountId = 'external_acme' AND eventDay BETWEEN '20261001' AND '20261031' AND json_extract_scalar(unmapped, '$.on_behalf_of.uid') IS NOT NULL
ORDER BY 1;

-- 3. large exports
SELECT from_unixtime("time" / 1000) AS occurred_at, actor.user.uid AS actor_id, metadata.event_code AS action, CAST(json_extract_scalar(unmapped, '$.metadata.row_count') AS bigint) AS row_count, metadata.correlation_uid AS request_id
FROM sealtrail_6003
WHERE accountId = 'external_acme' AND eventDay BETWEEN '20261001' AND '20261031' AND CAST(json_extract_scalar(unmapped, '$.metadata.row_count') AS bigint) > 10000
ORDER BY row_count DESC;

-- 4. health and financial data without a ticket
SELECT from_unixtime("time" / 1000) AS occurred_at, actor.user.uid AS actor_id, metadata.event_code AS action, json_extract_scalar(unmapped, '$.resource.uid') AS resource_id, json_extract_scalar(unmapped, '$.metadata.customer') AS customer
FROM sealtrail_6003
WHERE accountId = 'external_acme' AND eventDay BETWEEN '20261001' AND '20261031' AND status_code = 'success' AND metadata.event_code IN ('invoice.read', 'patient.record_read', 'patient.record_update', 'patient.emergency_access')
  AND json_extract_scalar(unmapped, '$.metadata.ticket') IS NULL AND NOT regexp_like(coalesce(json_extract_scalar(unmapped, '$.metadata.reason'), ''), '^[A-Z]+-[0-9]+')
ORDER BY 1;

-- 5. what touched one customer
SELECT from_unixtime("time" / 1000) AS occurred_at, actor.user.uid AS actor_id, metadata.event_code AS action, status_code, raw_data_hash.value AS this_hash
FROM sealtrail_6003
WHERE accountId = 'external_acme' AND eventDay BETWEEN '20261001' AND '20261031'
  AND (json_extract_scalar(unmapped, '$.metadata.customer') = 'c-181' OR json_extract_scalar(unmapped, '$.resource.uid') = 'c-181')
ORDER BY 1;
