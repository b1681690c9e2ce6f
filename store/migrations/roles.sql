-- The roles of the store. Run once, as a superuser (or a role with CREATEROLE), before the first
-- migration; safe to run again. The embedded server does the same by itself. Give the roles that
-- log in a password (\password sealtrail_owner), or make login roles members of them.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['owner', 'writer', 'auditor', 'retention', 'legal', 'purger'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sealtrail_' || wanted) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', 'sealtrail_' || wanted);
    END IF;
  END LOOP;
END
$$;
-- The owner has to be a member of the role that may delete, to give it the purge functions; it does
-- not inherit its rights, and the triggers let through nobody but that role itself.
ALTER ROLE sealtrail_owner NOINHERIT;
GRANT sealtrail_purger TO sealtrail_owner;
