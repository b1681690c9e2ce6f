/**
 * The audit events of a request, out of the store of record, as far as the login may see them. What an event says
 * is taken from the bytes that were hashed; the columns only find it.
 */
import type { ClientBase } from 'pg';
import { hashRecord } from '../../ledger/chain.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { noteAccess } from '../access.ts';
import { createConnection, type DatabaseAddress } from '../../store/connection.ts';

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
  readonly event_bytes: string;
  readonly prev_hash: string;
  readonly this_hash: string;
  readonly tenant_id: string;
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

  /** On record before anybody is told: of the tenants whose records it found, which nobody knew before. */
  async function note(
    client: ClientBase,
    id: string,
    rows: readonly Row[],
  ): Promise<Result<void, string>> {
    const found = new Set(rows.map(({ tenant_id }) => tenant_id));
    for (const tenant of rows.length > 0 ? found : await someTenant(client)) {
      const asked = { question: 'investigate', tenant, since: null, until: null, timeZone: 'UTC' };
      const said = await noteAccess(client, { ...asked, parameters: { id } });
      if (!said.ok) return err(said.error.message);
    }
    return ok(undefined);
  }

  async function ask(
    id: string,
    question: (client: ClientBase) => Promise<readonly Row[]>,
  ): Promise<Result<readonly FoundEvent[], string>> {
    try {
      const client = await connection.client();
      const rows = await question(client);
      const filed = await note(client, id, rows);
      return filed.ok ? ok(rows.map(foundOf)) : filed;
    } catch (error) {
      return err(messageOf(error));
    }
  }

  return {
    find: (id) =>
      ask(id, async (client) => {
        const [, stream, seq] = PLACE.exec(id) ?? [];
        if (stream !== undefined)
          return (await client.query<Row>(`${SELECT} stream = $1 AND seq = $2`, [stream, seq]))
            .rows;
        const event = ULID.test(id) ? await findEvent(client, id) : [];
        if (event.length > 0) return event;
        const sql = `${SELECT} request_id = $1 OR trace_id = $2 ${ORDER}`;
        return (await client.query<Row>(sql, [id, id.toLowerCase()])).rows;
      }),
    findRelated: (tenant, { request, trace }) =>
      ask(request ?? trace ?? '', async (client) => {
        const sql = `${SELECT} tenant_id = $1 AND (request_id = $2 OR trace_id = $3) ${ORDER}`;
        return (await client.query<Row>(sql, [tenant, request, trace])).rows;
      }),
    close: () => connection.drop(),
  };
}

/** Where nothing was found, one of those that the login may see has the question on record. */
async function someTenant(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ tenant: string }>(
    'SELECT unnest(audit.visible_tenants()) AS tenant ORDER BY 1 LIMIT 1',
  );
  return rows.map(({ tenant }) => tenant);
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
