-- Reading by the owner is on record as well, and the access log does not grow for ever.

-- As in 0009, but for one thing: the owner of the store, and whoever has its rights, reads all of it anyhow, and is
-- told so. What such a login copies or looks through is filed like anybody's question.
CREATE OR REPLACE FUNCTION audit.note_access(asked text, asked_tenant text, asked_since timestamptz,
  asked_until timestamptz, asked_parameters jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  asking_max CONSTANT integer := 3600;
  hour_ago CONSTANT timestamptz := clock_timestamp() - interval '1 hour';
  is_over boolean;
  is_allowed boolean;
  filed bigint;
BEGIN
  IF coalesce(asked, '') !~ '^[a-z][a-z0-9_-]{0,63}$'
    OR coalesce(asked_tenant, '') !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'
    OR jsonb_typeof(asked_parameters) IS DISTINCT FROM 'object'
    OR octet_length(asked_parameters::text) > 4096 THEN
    RAISE EXCEPTION 'this is no question: a name, a tenant, and parameters of up to 4096 bytes'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT count(*) >= asking_max INTO is_over FROM (
    SELECT FROM audit.access_log l WHERE l.login = session_user AND l.asked_at > hour_ago
    LIMIT asking_max) recent;
  IF is_over AND EXISTS (SELECT FROM audit.access_log l
    WHERE l.login = session_user AND l.asked_at > hour_ago AND l.question = '(too many)') THEN
    RETURN NULL;
  END IF;
  -- Within this function current_user is the owner.
  is_allowed := NOT is_over AND (pg_has_role(session_user, current_user, 'USAGE')
    OR EXISTS (SELECT FROM audit.auditor_tenants t
      WHERE t.role_name = session_user AND t.tenant_id IN (asked_tenant, '*')));
  INSERT INTO audit.access_log
    (asked_at, login, application, question, tenant_id, since, until, parameters, allowed)
  VALUES (clock_timestamp(), session_user, current_setting('application_name'),
    CASE WHEN is_over THEN '(too many)' ELSE asked END, asked_tenant, asked_since, asked_until,
    CASE WHEN is_over THEN '{}' ELSE asked_parameters END, is_allowed)
  RETURNING access_id INTO filed;
  INSERT INTO audit.access_pending VALUES (filed);
  RETURN CASE WHEN NOT is_over THEN is_allowed END;
END
$$;

-- Forgets what is in the trail since long: up to 10,000 rows, the oldest first; how many. Four hundred days are a year
-- for whoever has to show one, and a month to do so. It belongs to the one role that may delete, and takes no wishes.
CREATE FUNCTION audit.forget_accesses() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (
    DELETE FROM audit.access_log l WHERE l.access_id IN (
      SELECT o.access_id FROM audit.access_log o
      WHERE o.asked_at < clock_timestamp() - interval '400 days'
        AND NOT EXISTS (SELECT FROM audit.access_pending p WHERE p.access_id = o.access_id)
      ORDER BY o.asked_at LIMIT 10000)
    RETURNING 1)
  SELECT count(*) FROM gone
$$;
CREATE INDEX access_log_time ON audit.access_log (asked_at);
GRANT SELECT, DELETE ON audit.access_log TO sealtrail_purger;
GRANT SELECT ON audit.access_pending TO sealtrail_purger;
CREATE POLICY purger_forgets ON audit.access_log FOR ALL TO sealtrail_purger USING (true) WITH CHECK (false);
CREATE POLICY purger_reads ON audit.access_pending FOR SELECT TO sealtrail_purger USING (true);
REVOKE ALL ON FUNCTION audit.forget_accesses() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.forget_accesses() TO sealtrail_writer;
GRANT CREATE ON SCHEMA audit TO sealtrail_purger;
ALTER FUNCTION audit.forget_accesses() OWNER TO sealtrail_purger;
REVOKE CREATE ON SCHEMA audit FROM sealtrail_purger;
