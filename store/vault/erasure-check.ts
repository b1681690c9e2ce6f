/**
 * The erasures of a vault held against the events that tell of them in the store of record: who was forgotten must be on
 * record, and who is on record as forgotten must not be known. Each of the two is read by a role of its own.
 */
import type { ClientBase } from 'pg';
import type { Finding } from '../../ledger/stream-check.ts';

export interface ErasureCheck {
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

/** An event that says so, as the store has it. */
export interface ErasureEvent {
  readonly stream: string;
  readonly seq: number;
  readonly event_id: string;
  readonly tenant_id: string;
  readonly token: string;
}

export interface NotedErasure {
  readonly event_id: string;
  readonly token: string;
  readonly tenant_id: string;
  readonly erased_at: Date;
  /** Null: its event is not in the trail, as far as is known. */
  readonly recorded_at: Date | null;
}

export interface Compared {
  readonly events: readonly ErasureEvent[];
  readonly erasures: readonly NotedErasure[];
  /** Tokens of events that the vault can still resolve. */
  readonly known: ReadonlySet<string>;
  /** Tenants that the login of the store sees, and when the oldest record was received that it has of each. */
  readonly since: ReadonlyMap<string, Date | null>;
  /** By tenant, until when what was received may have been purged since, by the records of the purges; older records of other classes may be there. */
  readonly purged: ReadonlyMap<string, Date>;
  readonly now: Date;
}

/** So long an event may be on its way from the ledger into the store. */
const ON_ITS_WAY_MS = 3_600_000;
/** So far the clocks of vault, agent and store may be apart. */
const CLOCKS_MS = 600_000;

/** Compares what store and vault say. Pure. */
export function compareErasures(compared: Compared): ErasureCheck {
  const { events, erasures, known, since, purged, now } = compared;
  const findings: Finding[] = [];
  const notes: string[] = [];
  const told = new Map(events.map((event) => [event.event_id, event]));
  for (const [at, { event_id, token, tenant_id, ...times }] of erasures.entries()) {
    const oldest = since.get(tenant_id);
    if (oldest === undefined) continue;
    const event = told.get(event_id);
    if (event?.token === token && event.tenant_id === tenant_id) continue;
    const { erased_at, recorded_at } = times;
    if (oldest === null || erased_at < oldest) {
      notes.push(`${token} was erased before what the store has of ${tenant_id} begins`);
      continue;
    }
    const purgedTo = purged.get(tenant_id)?.getTime() ?? -Infinity;
    if (recorded_at !== null && erased_at.getTime() < purgedTo + CLOCKS_MS) {
      notes.push(`${token} was erased so long ago that its event may have been purged`);
      continue;
    }
    if (recorded_at !== null && now.getTime() - recorded_at.getTime() < ON_ITS_WAY_MS) {
      notes.push(`${token} was erased a moment ago: its event may be on its way into the store`);
      continue;
    }
    const message =
      recorded_at === null
        ? `${token} was erased at ${erased_at.toISOString()}, and that is not on record: run \`sealtrail erase\` again`
        : `${token} was erased at ${erased_at.toISOString()}, and the store has no such event ${event_id}: it was removed, or never came here`;
    const place = { segment: 'vault.erasures', line: at + 1 };
    findings.push({ kind: 'erasure_without_event', stream: '', seq: -1, ...place, message });
  }
  const noted = new Set(erasures.map(({ token }) => token));
  for (const [at, { stream, seq, token }] of events.entries()) {
    const message = `${token} is on record as erased, and the vault still knows who it is: a copy of it was put back, or the event is not true`;
    if (known.has(token))
      findings.push({
        ...{ kind: 'erasure_undone' as const, stream, seq, message },
        ...{ segment: 'audit.events', line: at + 1 },
      });
    else if (!noted.has(token))
      notes.push(`${token} is on record as erased, and this vault never heard of it`);
  }
  return { findings, notes };
}

const EVENTS = `
SELECT s.stream, r.seq, r.event_id, r.tenant_id, r.resource_id AS token
FROM audit.records r JOIN audit.streams s USING (stream_id)
WHERE r.action = 'subject.erase' AND r.outcome = 'success' AND NOT r.duplicate ORDER BY s.stream, r.seq`;
const SINCE = `
SELECT tenant_id, (SELECT min(received_at) FROM audit.records r WHERE r.tenant_id = s.tenant_id) AS since
FROM (SELECT DISTINCT tenant_id FROM audit.streams) s`;
/** What a purge takes had expired when it was recorded. */
const PURGED = `
SELECT tenant_id, max(received_at - days::int * interval '24 hours') AS until FROM (
  SELECT tenant_id, received_at, payload -> 'metadata' -> 'policy' ->> 'days' AS days
  FROM audit.records WHERE action = 'retention.purge') p
WHERE days ~ '^[0-9]{1,5}$' GROUP BY 1`;
const ERASURES = `
SELECT event_id, token, tenant_id, erased_at, recorded_at FROM vault.erasures ORDER BY erased_at, event_id`;
const KNOWN = 'SELECT token FROM vault.subjects WHERE token = ANY ($1)';

/** Reads both, and compares them. `store`: an auditor; `vault`: a member of sealtrail_vault_resolver. */
export async function checkErasures(
  store: ClientBase,
  vault: ClientBase,
  now: Date,
): Promise<ErasureCheck> {
  // The vault first: what is erased meanwhile is then no erasure without an event.
  const erasures = await vault.query<NotedErasure>(ERASURES);
  const events = await store.query<Omit<ErasureEvent, 'seq'> & { readonly seq: string }>(EVENTS);
  const since = await store.query<{ tenant_id: string; since: Date | null }>(SINCE);
  const purged = await store.query<{ tenant_id: string; until: Date }>(PURGED);
  const tokens = events.rows.map(({ token }) => token);
  const known = await vault.query<{ token: string }>(KNOWN, [tokens]);
  return compareErasures({
    events: events.rows.map((event) => ({ ...event, seq: Number(event.seq) })),
    erasures: erasures.rows,
    known: new Set(known.rows.map(({ token }) => token)),
    since: new Map(since.rows.map((row) => [row.tenant_id, row.since])),
    purged: new Map(purged.rows.map((row) => [row.tenant_id, row.until])),
    now,
  });
}
