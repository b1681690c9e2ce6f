-- Retention, legal holds and the purge. Records leave in one way: audit.purge(), which takes the
-- beginning of a stream, and only through a record of that purge which is in the store already. It
-- belongs to sealtrail_purger, a role that nobody logs in as and that alone may delete; it believes
-- nobody and checks all of it here.
DO $$
BEGIN
  IF (SELECT count(*) FROM pg_roles
      WHERE rolname IN ('sealtrail_retention', 'sealtrail_legal', 'sealtrail_purger')) < 3
    OR NOT pg_has_role('sealtrail_purger', 'MEMBER') THEN
    RAISE EXCEPTION 'roles are missing: run store/migrations/roles.sql again, as a superuser';
  END IF;
END
$$;

-- How long a class is kept, and which rule asks for it. The newest version of a class is in force;
-- the older ones stay to be read. A class that is not here never expires.
CREATE TABLE audit.retention_classes (
  version integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  class text COLLATE "C" NOT NULL,
  regime text NOT NULL,
  days integer NOT NULL CHECK (days BETWEEN 1 AND 36525),
  set_at timestamptz NOT NULL DEFAULT now(),
  set_by text NOT NULL,
  set_as name NOT NULL DEFAULT session_user
);
CREATE INDEX retention_classes_newest ON audit.retention_classes (class, version DESC);

-- What is held, a matter each; a member that is null is any. A hold is never changed, only lifted.
CREATE TABLE audit.legal_holds (
  hold_id text COLLATE "C" PRIMARY KEY,
  matter text NOT NULL CHECK (matter <> ''),
  reason text NOT NULL CHECK (reason <> ''),
  tenant_id text COLLATE "C",
  actor_id text COLLATE "C",
  action text COLLATE "C",
  category text COLLATE "C",
  resource_type text COLLATE "C",
  resource_id text COLLATE "C",
  occurred_from timestamptz,
  occurred_to timestamptz,
  event_ids text[] COLLATE "C",
  placed_at timestamptz NOT NULL DEFAULT now(),
  placed_by text NOT NULL,
  placed_as name NOT NULL DEFAULT session_user,
  CHECK (num_nonnulls(tenant_id, actor_id, action, category, resource_type, resource_id,
                      occurred_from, occurred_to, event_ids) > 0)
);
CREATE TABLE audit.legal_hold_lifts (
  hold_id text COLLATE "C" PRIMARY KEY,
  reason text NOT NULL CHECK (reason <> ''),
  lifted_at timestamptz NOT NULL DEFAULT now(),
  lifted_by text NOT NULL,
  lifted_as name NOT NULL DEFAULT session_user
);
CREATE VIEW audit.active_holds WITH (security_invoker = true) AS
SELECT h.* FROM audit.legal_holds h
WHERE NOT EXISTS (SELECT FROM audit.legal_hold_lifts l WHERE l.hold_id = h.hold_id);

-- What is left of a purged record between records that are held: enough for link, tree and proof.
CREATE TABLE audit.stubs (
  stream_id integer NOT NULL,
  seq bigint NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  prev_hash bytea NOT NULL,
  this_hash bytea NOT NULL,
  -- The record of the purge.
  purge_stream_id integer NOT NULL,
  purge_seq bigint NOT NULL,
  PRIMARY KEY (stream_id, seq)
);

-- Each purge that was begun, and how far it is: what lies below done_to is settled.
CREATE TABLE audit.purges (
  stream_id integer NOT NULL,
  purge_stream_id integer NOT NULL,
  purge_seq bigint NOT NULL,
  size bigint NOT NULL,
  base bigint NOT NULL,
  done_to bigint NOT NULL,
  purged bigint NOT NULL DEFAULT 0,
  -- Holds and lifts that were there when its list of kept records was last compared.
  holds_seen bigint NOT NULL,
  begun_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  PRIMARY KEY (stream_id, purge_stream_id, purge_seq)
);

-- For finding what a purge takes the first copy of.
CREATE INDEX record_keys_duplicate ON audit.record_keys (event_id, tenant_id) WHERE duplicate;

CREATE OR REPLACE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- Nobody is this role but within audit.purge().
  IF current_user = 'sealtrail_purger' AND TG_OP = 'DELETE' THEN RETURN OLD;
  ELSIF current_user = 'sealtrail_purger' AND TG_OP = 'UPDATE' THEN RETURN NEW;
  END IF;
  RAISE EXCEPTION '% on %.% is refused: the audit store is append-only',
    TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'Records leave through the retention purge only.';
END
$$;

DO $$
DECLARE
  guarded regclass;
BEGIN
  FOREACH guarded IN ARRAY ARRAY['audit.retention_classes', 'audit.legal_holds',
    'audit.legal_hold_lifts', 'audit.stubs', 'audit.purges']::regclass[] LOOP
    PERFORM audit.guard_table(guarded);
    EXECUTE format('CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON %s
      FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()', guarded);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only_row', guarded);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', guarded);
    EXECUTE format('CREATE POLICY owner_reads ON %s FOR SELECT TO CURRENT_USER USING (true)', guarded);
    EXECUTE format('CREATE POLICY purger_reads ON %s FOR SELECT TO sealtrail_purger USING (true)', guarded);
    EXECUTE format('GRANT SELECT ON %s TO sealtrail_purger', guarded);
  END LOOP;
  FOREACH guarded IN ARRAY ARRAY['audit.stubs', 'audit.purges']::regclass[] LOOP
    EXECUTE format('REVOKE INSERT ON %s FROM CURRENT_USER', guarded);
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO sealtrail_purger', guarded);
    EXECUTE format('CREATE POLICY purger_writes ON %s FOR ALL TO sealtrail_purger
      USING (true) WITH CHECK (true)', guarded);
  END LOOP;
  FOREACH guarded IN ARRAY ARRAY['audit.records', 'audit.record_keys']::regclass[] LOOP
    EXECUTE format('GRANT SELECT, DELETE, UPDATE (duplicate) ON %s TO sealtrail_purger', guarded);
    EXECUTE format('CREATE POLICY purger_purges ON %s FOR ALL TO sealtrail_purger
      USING (true) WITH CHECK (true)', guarded);
  END LOOP;
END
$$;
GRANT USAGE ON SCHEMA audit TO sealtrail_purger, sealtrail_legal;
GRANT SELECT ON audit.streams, audit.active_holds TO sealtrail_purger;
CREATE POLICY purger_reads ON audit.streams FOR SELECT TO sealtrail_purger USING (true);

CREATE POLICY owner_sets ON audit.retention_classes FOR INSERT TO CURRENT_USER WITH CHECK (true);
CREATE POLICY all_read ON audit.retention_classes FOR SELECT TO PUBLIC USING (true);
GRANT SELECT ON audit.retention_classes
  TO sealtrail_writer, sealtrail_auditor, sealtrail_retention, sealtrail_legal;

REVOKE INSERT ON audit.legal_holds, audit.legal_hold_lifts FROM CURRENT_USER;
GRANT INSERT, SELECT ON audit.legal_holds, audit.legal_hold_lifts TO sealtrail_legal;
GRANT SELECT ON audit.active_holds TO sealtrail_legal;
CREATE POLICY legal_holds ON audit.legal_holds FOR ALL TO sealtrail_legal
  USING (true) WITH CHECK (true);
CREATE POLICY legal_lifts ON audit.legal_hold_lifts FOR ALL TO sealtrail_legal
  USING (true) WITH CHECK (true);

CREATE POLICY auditor_reads ON audit.stubs FOR SELECT TO sealtrail_auditor
  USING (tenant_id = ANY ((SELECT audit.visible_tenants())::text[]));
CREATE POLICY writer_reads ON audit.stubs FOR SELECT TO sealtrail_writer USING (true);
CREATE POLICY writer_reads ON audit.purges FOR SELECT TO sealtrail_writer USING (true);
GRANT SELECT ON audit.stubs TO sealtrail_auditor, sealtrail_writer;
GRANT SELECT ON audit.purges TO sealtrail_writer;

-- When each record may go: counted from when the agent took it, which no client can say.
CREATE VIEW audit.retention WITH (security_invoker = true) AS
SELECT r.event_id, r.tenant_id, s.stream, r.seq, r.occurred_at, r.received_at, c.class, c.regime,
       r.received_at + c.days * interval '24 hours' AS retention_until
FROM audit.records r JOIN audit.streams s USING (stream_id)
LEFT JOIN LATERAL (
  SELECT c.class, c.regime, c.days FROM audit.retention_classes c
  WHERE c.class = split_part(s.stream, '/', 5) ORDER BY c.version DESC LIMIT 1
) c ON true;
GRANT SELECT ON audit.retention TO sealtrail_writer, sealtrail_auditor;

-- One lock for all: exclusive for a step of a purge; shared for a hold, for a class that is set, and for
-- each transaction of the writer. So no hold and no longer period comes too late for records that are
-- going, and no record that is sent again slips in behind the purge that took it.
CREATE FUNCTION audit.retention_lock() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 7325011803::bigint';

CREATE FUNCTION audit.before_decision() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(audit.retention_lock());
  IF TG_TABLE_NAME = 'legal_hold_lifts' THEN
    IF NOT EXISTS (SELECT FROM audit.legal_holds h WHERE h.hold_id = NEW.hold_id) THEN
      RAISE EXCEPTION 'there is no hold %', NEW.hold_id USING ERRCODE = 'no_data_found';
    END IF;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER before_decision BEFORE INSERT ON audit.legal_holds
  FOR EACH ROW EXECUTE FUNCTION audit.before_decision();
CREATE TRIGGER before_decision BEFORE INSERT ON audit.legal_hold_lifts
  FOR EACH ROW EXECUTE FUNCTION audit.before_decision();
CREATE TRIGGER before_decision BEFORE INSERT ON audit.retention_classes
  FOR EACH ROW EXECUTE FUNCTION audit.before_decision();

-- The writer asks before it inserts: places of a stream that were purged are not filled again.
CREATE FUNCTION audit.refuse_purged(stream_ids integer[], seqs bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(audit.retention_lock());
  IF EXISTS (SELECT FROM unnest(stream_ids, seqs) AS w (stream_id, seq)
             JOIN audit.purges p USING (stream_id) WHERE w.seq < p.size) THEN
    RAISE EXCEPTION 'a record of the batch was purged' USING ERRCODE = 'SP001';
  END IF;
END
$$;
REVOKE ALL ON FUNCTION audit.refuse_purged(integer[], bigint[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.refuse_purged(integer[], bigint[]) TO sealtrail_writer;
