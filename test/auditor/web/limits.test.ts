/** What one person, or one network, may take of the page: attempts, connections to the store, downloads. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AnswerRow } from '../../../auditor/answer.ts';
import { createAuditor, type Auditor } from '../../../auditor/ask.ts';
import { createPlaces } from '../../../auditor/web/places.ts';
import { createSessions } from '../../../auditor/web/sessions.ts';
import { ok } from '../../../schemas/result.ts';
import { until } from '../../support/agent-peer.ts';
import { createVisitor } from '../../support/visitor.ts';
import { PASSWORD, startWebStore, type WebStore } from '../../support/web-store.ts';
import { startWeb } from '../../support/web.ts';

let store: WebStore;

beforeAll(async () => {
  store = await startWebStore(5);
});
afterAll(() => store.stop());

test('a network of version 6 is one address to the wait, whatever names it tries', async () => {
  const web = await startWeb(store, { settings: { trustedProxies: ['127.0.0.1'] } });
  const attempt = async (address: string): Promise<number> => {
    const visitor = createVisitor(web.url);
    await visitor.get('/sign-in');
    const fields = { name: `guess-${address}`, password: 'x' };
    return (await visitor.post('/sign-in', fields, { 'x-forwarded-for': address })).status;
  };
  for (let n = 1; n <= 5; n += 1) expect(await attempt(`2001:db8:1:2::${n}`)).toBe(401);
  expect(await attempt('2001:db8:1:2:ffff::9')).toBe(429);
  expect(await attempt('2001:db8:1:3::1')).toBe(401);
  await web.stop();
});

test('a name that the store would cut is nobody, and no way around the wait of its beginning', async () => {
  const name = `a${'b'.repeat(62)}`;
  await store.admin.query(
    `CREATE ROLE ${name} LOGIN PASSWORD '${PASSWORD}' IN ROLE sealtrail_auditor`,
  );
  await store.admin.query('INSERT INTO audit.auditor_tenants VALUES ($1, $2)', [name, 'acme']);
  const web = await startWeb(store);
  expect((await createVisitor(web.url).signIn(`${name}x`)).status).toBe(401);
  expect((await createVisitor(web.url).signIn(name)).status).toBe(200);
  await web.stop();
});

test('pages that there are not are counted like all others', async () => {
  const web = await startWeb(store);
  const left = async (path: string): Promise<number> =>
    Number((await fetch(web.url + path)).headers.get('x-ratelimit-remaining'));
  const before = await left('/sign-in');
  expect(await left('/nowhere')).toBe(before - 1);
  await web.stop();
});

/** Answers that come row by row, as long as somebody takes them; how many are being read. */
function endlessly(): {
  openAuditor: (login: { user: string; password: string }) => Auditor;
  read: () => number;
} {
  let reading = 0;
  async function* batches(): AsyncGenerator<readonly AnswerRow[]> {
    reading += 1;
    try {
      for (;;)
        yield Array.from({ length: 100 }, () => ({ values: ['x'.repeat(10_000)], record: null }));
    } finally {
      reading -= 1;
    }
  }
  return {
    read: () => reading,
    openAuditor: (login) => ({
      ...createAuditor({ url: store.urlOf(login) }),
      stream: async () =>
        ok({
          columns: [{ name: 'text', title: 'Text', kind: 'text' }],
          statement: { sql: 'SELECT', values: [] },
          batches: batches(),
        }),
    }),
  };
}

test('a person takes three files at once, and the end of a session ends what is read in it', async () => {
  const { openAuditor, read } = endlessly();
  const web = await startWeb(store, { openAuditor });
  const visitor = createVisitor(web.url);
  await visitor.signIn('alice');
  const path = await visitor.ask('all-activity');
  const cookie = `sealtrail=${visitor.cookies.get('sealtrail') ?? ''}`;
  const take = (): Promise<Response> =>
    fetch(`${web.url}${path}/export.csv`, { headers: { cookie } });
  const files = await Promise.all([take(), take(), take()]);
  expect(files.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await take()).status).toBe(429);
  await files[0]?.body?.cancel();
  await until(() => read() === 2, 'one is left');
  const fourth = await take();
  expect(fourth.status).toBe(200);
  await visitor.post('/sign-out', {});
  await until(() => read() === 0, 'all of them ended');
  await expect(fourth.text()).rejects.toThrow();
  await web.stop();
});

test('a place that is left twice is left once', () => {
  const places = createPlaces();
  const [first] = [places.take('ada'), places.take('ada'), places.take('ada')];
  expect(places.take('ada')).toBeNull();
  first?.();
  first?.();
  expect(places.take('ada')).not.toBeNull();
  expect(places.take('ada')).toBeNull();
  expect(places.take('ben')).not.toBeNull();
});

test('a session that nobody uses for some minutes goes on, and holds no connection to the store meanwhile', () => {
  let nowMs = 0;
  let closed = 0;
  const sessions = createSessions({ idleMs: 900_000, lifeMs: 3_600_000 }, () => nowMs);
  const login = { user: 'alice', password: PASSWORD };
  const auditor = {
    ...createAuditor({ url: store.urlOf(login) }),
    close: () => void (closed += 1),
  };
  const person = { name: 'alice', isOperator: false };
  const { id, ending } = sessions.begin({ person, login, auditor, tenants: ['acme'] });
  nowMs = 60_000;
  sessions.sweep();
  expect(closed).toBe(0);
  nowMs = 180_000;
  sessions.sweep();
  expect(closed).toBe(1);
  expect(sessions.find(id)).not.toBeNull();
  expect(ending.signal.aborted).toBe(false);
  nowMs += 900_000;
  sessions.sweep();
  expect(ending.signal.aborted).toBe(true);
});
