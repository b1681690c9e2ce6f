-- The roles of the vault, and who may enter its database. Run by `sealtrail vault init` as a superuser (or a
-- role with CREATEROLE that owns the database); safe to run again. None of them logs in: make login roles
-- members of them, each of one only.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['owner', 'writer', 'resolver', 'eraser'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealtrail_vault_' || wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', 'sealtrail_vault_' || wanted);
    END IF;
  END LOOP;
  -- In the store's database its roles would be a GRANT away from the people behind its tokens.
  IF to_regnamespace('audit') IS NOT NULL THEN
    RAISE EXCEPTION 'this database holds the store of record; the vault needs one of its own'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'CREATE DATABASE vault, best on another server, and name that one.';
  END IF;
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO sealtrail_vault_owner, sealtrail_vault_writer,
    sealtrail_vault_resolver, sealtrail_vault_eraser', current_database());
  EXECUTE format('GRANT CREATE ON DATABASE %I TO sealtrail_vault_owner', current_database());
END
$$;
