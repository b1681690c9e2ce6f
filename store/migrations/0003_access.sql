-- Who may do what. Auditors see the tenants that audit.auditor_tenants gives their login role
-- (session_user): nothing a client can SET changes it. Partitions carry no policy for auditors and
-- no grant, so the parent is the only way in.
CREATE FUNCTION audit.visible_tenants() RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE
    WHEN EXISTS (SELECT FROM audit.auditor_tenants
                 WHERE role_name = session_user AND tenant_id = '*')
    THEN ARRAY(SELECT DISTINCT tenant_id FROM audit.streams)
    ELSE ARRAY(SELECT tenant_id FROM audit.auditor_tenants WHERE role_name = session_user)
  END
$$;
REVOKE ALL ON FUNCTION audit.visible_tenants() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.visible_tenants() TO sealtrail_auditor, sealtrail_writer;

-- The embedded server's own auditor sees everything; elsewhere that role does not log in.
INSERT INTO audit.auditor_tenants VALUES ('sealtrail_auditor', '*');

GRANT USAGE ON SCHEMA audit TO sealtrail_writer, sealtrail_auditor, sealtrail_retention;
GRANT SELECT ON audit.schema_migrations TO sealtrail_writer;
GRANT INSERT, SELECT ON audit.streams, audit.record_keys, audit.records TO sealtrail_writer;
GRANT SELECT ON audit.streams, audit.records TO sealtrail_auditor;

ALTER TABLE audit.streams ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit.record_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit.records ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit.records_default ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit.auditor_tenants ENABLE ROW LEVEL SECURITY;

CREATE POLICY owner_reads ON audit.streams FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_reads ON audit.record_keys FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_reads ON audit.records FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY owner_reads ON audit.records_default FOR SELECT TO CURRENT_USER USING (true);

CREATE POLICY writer_reads ON audit.streams FOR SELECT TO sealtrail_writer USING (true);
CREATE POLICY writer_reads ON audit.record_keys FOR SELECT TO sealtrail_writer USING (true);
CREATE POLICY writer_reads ON audit.records FOR SELECT TO sealtrail_writer USING (true);
CREATE POLICY writer_adds ON audit.streams FOR INSERT TO sealtrail_writer WITH CHECK (true);
CREATE POLICY writer_adds ON audit.record_keys FOR INSERT TO sealtrail_writer WITH CHECK (true);
CREATE POLICY writer_adds ON audit.records FOR INSERT TO sealtrail_writer WITH CHECK (true);

-- A sub-select, so that the list is made once a query and still is an index condition.
CREATE POLICY auditor_reads ON audit.streams FOR SELECT TO sealtrail_auditor
  USING (tenant_id = ANY ((SELECT audit.visible_tenants())::text[]));
CREATE POLICY auditor_reads ON audit.records FOR SELECT TO sealtrail_auditor
  USING (tenant_id = ANY ((SELECT audit.visible_tenants())::text[]));
