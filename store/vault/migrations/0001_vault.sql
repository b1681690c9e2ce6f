-- The vault: which person a token stands for. No name, address or id stands here in clear: an identity is
-- encrypted, and a person is found by a keyed digest. Everything goes through functions, since whoever may only
-- find tokens of people he knows must not be able to list them.
DO $$
BEGIN
  IF current_setting('server_version_num')::integer < 150000 THEN
    RAISE EXCEPTION 'PostgreSQL 15 or newer is needed, this is %', current_setting('server_version');
  END IF;
END
$$;

-- Versions of the vault's keys. The private halves are not in this database, nor are the index keys.
CREATE TABLE vault.key_versions (
  version text COLLATE "C" PRIMARY KEY CHECK (version ~ '^v[1-9][0-9]{0,5}$'),
  public_key bytea NOT NULL CHECK (octet_length(public_key) = 32),
  created_at timestamptz NOT NULL DEFAULT now(),
  -- By then it is to be destroyed: until then a backup may be read with it.
  expires_at timestamptz NOT NULL,
  destroyed_at timestamptz
);

CREATE TABLE vault.subjects (
  token text COLLATE "C" PRIMARY KEY CHECK (token ~ '^sub_[a-z2-7]{26}$'),
  tenant_id text COLLATE "C" NOT NULL CHECK (tenant_id ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$'),
  purpose text COLLATE "C" NOT NULL CHECK (purpose IN ('actor', 'subject')),
  key_version text COLLATE "C" NOT NULL REFERENCES vault.key_versions,
  wrapped_key bytea NOT NULL CHECK (octet_length(wrapped_key) = 80),
  identity bytea NOT NULL CHECK (octet_length(identity) BETWEEN 29 AND 2076),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX subjects_key_version ON vault.subjects (key_version);

-- Under which digests a person is found: one a live version of the index key. Unique, so that two applications
-- that meet a new person at once get one token.
CREATE TABLE vault.lookups (
  lookup bytea PRIMARY KEY CHECK (octet_length(lookup) = 32),
  key_version text COLLATE "C" NOT NULL REFERENCES vault.key_versions,
  token text COLLATE "C" NOT NULL REFERENCES vault.subjects ON DELETE CASCADE
);
CREATE INDEX lookups_token ON vault.lookups (token);

-- What was erased, and whether its event is in the trail: written with the deletion, in one transaction.
CREATE TABLE vault.erasures (
  event_id text COLLATE "C" PRIMARY KEY CHECK (event_id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
  token text COLLATE "C" NOT NULL UNIQUE,
  tenant_id text COLLATE "C" NOT NULL,
  purpose text COLLATE "C" NOT NULL,
  key_version text COLLATE "C" NOT NULL,
  requested_by text NOT NULL,
  reason text NOT NULL,
  -- To the millisecond, as an event has it.
  erased_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
  recorded_at timestamptz
);
CREATE INDEX erasures_pending ON vault.erasures (erased_at) WHERE recorded_at IS NULL;

-- Hex throughout: every driver has text. What is not found is not in the answer.
CREATE FUNCTION vault.tokens_of(wanted text[]) RETURNS TABLE (lookup text, token text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT encode(l.lookup, 'hex'), l.token FROM vault.lookups l
  WHERE l.lookup = ANY (ARRAY(SELECT decode(one, 'hex') FROM unnest(wanted) AS one))
$$;

-- Adds a person, and returns the token: an earlier one where somebody else was faster. `versions` are those of
-- `lookups`, one each. A share lock on the version, so that it cannot be destroyed meanwhile.
CREATE FUNCTION vault.add_subject(new_token text, tenant text, purpose text, sealed_to text,
  wrapped_key text, identity text, lookups text[], versions text[]) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  live text[];
  found_token text;
BEGIN
  live := ARRAY(SELECT k.version FROM vault.key_versions k
    WHERE k.version = ANY (versions || sealed_to) AND k.destroyed_at IS NULL
    ORDER BY k.version FOR SHARE);
  IF sealed_to <> ALL (live) THEN
    RAISE EXCEPTION 'the vault has no key version %, or it is destroyed', sealed_to
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Give the application the lines that `sealtrail vault rotate-key` wrote last.';
  END IF;
  INSERT INTO vault.subjects (token, tenant_id, purpose, key_version, wrapped_key, identity)
    VALUES (new_token, tenant, add_subject.purpose, sealed_to,
      decode(add_subject.wrapped_key, 'hex'), decode(add_subject.identity, 'hex'));
  -- Else an application that was broken into could give an erased person's deeds to somebody else.
  IF EXISTS (SELECT FROM vault.erasures e WHERE e.token = new_token) THEN
    RAISE EXCEPTION 'the token % was erased, and stands for nobody for good', new_token
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  -- In one order, so that two who add the same person wait for one another in turn.
  INSERT INTO vault.lookups (lookup, key_version, token)
    SELECT decode(l.lookup, 'hex'), l.version, new_token
    FROM unnest(lookups, versions) AS l (lookup, version)
    WHERE l.version = ANY (live) ORDER BY 1;
  RETURN new_token;
EXCEPTION WHEN unique_violation THEN
  -- Null where that one was erased at this very moment: ask again.
  SELECT token INTO found_token FROM vault.tokens_of(lookups) LIMIT 1;
  RETURN found_token;
END
$$;

-- Deletes a person and notes it. Null where the token stands for nobody (any more).
CREATE FUNCTION vault.erase_subject(erased text, tenant text, event_id text, requested_by text,
  reason text) RETURNS SETOF vault.erasures
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH gone AS (
    DELETE FROM vault.subjects s WHERE s.token = erased AND s.tenant_id = tenant RETURNING s.*
  )
  INSERT INTO vault.erasures
    (event_id, token, tenant_id, purpose, key_version, requested_by, reason)
  SELECT erase_subject.event_id, g.token, g.tenant_id, g.purpose, g.key_version,
    erase_subject.requested_by, erase_subject.reason FROM gone g
  RETURNING *
$$;

CREATE FUNCTION vault.mark_recorded(recorded text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  UPDATE vault.erasures SET recorded_at = now() WHERE event_id = recorded AND recorded_at IS NULL
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;
GRANT USAGE ON SCHEMA vault
  TO sealtrail_vault_writer, sealtrail_vault_resolver, sealtrail_vault_eraser;
GRANT EXECUTE ON FUNCTION vault.tokens_of(text[])
  TO sealtrail_vault_writer, sealtrail_vault_resolver, sealtrail_vault_eraser;
GRANT EXECUTE ON FUNCTION
  vault.add_subject(text, text, text, text, text, text, text[], text[]) TO sealtrail_vault_writer;
GRANT SELECT ON vault.subjects, vault.key_versions, vault.erasures TO sealtrail_vault_resolver;
GRANT EXECUTE ON FUNCTION vault.erase_subject(text, text, text, text, text),
  vault.mark_recorded(text) TO sealtrail_vault_eraser;
GRANT SELECT ON vault.erasures, vault.key_versions, vault.schema_migrations TO sealtrail_vault_eraser;
GRANT SELECT ON vault.schema_migrations TO sealtrail_vault_resolver;
