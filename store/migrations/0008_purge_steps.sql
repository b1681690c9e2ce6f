-- The steps of a purge, and who may take them. See 0006 and 0007 for what they work on.

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
  note := coalesce(claim ->> 'checkpoint', '');
  SELECT * INTO target FROM audit.streams s WHERE s.stream = claim ->> 'stream';
  SELECT * INTO begun FROM audit.purges p WHERE p.stream_id = target.stream_id
    AND p.purge_stream_id = said.stream_id AND p.purge_seq = record_seq;
  IF FOUND THEN
    -- What was to go when it was begun may have to stay by now.
    IF begun.finished_at IS NULL AND audit.policy_of(target.stream) IS DISTINCT FROM claim -> 'policy' THEN
      RAISE EXCEPTION 'how long % is kept was changed since the purge was recorded', target.stream
        USING ERRCODE = 'SP002';
    END IF;
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
    audit.gone_to(target.stream_id),
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

-- For which matters a hold keeps a record that names one of these subjects, or names the subject itself:
-- asked before a person is erased.
CREATE FUNCTION audit.matters_of(tenant text, tokens text[]) RETURNS TABLE (token text, matter text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT t.token, m.matter FROM audit.streams s
  CROSS JOIN LATERAL audit.held_records(s.stream_id, 0, 9223372036854775807) h
  JOIN audit.records r ON r.stream_id = s.stream_id AND r.seq = h.seq
  CROSS JOIN LATERAL unnest(h.matters) AS m (matter)
  JOIN unnest(tokens) AS t (token) ON strpos(r.event_bytes, t.token) > 0
  WHERE s.tenant_id = tenant
  UNION
  SELECT t.token, h.matter FROM audit.active_holds h
  JOIN unnest(tokens) AS t (token) ON t.token IN (h.actor_id, h.resource_id)
  WHERE h.tenant_id IS NULL OR h.tenant_id = tenant
  ORDER BY 1, 2
$$;

-- Nobody but the retention role may call a purge, and nobody at all what it is made of. Privileges
-- first: once the functions are the purger's, the owner cannot change them any more.
REVOKE ALL ON FUNCTION audit.held_records(integer, bigint, bigint), audit.place_at(integer, bigint),
  audit.policy_of(text), audit.gone_to(integer), audit.begin_purge(text, bigint), audit.purge(text, bigint, integer),
  audit.purge_preview(text, bigint), audit.retention_plan(),
  audit.is_held(text[], bigint[], bigint[]), audit.matters_of(text, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.held_records(integer, bigint, bigint),
  audit.place_at(integer, bigint), audit.policy_of(text), audit.gone_to(integer),
  audit.begin_purge(text, bigint) TO sealtrail_purger;
GRANT EXECUTE ON FUNCTION audit.purge(text, bigint, integer), audit.purge_preview(text, bigint),
  audit.retention_plan() TO sealtrail_retention;
GRANT EXECUTE ON FUNCTION audit.is_held(text[], bigint[], bigint[]) TO sealtrail_writer;
GRANT EXECUTE ON FUNCTION audit.matters_of(text, text[]) TO sealtrail_legal;
GRANT CREATE ON SCHEMA audit TO sealtrail_purger;
ALTER FUNCTION audit.purge(text, bigint, integer) OWNER TO sealtrail_purger;
ALTER FUNCTION audit.purge_preview(text, bigint) OWNER TO sealtrail_purger;
ALTER FUNCTION audit.retention_plan() OWNER TO sealtrail_purger;
ALTER FUNCTION audit.is_held(text[], bigint[], bigint[]) OWNER TO sealtrail_purger;
ALTER FUNCTION audit.matters_of(text, text[]) OWNER TO sealtrail_purger;
REVOKE CREATE ON SCHEMA audit FROM sealtrail_purger;
