/** The certificate on the page: the way from a finding to its record, how far it is, and that it is given up when nobody waits. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKept } from '../../../auditor/web/kept.ts';
import type { Work } from '../../../auditor/web/ports.ts';
import { err, ok } from '../../../schemas/result.ts';
import { until } from '../../support/agent-peer.ts';
import { createVisitor } from '../../support/visitor.ts';
import { startWebStore, type WebStore } from '../../support/web-store.ts';
import { startWeb, type WebRun } from '../../support/web.ts';

let store: WebStore;
let web: WebRun;

beforeAll(async () => {
  store = await startWebStore(20);
  web = await startWeb(store);
});
afterAll(async () => {
  await web.stop();
  await store.stop();
});

test('a finding about a record that is no row leads to the record, and that it was looked at is on record', async () => {
  const victim = store.records.find(({ event }) => event.actor.id === 'u_ada')!;
  const id = victim.event.event_id;
  const visitor = createVisitor(web.url);
  await visitor.signIn('alice');
  const ask = async (): Promise<[path: string, certificate: string]> => {
    const path = await visitor.ask('actor-activity', { 'p.actor': 'u_ada', 'p.outcome': 'any' });
    return [path, await (await visitor.get(`${path}/certificate`)).text()];
  };
  const [, before] = await ask();
  expect(before).toContain('<strong>Intact.</strong>');
  expect(before).not.toContain('/findings/');

  await store.tamper(`UPDATE audit.records SET actor_id = 'u_nobody' WHERE event_id = $1`, [id]);
  const [path, after] = await ask();
  expect(after).toContain('Not among the rows');
  const way = new RegExp(`href="(${path}/findings/0)"`).exec(after)?.[1] ?? '';
  const page = await (await visitor.get(way)).text();
  expect(page).toContain(id);
  expect(page).toContain('u_ada');
  expect(page).toContain('The record has the hash that it states');
  expect(page).toContain(`href="${path}">Back to the answer`);
  expect(await (await visitor.get(`${way}/proof`)).text()).toContain(
    'a root that a trusted key has signed',
  );
  const { rows } = await store.admin.query<{ parameters: object }>(
    `SELECT parameters FROM audit.access_log WHERE question = 'record' ORDER BY asked_at LIMIT 1`,
  );
  const { stream, seq } = victim.event.chain;
  expect(rows[0]?.parameters).toMatchObject({ stream, seq: String(seq) });
  expect((await visitor.get(`${path}/findings/7`)).status).toBe(404);
  await store.tamper(`UPDATE audit.records SET actor_id = 'u_ada' WHERE event_id = $1`, [id]);
});

test('a finding about a record that was removed says what the store has in its place', async () => {
  const visitor = createVisitor(web.url);
  await visitor.signIn('alice');
  await store.admin.query(
    'CREATE TABLE kept AS SELECT * FROM audit.records; ALTER TABLE kept DROP COLUMN payload',
  );
  await store.tamper(`DELETE FROM audit.records WHERE tenant_id = 'acme' AND seq >= 15`);
  const path = await visitor.ask('all-activity', { 'p.outcome': 'any' });
  expect(await (await visitor.get(`${path}/certificate`)).text()).toContain('Look at the record');
  const gone = await visitor.get(`${path}/findings/0`);
  expect([gone.status, await gone.text()]).toEqual([
    404,
    expect.stringContaining('no record in that place'),
  ]);
});

test('rows that the page does not show, and the certificate does, are no green answer', async () => {
  const visitor = createVisitor(web.url);
  await visitor.signIn('zoe');
  const ask = async (): Promise<string> => {
    const path = await visitor.ask('all-activity', { tenant: 'zeta', 'p.outcome': 'any' });
    await visitor.get(path);
    return (await visitor.get(`${path}/certificate`)).text();
  };
  const zeta = await ask();
  expect(zeta).not.toContain('are not those that were certified');
  // Of a statement that asks for a page the first row is kept back.
  await store.admin
    .query(`CREATE POLICY hiding ON audit.records AS RESTRICTIVE FOR SELECT TO sealtrail_auditor
    USING (seq > 0 OR current_query() NOT LIKE '%LIMIT $%')`);
  const short = await ask();
  await store.admin.query('DROP POLICY hiding ON audit.records');
  expect(short).toContain('The rows on page 1 of this answer are not those that were certified');
  expect(short).not.toContain('<strong>Intact.</strong>');
  expect(await ask()).not.toContain('are not those that were certified');
});

test('how many records were read is told meanwhile, and who leaves stops what nobody else waits for', async () => {
  const works: Work[] = [];
  const own = await startWeb(store, {
    certify: (_login, _asked, work) => {
      works.push(work);
      work.onProgress?.(12_345);
      return new Promise((done) => {
        work.signal.addEventListener('abort', () => done(err('it was given up')));
      });
    },
  });
  const visitor = createVisitor(own.url);
  await visitor.signIn('alice');
  const path = await visitor.ask('all-activity', { 'p.outcome': 'any' });
  const cookie = `sealtrail=${visitor.cookies.get('sealtrail') ?? ''}`;
  const wait = (): AbortController => {
    const leaving = new AbortController();
    const { signal } = leaving;
    const asked = fetch(`${own.url}${path}/certificate`, { headers: { cookie }, signal });
    void expect(asked).rejects.toThrow();
    return leaving;
  };
  const first = wait();
  await until(() => works.length === 1, 'it is being made');
  expect(await (await visitor.get(`${path}/certificate/progress`)).text()).toBe('12,345');
  first.abort();
  await until(() => works[0]!.signal.aborted, 'it was given up');
  const second = wait();
  await until(() => works.length === 2, 'it is made anew');
  expect(works[1]!.signal.aborted).toBe(false);
  second.abort();
  await own.stop();
});

test('what two wait for goes on while one of them is there, and is kept once it is made', async () => {
  const kept = createKept<number>();
  let finish: (made: ReturnType<typeof ok<number>>) => void = () => undefined;
  let signal: AbortSignal | undefined;
  const make = (given: AbortSignal): Promise<ReturnType<typeof ok<number>>> => {
    signal = given;
    return new Promise((done) => (finish = done));
  };
  const [one, other] = [new AbortController(), new AbortController()];
  const both = [kept.get(make, one.signal), kept.get(make, other.signal)];
  one.abort();
  expect(signal?.aborted).toBe(false);
  finish(ok(1));
  expect(await Promise.all(both)).toEqual([ok(1), ok(1)]);
  other.abort();
  expect(signal?.aborted).toBe(false);
  expect(await kept.get(() => Promise.resolve(ok(2)), new AbortController().signal)).toEqual(ok(1));
});
