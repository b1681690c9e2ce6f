-- Monthly partitions (UTC), made ahead and on demand by the writer, which owns none of them. Ten
-- years either way and no further: event time is the client's, and a client with a wrong clock must
-- not be able to make partitions without end. What lies beyond is in the default partition.
--
-- True: nothing is left to do for this month. False: a long query holds the table; ask again later.
-- Until then the default partition takes the records, for waiting would stop delivery.
CREATE FUNCTION audit.ensure_partition(wanted timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
  month CONSTANT timestamptz := date_trunc('month', wanted);
  next_month CONSTANT timestamptz := month + interval '1 month';
  partition CONSTANT text := 'records_' || to_char(month, 'YYYY_MM');
BEGIN
  IF wanted NOT BETWEEN now() - interval '10 years' AND now() + interval '10 years' THEN
    RETURN true;
  END IF;
  -- A month that the default partition has records of stays there.
  IF to_regclass('audit.' || partition) IS NOT NULL OR EXISTS (
    SELECT FROM audit.records_default WHERE occurred_at >= month AND occurred_at < next_month
  ) THEN
    RETURN true;
  END IF;
  EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.records
    FOR VALUES FROM (%L) TO (%L) WITH (toast_tuple_target = 8160)', partition, month, next_month);
  PERFORM audit.guard_table(format('audit.%I', partition)::regclass);
  EXECUTE format('ALTER TABLE audit.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
    partition);
  EXECUTE format('CREATE POLICY owner_reads ON audit.%I FOR SELECT TO CURRENT_USER USING (true)',
    partition);
  RETURN true;
EXCEPTION
  -- Meanwhile another writer made it, or a record of this month reached the default partition.
  WHEN duplicate_table OR check_violation THEN RETURN true;
  WHEN lock_not_available THEN RETURN false;
END
$$;
REVOKE ALL ON FUNCTION audit.ensure_partition(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.ensure_partition(timestamptz) TO sealtrail_writer;

SELECT audit.ensure_partition(now() + make_interval(months => n)) FROM generate_series(0, 2) AS n;
