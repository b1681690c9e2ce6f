-- Whom a ticket was assigned to stands in the text of an event. An index over that text is no use to a login that
-- row-level security binds: a function of the text is not leakproof, so rows of other tenants have to be left out before
-- it is called. The function below goes by that index for them, and shows what they may see anyhow.

-- Null where jsonb cannot hold the event. Its beginning: an entry of a B-tree has to be small.
CREATE FUNCTION audit.assignee_of(event_bytes text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN left(event_bytes::jsonb -> 'metadata' ->> 'assignee', 200);
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  RETURN NULL;
END
$$;
CREATE INDEX records_assignee ON audit.records (tenant_id, audit.assignee_of(event_bytes))
  WHERE action = 'ticket.assign';

-- The tickets that were assigned to an actor before a time, each as often as it was. One plan a session: over all months
-- making it takes longer than what it does.
CREATE FUNCTION audit.assignments(of_tenant text, to_actor text, before timestamptz)
RETURNS TABLE (ticket text, customer text, occurred_at timestamptz, stream_id integer, seq bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  -- The owner of the store, and whoever has its rights, reads all of it.
  IF of_tenant = ANY (audit.visible_tenants()) OR pg_has_role(session_user, current_user, 'USAGE') THEN
    -- OFFSET 0: an event is parsed once.
    RETURN QUERY
    SELECT a.resource_id, a.metadata ->> 'customer', a.occurred_at, a.stream_id, a.seq
    FROM (
      SELECT r.resource_id, r.payload -> 'metadata' AS metadata, r.occurred_at, r.stream_id, r.seq
      FROM audit.records r
      WHERE r.tenant_id = of_tenant AND NOT r.duplicate AND r.action = 'ticket.assign'
        AND r.outcome = 'success' AND r.resource_type = 'ticket' AND r.occurred_at < before
        AND audit.assignee_of(r.event_bytes) = left(to_actor, 200) OFFSET 0) a
    WHERE a.metadata -> 'assignee' = to_jsonb(to_actor);
  END IF;
END
$$;
REVOKE ALL ON FUNCTION audit.assignments(text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.assignments(text, text, timestamptz) TO sealtrail_auditor;
