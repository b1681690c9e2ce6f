-- Signed checkpoints, as the agent that signed them keeps them in its data directory: so that an auditor who has the
-- store alone, and the agent's public key, can hold the records against them. They are worth what their signatures
-- are; whoever owns this database can remove them, and cannot make one.
CREATE TABLE audit.checkpoints (
  stream text COLLATE "C" NOT NULL CHECK (length(stream) BETWEEN 1 AND 512),
  size bigint NOT NULL CHECK (size >= 0),
  tenant_id text COLLATE "C" NOT NULL,
  note text COLLATE "C" NOT NULL CHECK (length(note) <= 65536),
  stored_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (stream, size)
);
CREATE INDEX checkpoints_tenant ON audit.checkpoints (tenant_id, stream, size);

SELECT audit.guard_table('audit.checkpoints');
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.checkpoints
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.checkpoints ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.checkpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

GRANT SELECT ON audit.checkpoints TO sealtrail_writer, sealtrail_auditor;
GRANT INSERT (stream, size, tenant_id, note) ON audit.checkpoints TO sealtrail_writer;

CREATE POLICY owner_reads ON audit.checkpoints FOR SELECT TO CURRENT_USER USING (true);
CREATE POLICY writer_reads ON audit.checkpoints FOR SELECT TO sealtrail_writer USING (true);
-- Only of a stream that is there, and under its tenant.
CREATE POLICY writer_adds ON audit.checkpoints FOR INSERT TO sealtrail_writer WITH CHECK (
  EXISTS (SELECT FROM audit.streams s
          WHERE s.stream = checkpoints.stream AND s.tenant_id = checkpoints.tenant_id));
CREATE POLICY auditor_reads ON audit.checkpoints FOR SELECT TO sealtrail_auditor
  USING (tenant_id = ANY ((SELECT audit.visible_tenants())::text[]));
