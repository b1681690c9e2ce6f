-- What a purge would be. See 0006 for the tables, and 0008 for the steps of one.

-- Records [low, high) of a stream that a hold covers, and its matters.
CREATE FUNCTION audit.held_records(of integer, low bigint, high bigint)
RETURNS TABLE (seq bigint, matters text[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.seq, array_agg(DISTINCT h.matter)
  FROM audit.records r JOIN audit.active_holds h ON
    (h.tenant_id IS NULL OR h.tenant_id = r.tenant_id)
    AND (h.actor_id IS NULL OR h.actor_id IN (r.actor_id, r.on_behalf_of_id))
    AND (h.action IS NULL OR h.action = r.action)
    AND (h.category IS NULL OR h.category = r.category)
    AND (h.resource_type IS NULL OR h.resource_type = r.resource_type)
    AND (h.resource_id IS NULL OR h.resource_id = r.resource_id)
    AND (h.occurred_from IS NULL OR r.occurred_at >= h.occurred_from)
    AND (h.occurred_to IS NULL OR r.occurred_at < h.occurred_to)
    AND (h.event_ids IS NULL OR r.event_id = ANY (h.event_ids))
  WHERE r.stream_id = of AND r.seq >= low AND r.seq < high
  GROUP BY r.seq
$$;

-- The digest of which records are kept: their numbers, decimal, a line each.
CREATE FUNCTION audit.digest_kept(seqs bigint[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT encode(sha256(convert_to(coalesce(
    (SELECT string_agg(s || E'\n', '' ORDER BY s) FROM unnest(seqs) AS s), ''), 'UTF8')), 'hex')
$$;

-- The place of a stream, whole or a stub.
CREATE FUNCTION audit.place_at(of integer, at bigint)
RETURNS TABLE (prev_hash text, this_hash text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT encode(r.prev_hash, 'hex'), encode(r.this_hash, 'hex')
  FROM audit.records r WHERE r.stream_id = of AND r.seq = at
  UNION ALL
  SELECT encode(u.prev_hash, 'hex'), encode(u.this_hash, 'hex')
  FROM audit.stubs u WHERE u.stream_id = of AND u.seq = at
$$;

-- How long a stream's class is kept, as a purge's record names it; null: for ever.
CREATE FUNCTION audit.policy_of(named text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_build_object('class', c.class, 'regime', c.regime, 'days', c.days)
  FROM audit.retention_classes c
  WHERE c.class = split_part(named, '/', 5) ORDER BY c.version DESC LIMIT 1
$$;

-- Before this place purges have left nothing; from it on every place has to be there, whole or a stub.
-- A store that was restored knows of its purges by their records alone.
CREATE FUNCTION audit.gone_to(of integer) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(greatest(
    (SELECT max(least(p.base, p.done_to)) FROM audit.purges p WHERE p.stream_id = of),
    (SELECT max(said.base::bigint)
     FROM audit.streams s JOIN audit.records r USING (tenant_id)
     CROSS JOIN LATERAL (SELECT r.payload -> 'metadata' ->> 'base' AS base) said
     WHERE s.stream_id = of AND r.action = 'retention.purge'
       AND r.payload -> 'metadata' ->> 'stream' = s.stream AND said.base ~ '^[0-9]{1,15}$'
       AND NOT EXISTS (SELECT FROM audit.record_keys k
                       WHERE k.stream_id = of AND k.seq < said.base::bigint)
       AND NOT EXISTS (SELECT FROM audit.stubs u
                       WHERE u.stream_id = of AND u.seq < said.base::bigint))), 0)
$$;

-- Whether a hold covers a record in places [lows, highs) of streams: asked before a ledger's segment goes.
CREATE FUNCTION audit.is_held(streams text[], lows bigint[], highs bigint[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM unnest(streams, lows, highs) AS w (stream, low, high)
    JOIN audit.streams s USING (stream)
    CROSS JOIN LATERAL audit.held_records(s.stream_id, w.low, w.high))
$$;

-- What a purge of records [0, wanted) of a stream would be, as its record has to say it. Raises where
-- there can be none.
CREATE FUNCTION audit.purge_preview(named text, wanted bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  of integer;
  policy jsonb;
  kept_for interval;
  held bigint[];
  holding text[];
  base bigint;
  gone bigint;
  places bigint;
  whole bigint;
  youngest timestamptz;
  head_hash text;
  base_hash text;
BEGIN
  SELECT stream_id INTO of FROM audit.streams WHERE stream = named;
  IF of IS NULL THEN
    RAISE EXCEPTION 'there is no stream %', named USING ERRCODE = 'SP002';
  ELSIF wanted <= 0 OR wanted % 256 <> 0 THEN
    RAISE EXCEPTION 'a purge takes a multiple of 256 records, not %', wanted USING ERRCODE = 'SP002';
  END IF;
  policy := audit.policy_of(named);
  kept_for := (policy ->> 'days')::integer * interval '24 hours';
  IF policy IS NULL THEN
    RAISE EXCEPTION 'the store does not know how long % is kept: it never expires', named
      USING ERRCODE = 'SP002';
  END IF;
  SELECT coalesce(array_agg(h.seq ORDER BY h.seq), '{}') INTO held
    FROM audit.held_records(of, 0, wanted) h;
  SELECT coalesce(array_agg(DISTINCT m ORDER BY m), '{}') INTO holding
    FROM audit.held_records(of, 0, wanted) h, unnest(h.matters) AS m;
  base := coalesce(held[1] / 256 * 256, wanted);
  -- A place that is empty was never stored, or somebody emptied it: a purge must not cover that up.
  gone := audit.gone_to(of);
  SELECT count(*) INTO places FROM audit.records r
    WHERE r.stream_id = of AND r.seq >= gone AND r.seq < wanted;
  SELECT places + count(*) INTO places FROM audit.stubs u
    WHERE u.stream_id = of AND u.seq >= gone AND u.seq < wanted;
  SELECT count(*), max(r.received_at) INTO whole, youngest FROM audit.records r
    WHERE r.stream_id = of AND r.seq < wanted;
  SELECT p.this_hash INTO head_hash FROM audit.place_at(of, wanted - 1) p;
  SELECT p.prev_hash INTO base_hash FROM audit.place_at(of, base) p;
  IF places <> wanted - gone OR head_hash IS NULL THEN
    RAISE EXCEPTION 'records of % before % are not in the store, and no purge took them', named, wanted
      USING ERRCODE = 'SP002', HINT = 'sealtrail verify --store names them.';
  ELSIF youngest + kept_for > now() THEN
    RAISE EXCEPTION 'a record of % before % must be kept until %', named, wanted, youngest + kept_for
      USING ERRCODE = 'SP002';
  END IF;
  RETURN jsonb_build_object('stream', named, 'size', wanted, 'base', base, 'head_hash', head_hash,
    'base_hash', CASE WHEN base = wanted THEN head_hash ELSE base_hash END,
    'records', whole - cardinality(held), 'kept', cardinality(held),
    'kept_sha256', audit.digest_kept(held), 'matters', to_jsonb(holding),
    'policy', policy);
END
$$;

-- Each stream: how far it is stored, expired and purged, and the newest record of a purge that is not
-- carried out to its end.
CREATE FUNCTION audit.retention_plan()
RETURNS TABLE (stream text, tenant_id text, class text, regime text, days integer,
  first_seq bigint, next_seq bigint, expired_to bigint, purged_to bigint, stubs bigint,
  pending_stream text, pending_seq bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT s.stream, s.tenant_id, split_part(s.stream, '/', 5), c.regime, c.days,
    least(edge.first, stub.first), coalesce(greatest(edge.last, stub.last) + 1, 0),
    CASE WHEN c.days IS NOT NULL THEN coalesce(
      (SELECT r.seq FROM audit.records r WHERE r.stream_id = s.stream_id
         AND r.received_at + c.days * interval '24 hours' > now() ORDER BY r.seq LIMIT 1),
      greatest(edge.last, stub.last) + 1, 0) END,
    coalesce((SELECT max(p.size) FROM audit.purges p
              WHERE p.stream_id = s.stream_id AND p.finished_at IS NOT NULL), 0),
    stub.count, pending.stream, pending.seq
  FROM audit.streams s
  LEFT JOIN LATERAL (SELECT v.regime, v.days FROM audit.retention_classes v
    WHERE v.class = split_part(s.stream, '/', 5) ORDER BY v.version DESC LIMIT 1) c ON true
  CROSS JOIN LATERAL (SELECT
    (SELECT k.seq FROM audit.record_keys k WHERE k.stream_id = s.stream_id
     ORDER BY k.seq LIMIT 1) AS first,
    (SELECT k.seq FROM audit.record_keys k WHERE k.stream_id = s.stream_id
     ORDER BY k.seq DESC LIMIT 1) AS last) edge
  CROSS JOIN LATERAL (SELECT min(u.seq) AS first, max(u.seq) AS last, count(*) AS count FROM audit.stubs u
    WHERE u.stream_id = s.stream_id) stub
  LEFT JOIN LATERAL (
    SELECT n.stream, n.seq FROM (
      SELECT rs.stream, r.seq, r.stream_id FROM audit.records r
      JOIN audit.streams rs USING (stream_id)
      WHERE r.tenant_id = s.tenant_id AND r.action = 'retention.purge'
        AND r.payload -> 'metadata' ->> 'stream' = s.stream
      ORDER BY r.received_at DESC, r.seq DESC LIMIT 1) n
    WHERE NOT EXISTS (SELECT FROM audit.purges p WHERE p.stream_id = s.stream_id
      AND p.purge_stream_id = n.stream_id AND p.purge_seq = n.seq AND p.finished_at IS NOT NULL)
  ) pending ON true
  ORDER BY s.stream
$$;
