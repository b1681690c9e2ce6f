-- What people query. Both views run with the rights of whoever asks (security_invoker), so row-level
-- security holds through them.
CREATE FUNCTION audit.hash_ok(prev_hash bytea, event_bytes text, this_hash bytea) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(
    pg_catalog.encode(prev_hash, 'hex') OPERATOR(pg_catalog.||) event_bytes, 'UTF8'))
    OPERATOR(pg_catalog.=) this_hash
$$;

-- Each event once, however many records carry it.
CREATE VIEW audit.events WITH (security_invoker = true) AS
SELECT r.event_id, r.occurred_at, r.received_at, r.tenant_id, r.actor_type, r.actor_id,
       r.on_behalf_of_id, r.action, r.category, r.outcome, r.resource_type, r.resource_id,
       r.request_id, r.trace_id, s.stream, r.seq, r.payload, r.event_bytes,
       encode(r.prev_hash, 'hex') AS prev_hash, encode(r.this_hash, 'hex') AS this_hash
FROM audit.records r JOIN audit.streams s USING (stream_id)
WHERE NOT r.duplicate;

-- Every sealed record, for verification of chains: read ORDER BY stream, seq.
CREATE VIEW audit.sealed_records WITH (security_invoker = true) AS
SELECT s.stream, r.seq, r.event_bytes,
       encode(r.prev_hash, 'hex') AS prev_hash, encode(r.this_hash, 'hex') AS this_hash,
       r.duplicate, r.event_id, r.occurred_at, r.received_at, r.tenant_id, r.actor_type,
       r.actor_id, r.on_behalf_of_id, r.action, r.category, r.outcome, r.resource_type,
       r.resource_id, r.request_id, r.trace_id, r.stream_id
FROM audit.records r JOIN audit.streams s USING (stream_id);

GRANT SELECT ON audit.events, audit.sealed_records
  TO sealtrail_writer, sealtrail_auditor;
