/** A store with all that the questions ask for, of two tenants; and how they are asked of it. */
import pg from 'pg';
import { createPostgresStore } from '../../store/postgres.ts';
import type { StoredRecord } from '../../store/store.ts';
import { SENSITIVE_ACTIONS } from '../../auditor/questions/parameters.ts';
import { createSealer, type EventFields } from '../store/sealed.ts';
import { PASSWORD, startKind, type Kind, type KindServer } from '../support/store-kinds.ts';
import { once, type Held } from './oracle.ts';

const HOSTILE = `O'Brien "x" \\ %_ \u{1F600} é\u0301 $1; --`;
const LONG = 'ö'.repeat(900);
const ACTORS = ['u-1', 'u-2', HOSTILE, 'u_admin_alice'];
const CUSTOMERS = ['c-1', 'c-2', 'c-9', LONG, HOSTILE];
const ACTIONS = ['patient.record_read', 'invoice.read', 'customer.export', 'user.login'];
/** Around the night in which summer time ends in Berlin, and a month's end. */
const FROM = Date.parse('2026-10-22T00:00:00.000Z');

/** The same each time: a linear congruence. */
function createDice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * sides);
  };
}

function makeEvents(tenant: string): EventFields[] {
  const roll = createDice(tenant.length);
  const one = <T>(of: readonly T[]): T => of[roll(of.length)]!;
  return Array.from({ length: 400 }, (_, n) => {
    // Within minutes, so that some are of the same moment; and now and then hours apart.
    const time = new Date(FROM + Math.floor(n / 2) * 4_200_000 + roll(3) * 1_800_000).toISOString();
    const kind = roll(20);
    if (kind < 3) {
      const id = `T-${roll(6)}`;
      return kind === 0
        ? { tenant, time, action: 'ticket.close', resourceType: 'ticket', resourceId: id }
        : {
            ...{ tenant, time, action: 'ticket.assign', resourceType: 'ticket', resourceId: id },
            metadata: { assignee: one(ACTORS), customer: one(CUSTOMERS) },
          };
    }
    const metadata = [
      {},
      { ticket: `T-${roll(6)}` },
      { ticket: '' },
      { reason: `asked for in T-${roll(6)}, by phone` },
      { reason: 'no ticket', customer: one(CUSTOMERS) },
      { row_count: one([5, 1000, 1001, 250_000]) },
      { row_count: one(['9007199254740993', 'many', '']) },
      { note: 'a\u0000b', ticket: 'T-1' },
      { detail: { row_count: 5 }, row_count: 250_000 },
    ][roll(9)]!;
    const isCustomer = roll(3) > 0;
    return {
      ...{ tenant, time, metadata, actor: one(ACTORS), action: one(ACTIONS) },
      category: one(['data_access', 'authentication']),
      outcome: one(['success', 'success', 'denied'] as const),
      resourceType: isCustomer ? 'customer' : 'invoice',
      resourceId: isCustomer ? one(CUSTOMERS) : `i-${roll(9)}`,
      ...(roll(4) === 0 ? { onBehalfOf: one(CUSTOMERS.slice(0, 3)) } : {}),
    };
  });
}

export interface CatalogueStore extends AsyncDisposable {
  readonly server: KindServer;
  /** URL of the auditor of acme. */
  readonly alice: string;
  /** All records, in the order in which they were stored. */
  readonly records: readonly StoredRecord[];
  /** Each event once. */
  readonly held: readonly Held[];
}

/** Opens it. */
export async function openCatalogueStore(kind: Kind = 'embedded'): Promise<CatalogueStore> {
  const server = await startKind(kind);
  const store = createPostgresStore({
    url: server.url('sealtrail_writer'),
    ownerUrl: server.url('sealtrail_owner'),
  });
  const migrated = await store.migrate();
  if (!migrated.ok) throw new Error(migrated.error.message);
  const records = ['acme', 'zeta'].flatMap((tenant) => {
    const first = createSealer(`sealtrail/one/01K/${tenant}/standard`, tenant);
    const second = createSealer(`sealtrail/two/01K/${tenant}/standard`, tenant);
    return makeEvents(tenant).flatMap((fields, n) => {
      const record = (n % 3 === 0 ? second : first).seal(fields);
      // Some events reach the store by two agents.
      const again = { ...fields, event_id: record.event.event_id };
      return n % 29 === 0 ? [record, (n % 3 === 0 ? first : second).seal(again)] : [record];
    });
  });
  const stored = await store.appendRecords(records);
  if (!stored.ok) throw new Error(stored.error.message);
  if (stored.value.stored < records.length) throw new Error('not all records were stored');
  await store.close();
  const admin = new pg.Client(server.url('admin'));
  await admin.connect();
  await admin.query(`CREATE ROLE alice LOGIN PASSWORD '${PASSWORD}' IN ROLE sealtrail_auditor;
    INSERT INTO audit.auditor_tenants VALUES ('alice', 'acme')`);
  const streams = await admin.query<{ stream: string; stream_id: number }>(
    'SELECT stream, stream_id FROM audit.streams',
  );
  await admin.end();
  const ids = new Map(streams.rows.map((row) => [row.stream, row.stream_id]));
  const held = once(
    records.map(({ event }) => ({ event, streamId: ids.get(event.chain.stream)! })),
  );
  return {
    ...{ server, alice: server.url('alice'), records, held },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

const any = { actions: '*' };
/** Each question, with parameters. */
export const CASES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['all-activity', {}],
  ['all-activity', { outcome: 'denied' }],
  ['actor-activity', { actor: HOSTILE }],
  ['resource-history', { type: 'customer', id: LONG }],
  ['resource-history', { type: 'customer', id: HOSTILE }],
  ['action-occurrences', { action: 'customer.export', outcome: 'success' }],
  ['impersonations', { actor: 'u_admin_alice' }],
  ['access-without-ticket', { actions: SENSITIVE_ACTIONS.join(',') }],
  ['access-without-ticket', any],
  [
    'access-outside-tickets',
    { actor: 'u_admin_alice', actions: 'invoice.read,patient.record_read' },
  ],
  ['access-outside-tickets', { actor: HOSTILE, ...any }],
  ['subject-activity', { subject: 'c-1' }],
  ['subject-activity', { subject: LONG }],
  ['off-hours', {}],
  ['off-hours', { actor: 'u-2', category: '*', opens: '00:30', closes: '23:00', days: 'sun,mon' }],
  ['first-time-access', { actor: 'u-1' }],
  ['first-time-access', { actor: 'u-1', days: '2' }],
  ['first-time-access', { actor: HOSTILE, of: 'kind', days: '0.5' }],
  ['exports-over-rows', {}],
  ['exports-over-rows', { rows: '1000.5', action: 'user.login' }],
  ['denials-per-hour', { threshold: '1' }],
  ['denials-per-hour', { threshold: '1', action: 'user.login' }],
  ['denials-per-hour', { threshold: '2' }],
  ['silences', { minutes: '60' }],
  ['silences', { minutes: '90' }],
];
/** Since, until, time zone. */
export const RANGES = [
  ['2026-10-01T00:00:00.000Z', '2026-12-01T00:00:00.000Z', 'Europe/Berlin'],
  ['2026-10-24T22:00:00.000Z', '2026-10-25T23:00:00.000Z', 'America/New_York'],
] as const;
