/**
 * Auditors: logins of the database, and the tenants that each may see. One belongs to sealtrail_auditor and
 * to nothing else, for rights add up. Asked as the owner of the store; a login is made by whoever may.
 */
import pg, { type ClientBase } from 'pg';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';

export interface Auditor {
  readonly login: string;
  /** `*` is every tenant. */
  readonly tenants: readonly string[];
  /** Why the boundary does not hold for this login; empty: it does. */
  readonly faults: readonly string[];
  readonly can_log_in: boolean;
}

/** The group that every auditor is in. */
export const AUDITOR_GROUP = 'sealtrail_auditor';
/** So many sessions a login may have at once; a page that several tabs are open on needs some. */
const CONNECTIONS_MAX = 16;

/** Why this can be no auditor's login, or null. */
export function findLoginFault(login: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_.@-]{0,62}$/.test(login))
    return 'a login is 1 to 63 letters, digits and any of . _ @ -, a letter first';
  if (/^(sealtrail_|pg_)/i.test(login) || /^(public|none)$/i.test(login))
    return `${login} is a name that the store or PostgreSQL has a use for`;
  return null;
}

/** Why this can be no tenant to see, or null. */
export function findTenantFault(tenant: string): string | null {
  const isTenant = tenant === '*' || /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(tenant);
  return isTenant ? null : `"${tenant}" is no id of a tenant, nor * for all of them`;
}

const AUDITORS = `
SELECT a.login, a.tenants, coalesce(r.rolcanlogin, false) AS can_log_in, array_remove(ARRAY[
    CASE WHEN r.oid IS NULL THEN 'there is no such login' END,
    CASE WHEN r.rolsuper THEN 'it is a superuser' END,
    CASE WHEN r.rolbypassrls THEN 'it has BYPASSRLS' END,
    CASE WHEN r.rolcreaterole THEN 'it has CREATEROLE' END,
    CASE WHEN r.rolreplication THEN 'it has REPLICATION' END,
    CASE WHEN NOT r.rolsuper THEN (SELECT 'it is a member of ' || string_agg(g.rolname, ', ' ORDER BY g.rolname)
      FROM pg_roles g WHERE g.oid <> r.oid AND g.rolname <> '${AUDITOR_GROUP}'
        AND pg_has_role(r.oid, g.oid, 'MEMBER')) END,
    CASE WHEN EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid AND m.admin_option
      AND m.roleid = '${AUDITOR_GROUP}'::regrole) THEN 'it may make others members of ${AUDITOR_GROUP}' END
  ], NULL) AS faults,
  r.oid IS NOT NULL AND pg_has_role(r.oid, '${AUDITOR_GROUP}', 'MEMBER') AS is_member
FROM (SELECT login, coalesce(array_agg(tenant_id ORDER BY tenant_id) FILTER (WHERE tenant_id <> ''), '{}') AS tenants
      FROM (SELECT role_name::text AS login, tenant_id FROM audit.auditor_tenants
        UNION ALL SELECT (SELECT rolname::text FROM pg_roles WHERE oid = m.member), '' FROM pg_auth_members m
        WHERE m.roleid = '${AUDITOR_GROUP}'::regrole) mapped
      GROUP BY login) a
LEFT JOIN pg_roles r ON r.rolname = a.login`;

/** Who may see what, members that see nothing too, and whether that is all. The group itself is left out where nobody logs in as it. */
export async function listAuditors(client: ClientBase): Promise<readonly Auditor[]> {
  const { rows } = await client.query<Auditor & { readonly is_member: boolean }>(
    `${AUDITORS} WHERE a.login <> '${AUDITOR_GROUP}' OR r.rolcanlogin ORDER BY a.login`,
  );
  const openings = await listOpenings(client);
  return rows.map(({ login, tenants, can_log_in, faults, is_member }) => ({
    ...{ login, tenants, can_log_in },
    faults: [
      ...faults,
      ...(is_member || faults.length > 0 ? [] : [`it is no member of ${AUDITOR_GROUP}`]),
      ...(openings.includes(login) ? [OPENING] : []),
    ],
  }));
}

const OPENING = `it may become ${AUDITOR_GROUP} (SET ROLE), which logs in and sees every tenant: grant again`;

/**
 * Logins that could take over the group where that one logs in itself, as in the embedded server: a role may
 * set its own password, and so whoever has become it.
 */
async function listOpenings(client: ClientBase): Promise<readonly string[]> {
  const { rows: can } = await client.query<{ log_in: boolean; new: boolean }>(
    `SELECT rolcanlogin AS log_in, current_setting('server_version_num')::int >= 160000 AS new
     FROM pg_roles WHERE rolname = '${AUDITOR_GROUP}'`,
  );
  if (can[0]?.log_in !== true) return [];
  const { rows } = await client.query<{ rolname: string }>(
    `SELECT rolname FROM pg_roles WHERE NOT rolsuper AND rolname <> '${AUDITOR_GROUP}'
     AND pg_has_role(oid, '${AUDITOR_GROUP}', '${can[0].new ? 'SET' : 'MEMBER'}')`,
  );
  return rows.map(({ rolname }) => rolname);
}

export interface Grant {
  readonly login: string;
  readonly tenants: readonly string[];
  /** What PostgreSQL is to keep of the password (scram.ts); null: leave it, or none. */
  readonly verifier: string | null;
}

/** Lets a login see tenants; makes it where there is none. All of it, or an error that says what to do. */
export async function grantAuditor(
  client: ClientBase,
  { login, tenants, verifier }: Grant,
): Promise<Result<Auditor, string>> {
  await client.query('BEGIN');
  try {
    const made = await prepareLogin(client, login, verifier);
    if (made !== null) return await undo(client, made);
    await client.query(
      `INSERT INTO audit.auditor_tenants SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING`,
      [login, tenants],
    );
    const auditor = (await listAuditors(client)).find((one) => one.login === login);
    if (auditor === undefined) return await undo(client, `${login} is not there`);
    if (auditor.faults.length > 0)
      return await undo(client, `${login} cannot be an auditor: ${auditor.faults.join('; ')}`);
    await client.query('COMMIT');
    return ok(auditor);
  } catch (error) {
    return undo(client, describe(error, login));
  }
}

async function undo(client: ClientBase, message: string): Promise<Result<never, string>> {
  await client.query('ROLLBACK');
  return err(message);
}

/** The login, in the group. A role that is there keeps all that it has; the caller judges that. */
async function prepareLogin(
  client: ClientBase,
  login: string,
  verifier: string | null,
): Promise<string | null> {
  const name = pg.escapeIdentifier(login);
  const { rows } = await client.query<{ can_log_in: boolean; is_member: boolean }>(
    `SELECT rolcanlogin AS can_log_in, pg_has_role(oid, '${AUDITOR_GROUP}', 'MEMBER') AS is_member
     FROM pg_roles WHERE rolname = $1`,
    [login],
  );
  const [there] = rows;
  if (there === undefined)
    await client.query(`CREATE ROLE ${name} LOGIN CONNECTION LIMIT ${CONNECTIONS_MAX}`);
  else if (!there.can_log_in) return `${login} is a role that nobody logs in as; take another name`;
  if (verifier !== null)
    await client.query(`ALTER ROLE ${name} PASSWORD ${pg.escapeLiteral(verifier)}`);
  const openings = await listOpenings(client);
  if (there?.is_member === true && !openings.includes(login)) return null;
  const version = await client.query<{ new: boolean; opens: boolean }>(
    `SELECT current_setting('server_version_num')::int >= 160000 AS new, rolcanlogin AS opens
     FROM pg_roles WHERE rolname = '${AUDITOR_GROUP}'`,
  );
  const { new: isNew = false, opens = false } = version.rows[0] ?? {};
  if (opens && !isNew)
    return `${AUDITOR_GROUP} logs in itself, and before PostgreSQL 16 its members could take it over: ALTER ROLE ${AUDITOR_GROUP} NOLOGIN`;
  await client.query(
    `GRANT ${AUDITOR_GROUP} TO ${name}${isNew ? ' WITH INHERIT TRUE, SET FALSE' : ''}`,
  );
  // Members see what statements their group runs; of that one they shall not.
  if (opens) await client.query(`ALTER ROLE ${AUDITOR_GROUP} SET track_activities = off`);
  return null;
}

export interface Revocation {
  readonly login: string;
  /** Null: all of them. */
  readonly tenants: readonly string[] | null;
  readonly drop: boolean;
}

export interface Revoked {
  readonly tenants: readonly string[];
  /** Sessions that were ended: what an open transaction has seen, it would go on seeing. */
  readonly ended: number;
  /** Sessions that this role may not end. */
  readonly left: number;
  /** Why the login is still there although it was to go; null: it is not, or was to stay. */
  readonly kept: string | null;
  /** Tenants that were to be taken and are seen all the same: the login sees every one. */
  readonly seen: readonly string[];
}

/** Takes tenants from a login, ends its sessions, and drops it where that is asked for. */
export async function revokeAuditor(
  client: ClientBase,
  { login, tenants, drop }: Revocation,
): Promise<Result<Revoked, string>> {
  try {
    const auditor = (await listAuditors(client)).find((one) => one.login === login);
    if (auditor === undefined) return err(`${login} is no auditor`);
    if (drop && auditor.faults.some((fault) => !fault.startsWith('there is no')))
      return err(
        `${login} is more than an auditor, so it is not dropped: ${auditor.faults.join('; ')}`,
      );
    const gone = await client.query<{ tenant_id: string }>(
      `DELETE FROM audit.auditor_tenants WHERE role_name = $1
       AND ($2::text[] IS NULL OR tenant_id = ANY ($2)) RETURNING tenant_id`,
      [login, tenants],
    );
    const sessions = await endSessions(client, login);
    const kept = drop ? await dropLogin(client, login) : null;
    const seesAll = auditor.tenants.includes('*') && !(tenants ?? ['*']).includes('*');
    const seen = seesAll ? (tenants ?? []) : [];
    return ok({ tenants: gone.rows.map(({ tenant_id }) => tenant_id), ...sessions, kept, seen });
  } catch (error) {
    return err(describe(error, login));
  }
}

/** Null, or what PostgreSQL has against it: the tenants are gone all the same. */
async function dropLogin(client: ClientBase, login: string): Promise<string | null> {
  try {
    await client.query(`DROP ROLE IF EXISTS ${pg.escapeIdentifier(login)}`);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

async function endSessions(
  client: ClientBase,
  login: string,
): Promise<{ readonly ended: number; readonly left: number }> {
  const { rows } = await client.query<{ pid: number }>(
    'SELECT pid FROM pg_stat_activity WHERE usename = $1 AND pid <> pg_backend_pid()',
    [login],
  );
  let ended = 0;
  for (const { pid } of rows) {
    try {
      await client.query('SELECT pg_terminate_backend($1, 5000)', [pid]);
      ended += 1;
    } catch (error) {
      if (codeOf(error) !== '42501') throw error;
    }
  }
  return { ended, left: rows.length - ended };
}

/** Rights that are missing, in words. */
function describe(error: unknown, login: string): string {
  const message = messageOf(error);
  if (codeOf(error) !== '42501') return message;
  return `${message}. Making logins needs CREATEROLE: name a role that has it with --store, or, as a superuser, run
  CREATE ROLE ${pg.escapeIdentifier(login)} LOGIN; GRANT ${AUDITOR_GROUP} TO ${pg.escapeIdentifier(login)};
and then this again as the owner of the store`;
}
