/** Erasures of a vault held against the events of the store: both ways, and what is no fault. */
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import { checkErasures, compareErasures, type Compared } from '../../store/vault/erasure-check.ts';
import { eraseSubject, markRecorded } from '../../store/vault/erasures.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { events, openPurgeStore, tenantOf } from '../support/purge-store.ts';
import { LONG_AGO, preview, runPurge } from '../support/purging.ts';
import { openVault, type TestVault } from '../support/vault.ts';
import { createSealer } from './sealed.ts';

const NOW = new Date('2026-11-01T00:00:00Z');
const before = (hours: number): Date => new Date(NOW.getTime() - hours * 3_600_000);
const EVENT = { stream: 's', seq: 7, event_id: 'E1', tenant_id: 'acme', token: 'sub_a' };
const ERASURE = {
  ...{ event_id: 'E1', token: 'sub_a', tenant_id: 'acme' },
  ...{ erased_at: before(48), recorded_at: before(48) },
};
const GOOD: Compared = {
  events: [EVENT],
  erasures: [ERASURE],
  known: new Set(),
  since: new Map([['acme', before(1_000)]]),
  purged: new Map(),
  now: NOW,
};
const compare = (change: Partial<Compared>) => compareErasures({ ...GOOD, ...change });

test('an erasure on record, and forgotten, is in order', () => {
  expect(compare({})).toEqual({ findings: [], notes: [] });
});

test('an erasure without its event is found: recorded nowhere, removed, or of somebody else', () => {
  const kinds = (change: Partial<Compared>): string[] =>
    compare(change).findings.map(({ kind }) => kind);
  expect(kinds({ events: [] })).toEqual(['erasure_without_event']);
  expect(kinds({ events: [], erasures: [{ ...ERASURE, recorded_at: null }] })).toEqual([
    'erasure_without_event',
  ]);
  expect(kinds({ events: [{ ...EVENT, tenant_id: 'globex' }] })).toEqual(['erasure_without_event']);
  expect(kinds({ events: [{ ...EVENT, token: 'sub_b' }] })).toEqual(['erasure_without_event']);
});

test('an event whose person the vault still knows is found', () => {
  expect(compare({ known: new Set(['sub_a']) }).findings).toMatchObject([
    { kind: 'erasure_undone', stream: 's', seq: 7 },
  ]);
});

test('what is on its way, was purged, is of a tenant out of sight, or of another vault is no fault', () => {
  const fresh = { ...ERASURE, recorded_at: before(0.5) };
  expect(compare({ events: [], erasures: [fresh] })).toMatchObject({
    findings: [],
    notes: [expect.stringContaining('on its way')],
  });
  expect(compare({ events: [], since: new Map([['acme', before(1)]]) })).toMatchObject({
    findings: [],
    notes: [expect.stringContaining('begins')],
  });
  expect(compare({ events: [], since: new Map() })).toEqual({ findings: [], notes: [] });
  expect(compare({ erasures: [] })).toMatchObject({
    findings: [],
    notes: [expect.stringContaining('never heard')],
  });
});

test('nor is what was purged while older records were kept, of another class or for a hold; what was recorded nowhere is', () => {
  const purged = new Map([['acme', before(47)]]);
  expect(compare({ events: [], purged })).toMatchObject({
    findings: [],
    notes: [expect.stringContaining('may have been purged')],
  });
  const kinds = (change: Partial<Compared>): string[] =>
    compare({ events: [], ...change }).findings.map(({ kind }) => kind);
  expect(kinds({ purged: new Map([['acme', before(49)]]) })).toEqual(['erasure_without_event']);
  expect(kinds({ purged: new Map([['globex', before(1)]]) })).toEqual(['erasure_without_event']);
  expect(kinds({ purged, erasures: [{ ...ERASURE, recorded_at: null }] })).toEqual([
    'erasure_without_event',
  ]);
});

let server: TestPostgres;
let vault: TestVault;
beforeAll(async () => {
  server = await startPostgres();
  vault = await openVault(server.url('admin'));
});
afterAll(async () => {
  await vault[Symbol.asyncDispose]();
  await server.stop();
});

test('read from both databases, each by its own role', async () => {
  const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  expect(await store.migrate()).toMatchObject({ ok: true });
  const subjects = await vault.openSubjects();
  const [told = '', untold = '', kept = ''] = await subjects.tokensOf(
    ['a@b.example', 'c@d.example', 'e@f.example'].map((identity) => ({
      ...{ tenant: 'acme', purpose: 'actor' as const, identity },
    })),
  );
  const erase = async (token: string): Promise<string> => {
    const eventId = ulid();
    const request = { token, tenant: 'acme', eventId, requestedBy: 'dpo', reason: 'DSR' };
    expect(await eraseSubject(vault.admin, request)).not.toBeNull();
    return eventId;
  };
  const sealer = createSealer();
  const event = (event_id: string, token: string) =>
    sealer.seal({ event_id, action: 'subject.erase', resourceType: 'subject', resourceId: token });
  await store.appendRecords([sealer.seal({ receivedAt: '2026-01-01T00:00:00.000Z' })]);
  const eventId = await erase(told);
  await store.appendRecords([event(eventId, told)]);
  await markRecorded(vault.admin, eventId);
  const [auditor, resolver] = [
    new pg.Client(server.url('auditor')),
    new pg.Client(vault.url('resolver')),
  ];
  await auditor.connect();
  await resolver.connect();
  const check = () => checkErasures(auditor, resolver, new Date());
  expect(await check()).toEqual({ findings: [], notes: [] });
  await erase(untold);
  await store.appendRecords([event(ulid(), kept)]);
  const found = await check();
  expect(found.findings).toMatchObject([
    { kind: 'erasure_without_event', message: expect.stringContaining(untold) as string },
    { kind: 'erasure_undone', seq: 2, message: expect.stringContaining(kept) as string },
  ]);
  await auditor.end();
  await resolver.end();
  await store.close();
});

test('an erasure whose event was purged in its turn is no fault, although a hold kept an older record', async () => {
  await using bench = await openPurgeStore();
  await using other = await openVault(bench.server.url('admin'));
  const subjects = await other.openSubjects();
  const mine = await bench.makeStream(events(300));
  const tenant = tenantOf(mine);
  const identity = { tenant, purpose: 'actor' as const, identity: 'a@b.example' };
  const [token = ''] = await subjects.tokensOf([identity]);
  const eventId = ulid();
  const request = { token, tenant, eventId, requestedBy: 'dpo', reason: 'DSR' };
  expect(await eraseSubject(other.admin, request)).not.toBeNull();
  await markRecorded(other.admin, eventId);
  const erase = { event_id: eventId, action: 'subject.erase', resourceId: token };
  await mine.store([{ ...erase, resourceType: 'subject' }, ...events(300)]);
  await other.admin.query('UPDATE vault.erasures SET erased_at = $1', [LONG_AGO]);
  const [auditor, resolver] = [bench.clients.auditor, new pg.Client(other.url('resolver'))];
  await resolver.connect();
  const check = () => checkErasures(auditor, resolver, new Date());
  expect(await check()).toEqual({ findings: [], notes: [] });
  await bench.hold(mine, { actor: 'u-7' });
  const said = await preview(bench.clients.retention, mine.stream, 512);
  await runPurge(bench.clients.retention, await mine.recordPurge(said));
  expect(await bench.verify(mine)).toMatchObject({ verdict: 'intact' });
  expect(await check()).toMatchObject({
    findings: [],
    notes: [expect.stringContaining('may have been purged')],
  });
  await resolver.end();
});
