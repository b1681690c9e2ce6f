/**
 * The records of a request, out of the store of record, as far as the login may see them: all of them, also those that
 * carry the id of an earlier one and that the questions of the catalogue leave out.
 */
import type { ClientBase } from 'pg';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { noteAccess } from '../access.ts';
import { createConnection, type DatabaseAddress } from '../../store/connection.ts';
import { readFoundEvent, type FoundEvent, type FoundRow } from './found-event.ts';

export interface FoundEvents {
  readonly events: readonly FoundEvent[];
  /** Places of records whose bytes are no event. */
  readonly unreadable: readonly string[];
  /** Whether there are more, which were not read. */
  readonly isCut: boolean;
}

export interface AuditEvents {
  /**
   * By event id, by place (`<stream>:<seq>`, as the verifier names a record), by request id or trace id; of a
   * request the earliest, at most `EVENTS_MAX`.
   */
  find(id: string): Promise<Result<FoundEvents, string>>;
  /** Those of one tenant that share a request or a trace. */
  findRelated(
    tenant: string,
    ids: { readonly request: string | null; readonly trace: string | null },
  ): Promise<Result<FoundEvents, string>>;
  close(): void;
}

export const EVENTS_MAX = 1_000;
const TIMEOUT_MS = 60_000;
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** `:` is in no stream's name. */
const PLACE = /^([^:\s]+\/[^:\s]+):(\d{1,15})$/;

/** Whether an id names one record, rather than a request or a trace. */
export function isOfOneRecord(id: string): boolean {
  return ULID.test(id) || PLACE.test(id);
}

/** A condition, and its values from $1 on. */
interface Where {
  readonly sql: string;
  readonly values: readonly unknown[];
}

const FROM = 'FROM audit.sealed_records WHERE';
const COLUMNS = 'stream, seq, tenant_id, event_bytes, prev_hash, this_hash';

/** Opens the store behind an address; connects at the first question. */
export function openAuditEvents(url: DatabaseAddress): AuditEvents {
  const connection = createConnection({
    url,
    timeoutMs: TIMEOUT_MS,
    applicationName: 'sealtrail investigate',
  });

  /** On record before it is read. */
  async function read(
    client: ClientBase,
    id: string,
    tenants: readonly string[],
    { sql, values }: Where,
  ): Promise<Result<FoundEvents, string>> {
    for (const tenant of tenants) {
      const asked = { question: 'investigate', tenant, since: null, until: null, timeZone: 'UTC' };
      const noted = await noteAccess(client, { ...asked, parameters: { id } });
      if (!noted.ok) return err(noted.error.message);
    }
    const { rows } = await client.query<FoundRow>(
      `SELECT ${COLUMNS} ${FROM} tenant_id = ANY ($${values.length + 1}) AND (${sql})
       ORDER BY occurred_at, stream, seq LIMIT ${EVENTS_MAX + 1}`,
      [...values, tenants],
    );
    return ok(foundOf(rows));
  }

  async function run(
    ask: (client: ClientBase) => Promise<Result<FoundEvents, string>>,
  ): Promise<Result<FoundEvents, string>> {
    try {
      return await ask(await connection.client());
    } catch (error) {
      return err(messageOf(error));
    }
  }

  return {
    find: (id) =>
      run(async (client) => {
        const { where, tenants } = await locate(client, wheresOf(id));
        return read(client, id, tenants, where);
      }),
    findRelated: async (tenant, { request, trace }) => {
      const id = request ?? trace;
      return id === null
        ? ok(foundOf([]))
        : run((client) => read(client, id, [tenant], byIds(request, trace)));
    },
    close: () => connection.drop(),
  };
}

const byIds = (request: string | null, trace: string | null): Where => ({
  sql: 'request_id = $1 OR trace_id = $2',
  values: [request, trace],
});

/** Where to look, one after the other: an event id begins with its time, so the time around it comes first. */
function wheresOf(id: string): readonly Where[] {
  const [, stream, seq] = PLACE.exec(id) ?? [];
  if (stream !== undefined) return [{ sql: 'stream = $1 AND seq = $2', values: [stream, seq] }];
  const ofRequest = byIds(id, id.toLowerCase());
  if (!ULID.test(id)) return [ofRequest];
  const ms = timeOfUlid(id);
  const near = [5 * MINUTE_MS, DAY_MS].map((within) => ({
    sql: 'event_id = $1 AND occurred_at BETWEEN $2 AND $3',
    values: [id, ...[ms - within, ms + within].map((at) => new Date(at).toISOString())],
  }));
  return [...near, { sql: 'event_id = $1', values: [id] }, ofRequest];
}

/**
 * Whose records they are, and nothing else of them: that has to be known to put the question on record. Where there are
 * none, one of those tenants has it that the login may see.
 */
async function locate(
  client: ClientBase,
  wheres: readonly Where[],
): Promise<{ readonly where: Where; readonly tenants: readonly string[] }> {
  let where: Where = { sql: 'false', values: [] };
  for (where of wheres) {
    const tenants = await readTenants(
      client,
      `SELECT DISTINCT tenant_id AS tenant ${FROM} ${where.sql}`,
      where.values,
    );
    if (tenants.length > 0) return { where, tenants };
  }
  const visible = 'SELECT unnest(audit.visible_tenants()) AS tenant ORDER BY 1 LIMIT 1';
  return { where, tenants: await readTenants(client, visible, []) };
}

async function readTenants(
  client: ClientBase,
  sql: string,
  values: readonly unknown[],
): Promise<readonly string[]> {
  const { rows } = await client.query<{ tenant: string }>(sql, [...values]);
  return rows.map(({ tenant }) => tenant);
}

function foundOf(rows: readonly FoundRow[]): FoundEvents {
  const read = rows.slice(0, EVENTS_MAX).map((row) => ({ row, event: readFoundEvent(row) }));
  return {
    events: read.flatMap(({ event }) => event ?? []),
    unreadable: read.flatMap(({ row, event }) =>
      event === null ? `${row.stream}:${row.seq}` : [],
    ),
    isCut: rows.length > EVENTS_MAX,
  };
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function timeOfUlid(id: string): number {
  return [...id.slice(0, 10)].reduce((ms, digit) => ms * 32 + CROCKFORD.indexOf(digit), 0);
}
