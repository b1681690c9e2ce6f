-- Append-only: UPDATE, DELETE and TRUNCATE are refused by privilege and by trigger, for the owner
-- too. Statement triggers refuse even what would touch no row; row triggers, which PostgreSQL
-- copies to every partition by itself, catch a partition that somebody attached without them. All
-- fire ALWAYS: under session_replication_role = replica, too.
-- (Here and below: without pg_temp at the end of the path a caller's temporary table could stand in
-- for one of the catalog.)
CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '% on %.% is refused: the audit store is append-only',
    TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'Records leave through the retention purge only.';
END
$$;

CREATE FUNCTION audit.guard_table(guarded regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER append_only_statement BEFORE UPDATE OR DELETE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', guarded);
  EXECUTE format('CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', guarded);
  EXECUTE format('ALTER TABLE ONLY %s ENABLE ALWAYS TRIGGER append_only_statement,
    ENABLE ALWAYS TRIGGER append_only_truncate', guarded);
  EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', guarded);
  EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %I',
    guarded, (SELECT r.rolname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
              WHERE c.oid = guarded));
END
$$;
REVOKE ALL ON FUNCTION audit.guard_table(regclass) FROM PUBLIC;

SELECT audit.guard_table('audit.streams');
SELECT audit.guard_table('audit.record_keys');
SELECT audit.guard_table('audit.records');
SELECT audit.guard_table('audit.records_default');

CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.streams
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.record_keys
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.records
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.streams ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.record_keys ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.records ENABLE ALWAYS TRIGGER append_only_row;
