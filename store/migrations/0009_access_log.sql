-- Who asked what of the trail. An auditor's tool calls audit.note_access() before it queries, in a
-- transaction of its own: so a question that is refused is on file all the same. The agent carries the
-- rows into the trail, where they are sealed.
CREATE TABLE audit.access_log (
  access_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  asked_at timestamptz NOT NULL,
  -- As which login: nothing that a client can say.
  login name NOT NULL,
  application text NOT NULL,
  question text COLLATE "C" NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  since timestamptz,
  until timestamptz,
  parameters jsonb NOT NULL,
  allowed boolean NOT NULL
);
CREATE INDEX access_log_login ON audit.access_log (login, asked_at);

-- What the trail does not have yet. No number that is remembered would do: whoever holds a transaction
-- open commits a lower number after a higher one.
CREATE TABLE audit.access_pending (access_id bigint PRIMARY KEY);

SELECT audit.guard_table('audit.access_log');
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.access_log
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.access_log ENABLE ALWAYS TRIGGER append_only_row;
REVOKE ALL ON audit.access_pending FROM PUBLIC;
ALTER TABLE audit.access_log ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit.access_pending ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY owner_reads ON audit.access_log FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_adds ON audit.access_log FOR INSERT TO CURRENT_USER WITH CHECK (true);
CREATE POLICY owner_reads ON audit.access_pending FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_adds ON audit.access_pending FOR INSERT TO CURRENT_USER WITH CHECK (true);
CREATE POLICY writer_reads ON audit.access_log FOR SELECT TO sealtrail_writer USING (true);
CREATE POLICY writer_carries ON audit.access_pending FOR ALL TO sealtrail_writer USING (true) WITH CHECK (false);
CREATE POLICY auditor_reads ON audit.access_log FOR SELECT TO sealtrail_auditor USING (login = session_user);
GRANT SELECT ON audit.access_log TO sealtrail_writer, sealtrail_auditor;
-- UPDATE: to lock the rows, for another agent may carry at the same time.
GRANT SELECT, UPDATE, DELETE ON audit.access_pending TO sealtrail_writer;

-- Files the question. True: the login may see this tenant. False: it may not. Null: it asked 3,600 times
-- within an hour, which no person does; the last row of that hour says so, and nothing more is filed, so
-- that nobody can fill the disk. Whoever is told anything but true MUST NOT be answered.
CREATE FUNCTION audit.note_access(asked text, asked_tenant text, asked_since timestamptz,
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
  is_allowed := NOT is_over AND EXISTS (SELECT FROM audit.auditor_tenants t
    WHERE t.role_name = session_user AND t.tenant_id IN (asked_tenant, '*'));
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
REVOKE ALL ON FUNCTION audit.note_access(text, text, timestamptz, timestamptz, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.note_access(text, text, timestamptz, timestamptz, jsonb)
  TO sealtrail_auditor;

-- EXPLAIN ANALYZE says how many rows an index found and a condition took out again. With the tenant in
-- front of the index nothing of another tenant is found: nobody learns that an id exists by asking for it.
DROP INDEX audit.records_request, audit.records_trace;
CREATE INDEX records_request ON audit.records (tenant_id, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX records_trace ON audit.records (tenant_id, trace_id) WHERE trace_id IS NOT NULL;
