-- The sealed records and what keeps them unique. Text is COLLATE "C" throughout: byte order, fast,
-- and an index that does not break when the operating system's locale data changes.
-- The schema `audit` and audit.schema_migrations are there already: the migration runner makes them.
DO $$
BEGIN
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION 'the database must be in UTF8, not %', current_setting('server_encoding');
  ELSIF current_setting('server_version_num')::integer < 150000 THEN
    RAISE EXCEPTION 'PostgreSQL 15 or newer is needed, this is %', current_setting('server_version');
  END IF;
END
$$;

CREATE TABLE audit.streams (
  stream_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream text COLLATE "C" NOT NULL UNIQUE,
  tenant_id text COLLATE "C" NOT NULL,
  first_stored_at timestamptz NOT NULL DEFAULT now()
);

-- One row a record, in no partition: here (stream, seq) is unique over all months, a second record
-- with another hash is seen as a fork, and an event counts once however many records carry it. Once
-- a tenant: whoever writes for one tenant must not be able to hide an event of another.
CREATE TABLE audit.record_keys (
  seq bigint NOT NULL,
  stream_id integer NOT NULL,
  duplicate boolean NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  this_hash bytea NOT NULL,
  PRIMARY KEY (stream_id, seq)
);
CREATE UNIQUE INDEX record_keys_event ON audit.record_keys (event_id, tenant_id)
  WHERE NOT duplicate;

CREATE TABLE audit.records (
  occurred_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  seq bigint NOT NULL,
  stream_id integer NOT NULL,
  -- True: an earlier record carries the same event; audit.events leaves this one out.
  duplicate boolean NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  actor_type text COLLATE "C" NOT NULL,
  actor_id text COLLATE "C" NOT NULL,
  on_behalf_of_id text COLLATE "C",
  action text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  resource_type text COLLATE "C" NOT NULL,
  resource_id text COLLATE "C" NOT NULL,
  request_id text COLLATE "C",
  trace_id text COLLATE "C",
  prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
  this_hash bytea NOT NULL CHECK (octet_length(this_hash) = 32),
  -- What was hashed, byte for byte.
  event_bytes text COLLATE "C" NOT NULL,
  PRIMARY KEY (stream_id, seq, occurred_at)
) PARTITION BY RANGE (occurred_at);

-- The event as jsonb, computed by the server from the bytes: nobody can make it say something else.
-- Null where jsonb cannot hold it (U+0000, half a surrogate pair): the record itself must be kept,
-- or the chain would have a hole. From PostgreSQL 18 on it is computed when read, which halves disk
-- and write-ahead log; canonical text escapes control characters only, so the pattern is seldom
-- needed. EXECUTE, since an older server cannot even parse the first branch.
DO $$
BEGIN
  IF current_setting('server_version_num')::integer >= 180000 THEN
    EXECUTE $sql$ALTER TABLE audit.records ADD COLUMN payload jsonb GENERATED ALWAYS AS (
      CASE WHEN event_bytes IS JSON AND (event_bytes NOT LIKE '%\\u%'
        OR event_bytes !~ '(?<!\\)(\\\\)*\\u(0000|[dD][89a-fA-F])')
      THEN event_bytes::jsonb END) VIRTUAL$sql$;
  ELSE
    CREATE FUNCTION audit.to_payload(event_bytes text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $function$
    BEGIN
      RETURN event_bytes::jsonb;
    EXCEPTION WHEN data_exception THEN
      RETURN NULL;
    END
    $function$;
    ALTER TABLE audit.records ADD COLUMN payload jsonb
      GENERATED ALWAYS AS (audit.to_payload(event_bytes)) STORED;
  END IF;
END
$$;

-- Times beyond the months that partitions are made for (a clock far off) land here.
CREATE TABLE audit.records_default PARTITION OF audit.records DEFAULT
  WITH (toast_tuple_target = 8160);

CREATE INDEX records_actor ON audit.records (tenant_id, actor_id, occurred_at);
CREATE INDEX records_resource ON audit.records (tenant_id, resource_type, resource_id, occurred_at);
CREATE INDEX records_action ON audit.records (tenant_id, action, occurred_at);
CREATE INDEX records_category ON audit.records (tenant_id, category, occurred_at);
CREATE INDEX records_request ON audit.records (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX records_trace ON audit.records (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX records_impersonation ON audit.records (tenant_id, actor_id, occurred_at)
  WHERE on_behalf_of_id IS NOT NULL;

-- Which login role may see which tenant; '*' is every tenant. Only the owner reads or writes it.
CREATE TABLE audit.auditor_tenants (
  role_name name NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (role_name, tenant_id)
);
