-- Whom a hold needs is asked of the records that name the person, not of all that are held; nobody is erased while a
-- hold is placed; and the record of a purge counts for streams of its own agent and class alone.

-- Each record that a hold covers, with the hold's matter.
CREATE VIEW audit.held_by WITH (security_invoker = true) AS
SELECT r.stream_id, r.seq, h.matter
FROM audit.records r JOIN audit.active_holds h ON
  (h.tenant_id IS NULL OR h.tenant_id = r.tenant_id)
  AND (h.actor_id IS NULL OR h.actor_id IN (r.actor_id, r.on_behalf_of_id))
  AND (h.action IS NULL OR h.action = r.action)
  AND (h.category IS NULL OR h.category = r.category)
  AND (h.resource_type IS NULL OR h.resource_type = r.resource_type)
  AND (h.resource_id IS NULL OR h.resource_id = r.resource_id)
  AND (h.occurred_from IS NULL OR r.occurred_at >= h.occurred_from)
  AND (h.occurred_to IS NULL OR r.occurred_at < h.occurred_to)
  AND (h.event_ids IS NULL OR r.event_id = ANY (h.event_ids));
GRANT SELECT ON audit.held_by TO sealtrail_purger;

CREATE OR REPLACE FUNCTION audit.held_records(of integer, low bigint, high bigint)
RETURNS TABLE (seq bigint, matters text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT h.seq, array_agg(DISTINCT h.matter) FROM audit.held_by h
  WHERE h.stream_id = of AND h.seq >= low AND h.seq < high
  GROUP BY h.seq
$$;

-- Exclusive for an erasure, shared for a hold that is placed: it waits for erasures that have begun, and an erasure that
-- begins later sees it.
CREATE FUNCTION audit.erasure_lock() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 7325011804::bigint';

CREATE OR REPLACE FUNCTION audit.before_decision() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(audit.retention_lock());
  IF TG_TABLE_NAME = 'legal_holds' THEN
    PERFORM pg_advisory_xact_lock_shared(audit.erasure_lock());
  ELSIF TG_TABLE_NAME = 'legal_hold_lifts' THEN
    IF NOT EXISTS (SELECT FROM audit.legal_holds h WHERE h.hold_id = NEW.hold_id) THEN
      RAISE EXCEPTION 'there is no hold %', NEW.hold_id USING ERRCODE = 'no_data_found';
    END IF;
  END IF;
  RETURN NEW;
END
$$;

-- Of a store that was restored: as before, and of purges that the stream's own agent recorded in its class.
CREATE OR REPLACE FUNCTION audit.gone_to(of integer) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(greatest(
    (SELECT max(least(p.base, p.done_to)) FROM audit.purges p WHERE p.stream_id = of),
    (SELECT max(said.base::bigint)
     FROM audit.streams s JOIN audit.records r USING (tenant_id)
     JOIN audit.streams rs ON rs.stream_id = r.stream_id
     CROSS JOIN LATERAL (SELECT r.payload -> 'metadata' ->> 'base' AS base) said
     WHERE s.stream_id = of AND r.action = 'retention.purge'
       AND split_part(rs.stream, '/', 2) = split_part(s.stream, '/', 2)
       AND split_part(rs.stream, '/', 5) = split_part(s.stream, '/', 5)
       AND r.payload -> 'metadata' ->> 'stream' = s.stream AND said.base ~ '^[0-9]{1,15}$'
       AND NOT EXISTS (SELECT FROM audit.record_keys k
                       WHERE k.stream_id = of AND k.seq < said.base::bigint)
       AND NOT EXISTS (SELECT FROM audit.stubs u
                       WHERE u.stream_id = of AND u.seq < said.base::bigint))), 0)
$$;

-- Most records name nobody who is asked about: those that do are found first, and then held against the holds. The
-- owner may not change what is the purger's, but may act as it.
GRANT CREATE ON SCHEMA audit TO sealtrail_purger;
DO $do$
DECLARE
  before CONSTANT text := current_setting('role');
BEGIN
  SET LOCAL ROLE sealtrail_purger;
  CREATE OR REPLACE FUNCTION audit.matters_of(tenant text, tokens text[])
  RETURNS TABLE (token text, matter text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH naming AS MATERIALIZED (
      SELECT r.stream_id, r.seq, t.token FROM audit.records r
      JOIN unnest(tokens) AS t (token) ON strpos(r.event_bytes, t.token) > 0
      WHERE r.tenant_id = tenant AND EXISTS (
        SELECT FROM audit.active_holds h WHERE h.tenant_id IS NULL OR h.tenant_id = tenant)
    )
    SELECT n.token, h.matter FROM naming n JOIN audit.held_by h USING (stream_id, seq)
    UNION
    SELECT t.token, h.matter FROM audit.active_holds h
    JOIN unnest(tokens) AS t (token) ON t.token IN (h.actor_id, h.resource_id)
    WHERE h.tenant_id IS NULL OR h.tenant_id = tenant
    ORDER BY 1, 2
  $$;
  EXECUTE format('SET LOCAL ROLE %I', before);
END
$do$;
REVOKE CREATE ON SCHEMA audit FROM sealtrail_purger;
