-- Monthly partitions (UTC), made ahead and on demand by the writer, which owns none of them.
-- Bounded: a client with a wrong clock cannot make the writer create partitions without end.
CREATE FUNCTION audit.ensure_partitions(from_time timestamptz, to_time timestamptz)
RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog SET timezone = 'UTC' AS $$
DECLARE
  month timestamptz := date_trunc('month', greatest(from_time, now() - interval '10 years'));
  until timestamptz := least(to_time, now() + interval '3 months');
  partition text;
  made integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('audit.ensure_partitions'));
  WHILE month <= until LOOP
    partition := 'records_' || to_char(month, 'YYYY_MM');
    IF to_regclass('audit.' || partition) IS NULL THEN
      BEGIN
        EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.records
          FOR VALUES FROM (%L) TO (%L) WITH (toast_tuple_target = 8160)',
          partition, month, month + interval '1 month');
        PERFORM audit.guard_table(format('audit.%I', partition)::regclass);
        EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
          partition);
        EXECUTE format('CREATE POLICY owner_reads ON audit.%I FOR SELECT TO CURRENT_USER
          USING (true)', partition);
        made := made + 1;
      EXCEPTION WHEN check_violation THEN
        -- The default partition already holds records of this month; it goes on holding them.
        NULL;
      END;
    END IF;
    month := month + interval '1 month';
  END LOOP;
  RETURN made;
END
$$;
REVOKE ALL ON FUNCTION audit.ensure_partitions(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.ensure_partitions(timestamptz, timestamptz) TO sealtrail_writer;

SELECT audit.ensure_partitions(now(), now() + interval '2 months');
