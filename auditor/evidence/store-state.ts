/** What the store says of itself: who may do what, what guards its tables, what was kept and what went. Read as its owner. */
import type { ClientBase } from 'pg';
import { listAuditors, type Auditor } from '../../store/auditors.ts';

/** Rows as the database gives them: they are evidence, and nothing here interprets them. */
export type Rows = readonly { readonly [column: string]: unknown }[];

/** Something that is there, and what about it is not as it should be. */
export interface State {
  readonly [part: string]: unknown;
  /** Empty: all of it is in order. */
  readonly faults: readonly string[];
}

/** Tables that are not append-only: bookkeeping, who sees what, and what is on its way into the trail. */
const CHANGING = `('schema_migrations', 'auditor_tenants', 'access_pending')`;

const ROLES = `
SELECT r.rolname AS role, r.rolcanlogin AS logs_in, r.rolsuper AS superuser, r.rolbypassrls AS bypasses_rls,
  r.rolcreaterole AS makes_roles, r.rolconnlimit AS connections_max, ARRAY(
    SELECT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
    WHERE m.member = r.oid ORDER BY 1) AS member_of
FROM pg_roles r
WHERE r.rolname LIKE 'sealtrail\\_%' OR r.rolsuper OR r.rolbypassrls
  OR pg_has_role(r.oid, 'sealtrail_auditor', 'MEMBER') OR pg_has_role(r.oid, 'sealtrail_owner', 'MEMBER')
  OR pg_has_role(r.oid, 'sealtrail_writer', 'MEMBER')
ORDER BY 1`;
const PRIVILEGES = `
SELECT c.relname AS relation, c.relkind = 'v' AS is_view, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE g.rolname::text END AS grantee,
  a.grantee = c.relowner AS is_owner, array_agg(a.privilege_type ORDER BY a.privilege_type) AS privileges
FROM pg_class c CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind IN ('r', 'p', 'v')
GROUP BY 1, 2, 3, 4 ORDER BY 1, 3`;
const FUNCTIONS = `
SELECT p.oid::regprocedure::text AS function, r.rolname AS owner, p.prosecdef AS runs_as_owner,
  coalesce(p.proconfig::text, '') AS settings, p.proacl::text AS acl
FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
WHERE p.pronamespace = 'audit'::regnamespace ORDER BY 1`;
const GUARDS = `
SELECT c.relname AS relation, c.relispartition AS is_partition, c.relrowsecurity AS row_security,
  c.relforcerowsecurity AS forced, c.relname NOT IN ${CHANGING} AS append_only,
  ARRAY(SELECT t.tgname || ' ' || CASE t.tgenabled WHEN 'A' THEN 'always' WHEN 'D' THEN 'DISABLED' ELSE 'NOT always' END
    FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'audit.refuse_change'::regproc ORDER BY 1) AS triggers,
  ARRAY(SELECT p.policyname || ' (' || p.cmd || ' to ' || array_to_string(p.roles, ', ') || '): ' || coalesce(p.qual, '')
    FROM pg_policies p WHERE p.schemaname = 'audit' AND p.tablename = c.relname ORDER BY 1) AS policies
FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1`;

/** Roles, memberships and grants. */
export async function readPrivileges(client: ClientBase): Promise<State> {
  const { rows: roles } = await client.query<Role>(ROLES);
  const { rows: grants } = await client.query<GrantRow>(PRIVILEGES);
  const { rows: functions } = await client.query<FunctionRow>(FUNCTIONS);
  const changes = ['UPDATE', 'DELETE', 'TRUNCATE'];
  const faults = [
    ...roles
      .filter(({ role }) => role.startsWith('sealtrail_') && role !== 'sealtrail_admin')
      .filter((one) => one.superuser || one.bypasses_rls)
      .map(({ role }) => `${role} goes around row-level security`),
    ...grants
      .filter(({ grantee }) => grantee === 'PUBLIC')
      .map(({ relation }) => `everybody has a right to ${relation}`),
    // Of a view its tables decide.
    ...grants
      .filter(({ is_view }) => !is_view)
      .filter(
        ({ relation, grantee }) =>
          !CHANGING.includes(`'${relation}'`) && grantee !== 'sealtrail_purger',
      )
      .filter(({ privileges }) => privileges.some((one) => changes.includes(one)))
      .map(
        ({ relation, grantee, privileges }) =>
          `${grantee} may ${privileges.join(', ')} on ${relation}`,
      ),
    ...functions
      .filter((one) => one.runs_as_owner && !one.settings.includes('search_path'))
      .map((one) => `${one.function} runs as ${one.owner} with the caller's search_path`),
  ];
  return { roles, grants, functions, faults };
}

/** Triggers and row-level security, table by table. */
export async function readGuards(client: ClientBase): Promise<State> {
  const { rows: tables } = await client.query<Guard>(GUARDS);
  const faults = tables.flatMap((table) => {
    const { relation, append_only, row_security, forced, triggers } = table;
    if (relation === 'schema_migrations') return [];
    const open = !row_security || (append_only && !forced) ? ['no forced row-level security'] : [];
    const missing = append_only
      ? ['append_only_statement', 'append_only_truncate', 'append_only_row'].filter(
          (name) => !triggers.includes(`${name} always`),
        )
      : [];
    return [...open, ...missing.map((name) => `trigger ${name} is not in force`)].map(
      (fault) => `${relation}: ${fault}`,
    );
  });
  return { tables, faults };
}

/** Classes with their history, purges, holds. */
export async function readRetention(client: ClientBase): Promise<State> {
  const rows = async (sql: string): Promise<Rows> => (await client.query<Rows[number]>(sql)).rows;
  return {
    classes: await rows(
      'SELECT version, class, regime, days, set_at, set_by, set_as FROM audit.retention_classes ORDER BY version',
    ),
    purges: await rows(
      `SELECT s.stream, s.tenant_id AS tenant, p.size, p.base, p.purged, p.begun_at, p.finished_at, r.stream AS recorded_in, p.purge_seq AS recorded_at_seq
       FROM audit.purges p JOIN audit.streams s USING (stream_id) JOIN audit.streams r ON r.stream_id = p.purge_stream_id
       ORDER BY p.begun_at`,
    ),
    holds: await rows(
      'SELECT hold_id, matter, tenant_id AS tenant, placed_at, placed_by FROM audit.active_holds ORDER BY placed_at',
    ),
    oldest: await rows(
      `SELECT s.tenant_id AS tenant, split_part(s.stream, '/', 5) AS class, min(r.received_at) AS oldest_record, count(*) AS records
       FROM audit.records r JOIN audit.streams s USING (stream_id) GROUP BY 1, 2 ORDER BY 1, 2`,
    ),
    faults: [],
  };
}

/** Who may read the trail. */
export async function readAuditors(
  client: ClientBase,
): Promise<State & { auditors: readonly Auditor[] }> {
  const auditors = await listAuditors(client);
  return {
    auditors,
    faults: auditors.flatMap(({ login, faults }) => faults.map((fault) => `${login}: ${fault}`)),
  };
}

/** Who read it: sums, and the last refusals in full. */
export async function readAccess(client: ClientBase): Promise<State> {
  const { rows: asked } = await client.query(
    `SELECT login, question, tenant_id AS tenant, allowed, count(*)::int AS times, min(asked_at) AS first, max(asked_at) AS last
     FROM audit.access_log GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`,
  );
  const { rows: refused } = await client.query(
    `SELECT access_id, asked_at, login, application, question, tenant_id AS tenant FROM audit.access_log
     WHERE NOT allowed ORDER BY access_id DESC LIMIT 100`,
  );
  const { rows: waiting } = await client.query<{ count: number }>(
    `SELECT count(*)::int FROM audit.access_pending p JOIN audit.access_log l USING (access_id)
     WHERE l.asked_at < clock_timestamp() - interval '10 minutes'`,
  );
  const count = waiting[0]?.count ?? 0;
  const faults = count > 0 ? [`${count} questions are not in the trail after ten minutes`] : [];
  return { asked, refused, faults };
}

interface Role {
  readonly role: string;
  readonly superuser: boolean;
  readonly bypasses_rls: boolean;
}

interface GrantRow {
  readonly relation: string;
  readonly is_view: boolean;
  readonly grantee: string;
  readonly privileges: readonly string[];
}

interface FunctionRow {
  readonly function: string;
  readonly owner: string;
  readonly runs_as_owner: boolean;
  readonly settings: string;
}

interface Guard {
  readonly relation: string;
  readonly append_only: boolean;
  readonly row_security: boolean;
  readonly forced: boolean;
  readonly triggers: readonly string[];
}
