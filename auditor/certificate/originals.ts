/** Sealed records that the database shows, wherever they stand: by which another one is no row of an answer. */
import type { ClientBase } from 'pg';
import { rehash } from '../../ledger/content-check.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import { indexableResourceId } from '../../store/rows.ts';
import type { Asked } from '../answer.ts';
import { factsOf, type Facts } from '../rules/facts.ts';
import type { Beyond } from '../rules/excuse.ts';
import { actOf, REPETITIONS_MAX, type Original, type Originals } from './repetitions.ts';

const WITHIN = 'r.occurred_at >= $3 AND r.occurred_at < $4';
/** First where two records of one event are to be: at one time. No index knows events by their id alone. */
const SPANS = [WITHIN, '(r.occurred_at < $3 OR r.occurred_at >= $4)'];
const SELECT = `SELECT r.stream_id, r.seq, r.event_id, r.event_bytes, encode(r.prev_hash, 'hex') AS prev_hash,
  encode(r.this_hash, 'hex') AS this_hash
FROM audit.records r WHERE r.tenant_id = $1 AND NOT r.duplicate`;

/** Year 1: what lies before, the database writes in another way. */
const EARLIEST_MS = Date.parse('0001-01-01T00:00:00.000Z');

interface Row extends Readonly<
  Record<'event_id' | 'event_bytes' | 'prev_hash' | 'this_hash', string>
> {
  readonly stream_id: number;
  readonly seq: string;
}

/** So much that was done about tickets is held in memory. */
const TICKET_EVENTS_MAX = 100_000;

/** Finds, of each event that is repeated in the question's time, the record that is shown of it. */
export async function findOriginals(
  client: ClientBase,
  { tenant, since, until }: Asked,
): Promise<Originals> {
  const { rows: repeated } = await client.query<{ event_id: string }>(
    `SELECT DISTINCT r.event_id FROM audit.records r
     WHERE r.tenant_id = $1 AND r.duplicate AND ${WITHIN} LIMIT $2`,
    [tenant, REPETITIONS_MAX, since, until],
  );
  if (repeated.length === REPETITIONS_MAX) return null;
  const found = new Map<string, Original>();
  for (const span of SPANS) {
    const wanted = repeated.map(({ event_id }) => event_id).filter((id) => !found.has(id));
    if (wanted.length === 0) break;
    const { rows } = await client.query<Row>(
      `${SELECT} AND r.event_id = ANY ($2::text[]) AND ${span}`,
      [tenant, wanted, since, until],
    );
    for (const row of rows) {
      const facts = readFacts(row, tenant);
      if (facts === null) continue;
      const { event_id, stream_id: streamId, seq, this_hash } = row;
      found.set(event_id, { streamId, seq: Number(seq), this_hash, act: actOf(facts) });
    }
  }
  return found;
}

/** What a record says; null: it is no sealed record of the tenant. */
function readFacts(
  { event_id, event_bytes, prev_hash, this_hash }: Row,
  tenant: string,
): Facts | null {
  if (rehash(prev_hash, event_bytes) !== this_hash) return null;
  const facts = factsOf(readJson(event_bytes), event_bytes);
  return facts.tenant === tenant && facts.eventId === event_id ? facts : null;
}

/** Looks before the range, in a snapshot of the store. A record counts where it has its hash and is of the tenant. */
export function lookBeyond(client: ClientBase, { tenant, since }: Asked): Beyond {
  const read = (row: Row): Facts | null => readFacts(row, tenant);
  return {
    isThere: async ({ actor, resourceType, resourceId, from, before }) => {
      const isWanted = (facts: Facts | null): boolean =>
        facts?.actor === actor &&
        facts.resourceType === resourceType &&
        [null, indexableResourceId(facts.resourceId)].includes(resourceId) &&
        facts.ms >= from &&
        facts.ms < before;
      const { rows } = await client.query<Row>(
        `${SELECT} AND r.actor_id = $2 AND r.resource_type = $3 AND ($4::text IS NULL OR r.resource_id = $4)
         AND r.occurred_at >= $5 AND r.occurred_at < $6 ORDER BY r.occurred_at DESC LIMIT 1`,
        [
          ...[tenant, actor, resourceType],
          resourceId,
          ...[Math.max(from, EARLIEST_MS), before].map((ms) => new Date(ms).toISOString()),
        ],
      );
      return rows.some((row) => isWanted(read(row)));
    },
    ticketEvents: async (actor) => {
      const about = `${SELECT} AND r.resource_type = 'ticket' AND r.outcome = 'success' AND r.occurred_at < $2`;
      // Canonical JSON has but this one form of it.
      const { rows: assigned } = await client.query<Row>(
        `${about} AND r.action = 'ticket.assign' AND strpos(r.event_bytes, $3) > 0 LIMIT $4`,
        [tenant, since, `"assignee":${JSON.stringify(actor)}`, TICKET_EVENTS_MAX],
      );
      const tickets = new Set(
        assigned.map((row) => indexableResourceId(read(row)?.resourceId ?? '')),
      );
      const { rows } = await client.query<Row>(
        `${about} AND r.action IN ('ticket.assign', 'ticket.close') AND r.resource_id = ANY ($3::text[]) LIMIT $4`,
        [tenant, since, [...tickets], TICKET_EVENTS_MAX],
      );
      if (Math.max(rows.length, assigned.length) === TICKET_EVENTS_MAX) return null;
      return rows.flatMap((row) => {
        const facts = read(row);
        const place = { stream: '', streamId: row.stream_id, seq: Number(row.seq) };
        return facts === null ? [] : [{ ...facts, ...place }];
      });
    },
  };
}
