-- The functions of a purge. See 0006 for what they work on.

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
  policy audit.retention_classes;
  held bigint[];
  holding text[];
  base bigint;
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
  SELECT * INTO policy FROM audit.retention_classes c
    WHERE c.class = split_part(named, '/', 5) ORDER BY version DESC LIMIT 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the store does not know how long % is kept: it never expires', named
      USING ERRCODE = 'SP002';
  END IF;
  SELECT coalesce(array_agg(h.seq ORDER BY h.seq), '{}') INTO held
    FROM audit.held_records(of, 0, wanted) h;
  SELECT coalesce(array_agg(DISTINCT m ORDER BY m), '{}') INTO holding
    FROM audit.held_records(of, 0, wanted) h, unnest(h.matters) AS m;
  base := coalesce(held[1] / 256 * 256, wanted);
  SELECT count(*) INTO places FROM audit.records r
    WHERE r.stream_id = of AND r.seq >= base AND r.seq < wanted;
  SELECT places + count(*) INTO places FROM audit.stubs u
    WHERE u.stream_id = of AND u.seq >= base AND u.seq < wanted;
  SELECT count(*), max(r.received_at) INTO whole, youngest FROM audit.records r
    WHERE r.stream_id = of AND r.seq < wanted;
  SELECT p.this_hash INTO head_hash FROM audit.place_at(of, wanted - 1) p;
  SELECT p.prev_hash INTO base_hash FROM audit.place_at(of, base) p;
  IF places <> wanted - base OR head_hash IS NULL THEN
    RAISE EXCEPTION 'records of % before % are not in the store', named, wanted USING ERRCODE = 'SP002';
  ELSIF youngest + policy.days * interval '24 hours' > now() THEN
    RAISE EXCEPTION 'a record of % before % must be kept until %', named, wanted,
      youngest + policy.days * interval '24 hours' USING ERRCODE = 'SP002';
  END IF;
  RETURN jsonb_build_object('stream', named, 'size', wanted, 'base', base, 'head_hash', head_hash,
    'base_hash', CASE WHEN base = wanted THEN head_hash ELSE base_hash END,
    'records', whole - cardinality(held), 'kept', cardinality(held),
    'kept_sha256', audit.digest_kept(held), 'matters', to_jsonb(holding),
    'policy', jsonb_build_object('class', policy.class, 'regime', policy.regime, 'days', policy.days));
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
    least(edge.first, stub.first), coalesce(edge.last + 1, 0),
    CASE WHEN c.days IS NOT NULL THEN coalesce(
      (SELECT r.seq FROM audit.records r WHERE r.stream_id = s.stream_id
         AND r.received_at + c.days * interval '24 hours' > now() ORDER BY r.seq LIMIT 1),
      edge.last + 1, 0) END,
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
  CROSS JOIN LATERAL (SELECT min(u.seq) AS first, count(*) AS count FROM audit.stubs u
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

-- Takes up a purge whose record is in the store: all that the record says must be what is there.
CREATE FUNCTION audit.begin_purge(record_stream text, record_seq bigint) RETURNS audit.purges
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  said audit.records;
  claim jsonb;
  target audit.streams;
  note text;
  begun audit.purges;
  agreed CONSTANT text[] := ARRAY['size', 'base', 'head_hash', 'base_hash', 'records', 'kept',
    'kept_sha256', 'policy'];
  there jsonb;
  different text;
BEGIN
  SELECT r.* INTO said FROM audit.records r JOIN audit.streams s USING (stream_id)
    WHERE s.stream = record_stream AND r.seq = record_seq;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the record of the purge, % of %, is not in the store', record_seq, record_stream
      USING ERRCODE = 'SP003';
  END IF;
  claim := said.payload -> 'metadata';
  note := claim ->> 'checkpoint';
  SELECT * INTO target FROM audit.streams s WHERE s.stream = claim ->> 'stream';
  SELECT * INTO begun FROM audit.purges p WHERE p.stream_id = target.stream_id
    AND p.purge_stream_id = said.stream_id AND p.purge_seq = record_seq;
  IF FOUND THEN
    RETURN begun;
  END IF;
  IF said.action <> 'retention.purge'
    OR NOT audit.hash_ok(said.prev_hash, said.event_bytes, said.this_hash)
    OR target.tenant_id IS DISTINCT FROM said.tenant_id
    OR split_part(target.stream, '/', 2) <> split_part(record_stream, '/', 2)
    OR split_part(target.stream, '/', 5) <> split_part(record_stream, '/', 5) THEN
    RAISE EXCEPTION 'record % of % is no record of a purge of %', record_seq, record_stream,
      claim ->> 'stream' USING ERRCODE = 'SP002';
  ELSIF split_part(note, E'\n', 1) <> target.stream OR split_part(note, E'\n', 2) !~ '^[0-9]{1,19}$'
    OR split_part(note, E'\n', 2)::numeric < (claim ->> 'size')::numeric THEN
    RAISE EXCEPTION 'the purge takes more than its checkpoint covers' USING ERRCODE = 'SP002';
  ELSIF said.stream_id = target.stream_id AND record_seq < (claim ->> 'size')::bigint
    OR EXISTS (SELECT FROM audit.purges p WHERE p.stream_id = target.stream_id
               AND p.size > (claim ->> 'size')::bigint) THEN
    RAISE EXCEPTION 'the purge is older than another one' USING ERRCODE = 'SP002';
  END IF;
  there := audit.purge_preview(target.stream, (claim ->> 'size')::bigint);
  SELECT string_agg(name, ', ') INTO different FROM unnest(agreed) AS name
    WHERE there -> name IS DISTINCT FROM claim -> name;
  IF different IS NOT NULL THEN
    RAISE EXCEPTION 'the record of the purge and the store differ in: %', different
      USING ERRCODE = 'SP002';
  END IF;
  INSERT INTO audit.purges AS p (stream_id, purge_stream_id, purge_seq, size, base, done_to, holds_seen)
  VALUES (target.stream_id, said.stream_id, record_seq, (claim ->> 'size')::bigint,
    (claim ->> 'base')::bigint,
    (SELECT least(
      (SELECT min(k.seq) FROM audit.record_keys k WHERE k.stream_id = target.stream_id),
      (SELECT min(u.seq) FROM audit.stubs u WHERE u.stream_id = target.stream_id)) / 256 * 256),
    (SELECT count(*) FROM audit.legal_holds) + (SELECT count(*) FROM audit.legal_hold_lifts))
  RETURNING p.* INTO begun;
  RETURN begun;
END
$$;

-- One step of a purge, in the transaction of the caller: places up to `places_max` further on. Again
-- and again until `finished`; whatever was interrupted goes on where it was.
CREATE FUNCTION audit.purge(record_stream text, record_seq bigint, places_max integer DEFAULT 4096)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p audit.purges;
  claim jsonb;
  low bigint;
  high bigint;
  held bigint[];
  heir_streams integer[];
  heir_seqs bigint[];
  seen bigint;
  gone bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'a purge must see the holds of this moment: use READ COMMITTED'
      USING ERRCODE = 'SP002';
  END IF;
  PERFORM pg_advisory_xact_lock(audit.retention_lock());
  p := audit.begin_purge(record_stream, record_seq);
  low := p.done_to;
  -- By tiles of 256: whatever becomes held in between, the tile that it lies in is still whole.
  high := least(p.done_to + greatest(places_max / 256, 1) * 256, p.size);
  IF low < high THEN
    SELECT (SELECT count(*) FROM audit.legal_holds) + (SELECT count(*) FROM audit.legal_hold_lifts)
      INTO seen;
    IF seen <> p.holds_seen THEN
      SELECT r.payload -> 'metadata' INTO claim FROM audit.records r
        WHERE r.stream_id = p.purge_stream_id AND r.seq = p.purge_seq;
      SELECT array_agg(h.seq) INTO held FROM audit.held_records(p.stream_id, 0, p.size) h;
      IF claim ->> 'kept_sha256' <> audit.digest_kept(held) THEN
        RAISE EXCEPTION 'holds were placed or lifted since the purge was recorded'
          USING ERRCODE = 'SP002';
      END IF;
    END IF;
    SELECT coalesce(array_agg(h.seq), '{}') INTO held
      FROM audit.held_records(p.stream_id, low, high) h;

    -- Of an event that other records carry too, the next one counts from now on.
    SELECT array_agg(h.stream_id), array_agg(h.seq) INTO heir_streams, heir_seqs FROM (
      SELECT DISTINCT ON (k.event_id, k.tenant_id) k.stream_id, k.seq
      FROM audit.record_keys mine JOIN audit.record_keys k
        ON k.duplicate AND k.event_id = mine.event_id AND k.tenant_id = mine.tenant_id
      WHERE mine.stream_id = p.stream_id AND mine.seq >= low AND mine.seq < high
        AND NOT mine.duplicate AND mine.seq <> ALL (held)
        AND (k.stream_id <> p.stream_id OR k.seq >= high OR k.seq = ANY (held))
      ORDER BY k.event_id, k.tenant_id, k.stream_id, k.seq) h;
    DELETE FROM audit.record_keys k
      WHERE k.stream_id = p.stream_id AND k.seq >= low AND k.seq < high AND k.seq <> ALL (held);
    UPDATE audit.record_keys k SET duplicate = false
      FROM unnest(heir_streams, heir_seqs) AS h (stream_id, seq)
      WHERE k.stream_id = h.stream_id AND k.seq = h.seq;
    UPDATE audit.records r SET duplicate = false
      FROM unnest(heir_streams, heir_seqs) AS h (stream_id, seq)
      WHERE r.stream_id = h.stream_id AND r.seq = h.seq;

    DELETE FROM audit.stubs u
      WHERE u.stream_id = p.stream_id AND u.seq >= low AND u.seq < least(high, p.base);
    UPDATE audit.stubs u SET purge_stream_id = p.purge_stream_id, purge_seq = p.purge_seq
      WHERE u.stream_id = p.stream_id AND u.seq >= greatest(low, p.base) AND u.seq < high;
    INSERT INTO audit.stubs
      SELECT r.stream_id, r.seq, r.tenant_id, r.prev_hash, r.this_hash, p.purge_stream_id, p.purge_seq
      FROM audit.records r WHERE r.stream_id = p.stream_id
        AND r.seq >= greatest(low, p.base) AND r.seq < high AND r.seq <> ALL (held);
    DELETE FROM audit.records r
      WHERE r.stream_id = p.stream_id AND r.seq >= low AND r.seq < high AND r.seq <> ALL (held);
    GET DIAGNOSTICS gone = ROW_COUNT;
    UPDATE audit.purges q SET done_to = high, purged = q.purged + gone, holds_seen = seen,
        finished_at = CASE WHEN high = q.size THEN now() END
      WHERE q.stream_id = p.stream_id AND q.purge_stream_id = p.purge_stream_id
        AND q.purge_seq = p.purge_seq
      RETURNING q.* INTO p;
  END IF;
  RETURN jsonb_build_object('size', p.size, 'base', p.base, 'done_to', p.done_to,
    'purged', p.purged, 'finished', p.finished_at IS NOT NULL);
END
$$;

-- Nobody but the retention role may call a purge, and nobody at all what it is made of. Privileges
-- first: once the functions are the purger's, the owner cannot change them any more.
REVOKE ALL ON FUNCTION audit.held_records(integer, bigint, bigint), audit.place_at(integer, bigint),
  audit.begin_purge(text, bigint), audit.purge(text, bigint, integer),
  audit.purge_preview(text, bigint), audit.retention_plan(),
  audit.is_held(text[], bigint[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.held_records(integer, bigint, bigint),
  audit.place_at(integer, bigint), audit.begin_purge(text, bigint) TO sealtrail_purger;
GRANT EXECUTE ON FUNCTION audit.purge(text, bigint, integer), audit.purge_preview(text, bigint),
  audit.retention_plan() TO sealtrail_retention;
GRANT EXECUTE ON FUNCTION audit.is_held(text[], bigint[], bigint[]) TO sealtrail_writer;
GRANT CREATE ON SCHEMA audit TO sealtrail_purger;
ALTER FUNCTION audit.purge(text, bigint, integer) OWNER TO sealtrail_purger;
ALTER FUNCTION audit.purge_preview(text, bigint) OWNER TO sealtrail_purger;
ALTER FUNCTION audit.retention_plan() OWNER TO sealtrail_purger;
ALTER FUNCTION audit.is_held(text[], bigint[], bigint[]) OWNER TO sealtrail_purger;
REVOKE CREATE ON SCHEMA audit FROM sealtrail_purger;
