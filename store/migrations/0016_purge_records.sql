-- The record of a purge may stand in another stream than the one that was purged: purges of an agent's incarnation that is
-- over are recorded in the stream that took its place. When that one is purged in its turn, the record has to stand anew
-- further on before it goes: nothing else excuses what is missing there.

-- Records of purges of other streams below a place, the last of each, as they have to be recorded again.
CREATE FUNCTION audit.purges_to_renew(named text, wanted bigint)
RETURNS TABLE (stream text, metadata jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT DISTINCT ON (t.stream) t.stream, r.payload -> 'metadata'
  FROM audit.streams s
  JOIN audit.records r ON r.tenant_id = s.tenant_id AND r.action = 'retention.purge'
    AND r.stream_id = s.stream_id AND r.seq < wanted
  JOIN audit.streams t ON t.stream = r.payload -> 'metadata' ->> 'stream'
    AND t.tenant_id = s.tenant_id AND t.stream_id <> s.stream_id
  WHERE s.stream = named AND NOT EXISTS (
    SELECT FROM audit.purges p
    JOIN audit.records n ON n.stream_id = p.purge_stream_id AND n.seq = p.purge_seq
    WHERE p.stream_id = t.stream_id AND p.finished_at IS NOT NULL
      AND (n.stream_id <> s.stream_id OR n.seq >= wanted)
      AND (n.received_at, n.seq) > (r.received_at, r.seq))
  ORDER BY t.stream, r.received_at DESC, r.seq DESC
$$;

-- Whether a purge, as its record tells of it, has been carried out, and another record tells the same of it.
CREATE FUNCTION audit.is_renewal(said audit.records, target integer) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM audit.records r
      WHERE r.tenant_id = said.tenant_id AND r.action = 'retention.purge'
        AND r.payload -> 'metadata' = said.payload -> 'metadata'
        AND (r.stream_id, r.seq) <> (said.stream_id, said.seq)
        AND audit.hash_ok(r.prev_hash, r.event_bytes, r.this_hash))
    AND NOT EXISTS (SELECT FROM audit.record_keys k WHERE k.stream_id = target AND k.seq < claim.base)
    AND NOT EXISTS (SELECT FROM audit.stubs u WHERE u.stream_id = target AND u.seq < claim.base)
    AND claim.kept_sha256 = audit.digest_kept(ARRAY(
      SELECT r.seq FROM audit.records r WHERE r.stream_id = target AND r.seq < claim.size ORDER BY r.seq))
  FROM jsonb_to_record(said.payload -> 'metadata') AS claim (size bigint, base bigint, kept_sha256 text)
$$;

-- As before; and the record of a purge that was carried out already, when it stands anew, takes the place of the one before.
CREATE OR REPLACE FUNCTION audit.begin_purge(record_stream text, record_seq bigint) RETURNS audit.purges
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
  IF audit.is_renewal(said, target.stream_id) THEN
    INSERT INTO audit.purges AS p (stream_id, purge_stream_id, purge_seq, size, base, done_to, holds_seen, finished_at)
    VALUES (target.stream_id, said.stream_id, record_seq, (claim ->> 'size')::bigint,
      (claim ->> 'base')::bigint, (claim ->> 'size')::bigint, 0, now())
    RETURNING p.* INTO begun;
    UPDATE audit.stubs u SET purge_stream_id = said.stream_id, purge_seq = record_seq
      WHERE u.stream_id = target.stream_id AND u.seq < begun.size;
    RETURN begun;
  END IF;
  SELECT n.stream INTO different FROM audit.purges_to_renew(target.stream, (claim ->> 'size')::bigint) n LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'it would take the record of the purge of %, which has to be recorded again before', different
      USING ERRCODE = 'SP002';
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

REVOKE ALL ON FUNCTION audit.purges_to_renew(text, bigint), audit.is_renewal(audit.records, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.is_renewal(audit.records, integer) TO sealtrail_purger;
GRANT EXECUTE ON FUNCTION audit.purges_to_renew(text, bigint) TO sealtrail_retention;
GRANT CREATE ON SCHEMA audit TO sealtrail_purger;
ALTER FUNCTION audit.purges_to_renew(text, bigint) OWNER TO sealtrail_purger;
REVOKE CREATE ON SCHEMA audit FROM sealtrail_purger;
