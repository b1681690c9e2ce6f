-- Indexes that the auditor's questions need and nothing else has. Made within the migration, which holds up writers of
-- a store that is large already: delivery goes on by itself afterwards, the ledger has it all.

-- What happened in a time, by whoever: all activity, silences, time lines. Appended at its right end, since time goes on.
CREATE INDEX records_time ON audit.records (tenant_id, occurred_at);
-- Denials are few; those of an hour are counted from the index alone.
CREATE INDEX records_denied ON audit.records (tenant_id, occurred_at, actor_id)
  WHERE outcome = 'denied' AND NOT duplicate;
-- On whose behalf: few as well.
CREATE INDEX records_on_behalf_of ON audit.records (tenant_id, on_behalf_of_id, occurred_at)
  WHERE on_behalf_of_id IS NOT NULL;
