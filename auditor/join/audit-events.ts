/**
 * The audit events of a request, out of the store of record, as far as the login may see them. What an event says
 * is taken from the bytes that were hashed; the columns only find it. Reading them is on record like any question.
 */
import type { ClientBase } from 'pg';
import { hashRecord } from '../../ledger/chain.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { createConnection, type DatabaseAddress } from '../../store/connection.ts';
import { noteAccess } from '../access.ts';

export interface FoundEvent {
  readonly event: SealedEvent;
  readonly this_hash: string;
  /** Whether the record's own hash is that of its bytes; its chain is for `sealtrail verify`. */
  readonly isHashRight: boolean;
}

export interface AuditEvents {
  /**
   * By event id, by place (`<stream>:<seq>`, as the verifier names a record), by request id or trace id; of a
   * request the earliest, at most `EVENTS_MAX`.
   */
  find(id: string): Promise<Result<readonly FoundEvent[], string>>;
  /** Those of one tenant that share a request or a trace. */
  findRelated(
    tenant: string,
    ids: { readonly request: string | null; readonly trace: string | null },
  ): Promise<Result<readonly FoundEvent[], string>>;
  close(): void;
}

export const EVENTS_MAX = 1_000;
const TIMEOUT_MS = 60_000;
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const DAY_MS = 86_400_000;
/** `:` is in no stream's name. */
const PLACE = /^([^:\s]+\/[^:\s]+):(\d{1,15})$/;

/** Whether an id names one record, rather than a request or a trace. */
export function isOfOneRecord(id: string): boolean {
  return ULID.test(id) || PLACE.test(id);
}

interface Row {
  readonly tenant_id: string;
  readonly event_bytes: string;
  readonly prev_hash: string;
  readonly this_hash: string;
}

const SELECT = 'SELECT tenant_id, event_bytes, prev_hash, this_hash FROM audit.events WHERE';
const ORDER = `ORDER BY occurred_at, stream, seq LIMIT ${EVENTS_MAX}`;

/** Opens the store behind an address; connects at the first question. */
export function openAuditEvents(url: DatabaseAddress): AuditEvents {
  const connection = createConnection({
    url,
    timeoutMs: TIMEOUT_MS,
    applicationName: 'sealtrail investigate',
  });

  async function ask(
    question: (client: ClientBase) => Promise<readonly Row[]>,
  ): Promise<Result<readonly FoundEvent[], string>> {
    try {
      return ok((await question(await connection.client())).map(foundOf));
    } catch (error) {
      return err(messageOf(error));
    }
  }

  return {
    find: (id) =>
      ask(async (client) => {
        const rows = await findRows(client, id);
        await putOnRecord(client, id, rows);
        return rows;
      }),
    findRelated: (tenant, { request, trace }) =>
      ask(async (client) => {
        const sql = `${SELECT} tenant_id = $1 AND (request_id = $2 OR trace_id = $3) ${ORDER}`;
        return (await client.query<Row>(sql, [tenant, request, trace])).rows;
      }),
    close: () => connection.drop(),
  };
}

/** Of how many tenants a question that found nothing is filed. */
const TENANTS_MAX = 100;

/**
 * Which tenant an id is of is known only when it is found: it is filed then, and shown afterwards. Where nothing is
 * found, it was asked of all that the login sees. Throws what stands against it.
 */
async function putOnRecord(client: ClientBase, id: string, rows: readonly Row[]): Promise<void> {
  const tenants = new Set(rows.map(({ tenant_id }) => tenant_id));
  if (tenants.size === 0) {
    const visible = await client.query<{ tenant: string }>(
      'SELECT unnest(audit.visible_tenants()) AS tenant ORDER BY 1 LIMIT $1',
      [TENANTS_MAX],
    );
    for (const { tenant } of visible.rows) tenants.add(tenant);
  }
  for (const tenant of tenants) {
    const noted = await noteAccess(client, {
      ...{ question: 'investigate', tenant, timeZone: 'UTC', parameters: { id } },
      ...{ since: '-infinity', until: 'infinity' },
    });
    if (!noted.ok) throw new Error(noted.error.message);
  }
}

async function findRows(client: ClientBase, id: string): Promise<readonly Row[]> {
  const [, stream, seq] = PLACE.exec(id) ?? [];
  if (stream !== undefined)
    return (await client.query<Row>(`${SELECT} stream = $1 AND seq = $2`, [stream, seq])).rows;
  const event = ULID.test(id) ? await findEvent(client, id) : [];
  if (event.length > 0) return event;
  const sql = `${SELECT} request_id = $1 OR trace_id = $2 ${ORDER}`;
  return (await client.query<Row>(sql, [id, id.toLowerCase()])).rows;
}

/** An event id begins with its time: the months around it are looked at first, and then all. */
async function findEvent(client: ClientBase, id: string): Promise<readonly Row[]> {
  const ms = timeOfUlid(id);
  const near = `${SELECT} event_id = $1 AND occurred_at BETWEEN $2 AND $3`;
  const times = [ms - DAY_MS, ms + DAY_MS].map((at) => new Date(at).toISOString());
  const found = await client.query<Row>(near, [id, ...times]);
  if (found.rows.length > 0) return found.rows;
  return (await client.query<Row>(`${SELECT} event_id = $1`, [id])).rows;
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function timeOfUlid(id: string): number {
  return [...id.slice(0, 10)].reduce((ms, digit) => ms * 32 + CROCKFORD.indexOf(digit), 0);
}

function foundOf({ event_bytes, prev_hash, this_hash }: Row): FoundEvent {
  return {
    // The store takes sealed events only; one that was put there by hand fails its hash.
    event: JSON.parse(event_bytes) as SealedEvent,
    this_hash,
    isHashRight: hashRecord(prev_hash as ChainHash, event_bytes) === this_hash,
  };
}
