/** The auditor's page as a server: whoever has no browser, or a bad one, gets no further than the page lets them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createVisitor } from '../../support/visitor.ts';
import { startWebStore, type WebStore } from '../../support/web-store.ts';
import { startWeb, type WebRun } from '../../support/web.ts';

let store: WebStore;
let web: WebRun;
const HOSTILE = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`;
const LINES = `\u202egnp.exe\u2066 a\u0007b`;

beforeAll(async () => {
  store = await startWebStore(130, [
    {
      actor: HOSTILE,
      action: 'note.add',
      resourceId: LINES,
      metadata: { text: `${HOSTILE}${'x'.repeat(50_000)}` },
    },
  ]);
  web = await startWeb(store);
});

afterAll(async () => {
  await web.stop();
  await store.stop();
});

async function signedIn(name = 'alice'): Promise<ReturnType<typeof createVisitor>> {
  const visitor = createVisitor(web.url);
  expect((await visitor.signIn(name)).status).toBe(200);
  return visitor;
}

test('every reply forbids scripts, styles, frames and caches that are not its own; errors and assets, too', async () => {
  const visitor = await signedIn();
  const asset = /src="(\/assets\/[^"]+)"/.exec(await (await visitor.get('/')).text())?.[1] ?? '';
  for (const path of ['/', '/sign-in', '/nowhere', '/questions/%E0%A4%A', '/answers/none', asset]) {
    const { headers, status } = await visitor.get(path);
    const policy = headers.get('content-security-policy') ?? '';
    expect(policy, `${path} ${status}`).toContain(
      "default-src 'none'; script-src 'self'; style-src 'self';",
    );
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toContain(path === asset ? 'immutable' : 'no-store');
  }
  const page = await (await visitor.get('/')).text();
  expect(page).not.toMatch(/ style="| on[a-z]+="|<script>|<style/);
});

test('nothing but the sign-in page is shown to somebody who is not signed in', async () => {
  const visitor = createVisitor(web.url);
  for (const path of [
    '/',
    '/health',
    '/questions/all-activity',
    '/answers/x',
    '/answers/x/export.csv',
  ]) {
    const answer = await visitor.get(path);
    expect(answer.status, path).toBe(303);
    expect(answer.headers.get('location')).toBe('/sign-in');
  }
  expect((await visitor.get('/answers/x/records', { 'sec-fetch-dest': 'empty' })).status).toBe(401);
});

test('a cookie is for this host alone, out of reach of scripts and of other sites; signing in makes a new one', async () => {
  const visitor = createVisitor(web.url);
  const first = await visitor.get('/sign-in');
  const before = visitor.cookies.get('sealtrail');
  expect(first.headers.getSetCookie()).toEqual([
    expect.stringMatching(/; Path=\/; HttpOnly; SameSite=Strict$/),
  ]);
  const page = await visitor.signIn('alice');
  expect(await page.text()).toContain('What do you want to know?');
  expect(visitor.cookies.get('sealtrail')).not.toBe(before);
  const fixed = createVisitor(web.url);
  fixed.cookies.set('sealtrail', before ?? '');
  expect((await fixed.get('/')).status).toBe(303);
});

test('signing out ends the session, also for a copy of its cookie', async () => {
  const visitor = await signedIn();
  const copy = createVisitor(web.url);
  copy.cookies.set('sealtrail', visitor.cookies.get('sealtrail') ?? '');
  expect((await copy.get('/')).status).toBe(200);
  expect((await visitor.post('/sign-out', {})).headers.get('location')).toBe('/sign-in');
  expect(visitor.cookies.has('sealtrail')).toBe(false);
  expect((await copy.get('/')).status).toBe(303);
});

test('a session ends when nobody uses it, and after its hours whatever happens', async () => {
  const own = await startWeb(store);
  const visitor = createVisitor(own.url);
  await visitor.signIn('alice');
  own.advance(14 * 60_000);
  expect((await visitor.get('/')).status).toBe(200);
  own.advance(15 * 60_000);
  expect((await visitor.get('/')).status).toBe(303);
  await visitor.signIn('alice');
  for (let minute = 0; minute < 8 * 60 - 10; minute += 10) {
    own.advance(10 * 60_000);
    expect((await visitor.get('/')).status).toBe(200);
  }
  own.advance(10 * 60_000);
  expect((await visitor.get('/')).status).toBe(303);
  await own.stop();
});

test('a form that is not ours changes nothing: no token, the token of another, another site, no word of where from', async () => {
  const visitor = await signedIn();
  const other = await signedIn();
  const token = /name="csrf" value="([^"]+)"/.exec(await (await other.get('/')).text())?.[1] ?? '';
  const refused = async (answer: Promise<Response>): Promise<void> =>
    expect((await answer).status).toBe(403);
  await refused(visitor.post('/sign-out', { csrf: '' }));
  await refused(visitor.post('/sign-out', { csrf: token }));
  await refused(visitor.post('/sign-out', { csrf: 'A'.repeat(86) }));
  await refused(visitor.post('/sign-out', {}, { 'sec-fetch-site': 'cross-site' }));
  await refused(visitor.post('/sign-out', {}, { 'sec-fetch-site': 'same-site' }));
  await refused(
    visitor.post('/sign-out', {}, { origin: 'https://evil.example', 'sec-fetch-site': undefined }),
  );
  await refused(visitor.post('/sign-out', {}, { origin: 'null', 'sec-fetch-site': undefined }));
  await refused(visitor.post('/sign-out', {}, { origin: undefined, 'sec-fetch-site': undefined }));
  await refused(createVisitor(web.url).post('/sign-in', { name: 'alice', password: 'x' }));
  expect((await visitor.get('/')).status).toBe(200);
  expect((await visitor.post('/sign-out', {}, { origin: 'null' })).status).toBe(303);
});

test('a wrong name and a wrong password get the same answer, and then have to wait, the right password too', async () => {
  const own = await startWeb(store);
  const visitor = createVisitor(own.url);
  const wrong = await visitor.signIn('alice', 'guess-1');
  const unknown = await visitor.signIn('mallory', 'guess-1');
  const bare = (page: string): string => page.replace(/name="csrf" value="[^"]+"/, '');
  expect([wrong.status, unknown.status]).toEqual([401, 401]);
  expect(bare(await wrong.text())).toBe(bare(await unknown.text()));
  expect((await visitor.signIn('nobody')).status).toBe(401);
  // To the store it would be alice, with whatever stands behind, and to the wait somebody else.
  expect((await visitor.signIn('alice\0database\0other')).status).toBe(401);
  // Many at once get no further than one by one.
  await visitor.get('/sign-in');
  const many = await Promise.all(
    Array.from({ length: 12 }, () =>
      visitor.post('/sign-in', { name: 'alice', password: 'guess-1' }),
    ),
  );
  expect(many.filter(({ status }) => status === 429).length).toBeGreaterThan(5);
  const early = await visitor.signIn('alice');
  expect(early.status).toBe(429);
  expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(0);
  own.advance(16 * 60_000);
  expect((await visitor.signIn('alice')).status).toBe(200);
  const log = own.logged.join('\n');
  expect(log).toContain('sign-in refused {"address":"127.0.0.1"');
  expect(log).toContain('signed in {"address":"127.0.0.1","login":"alice"}');
  expect(log).not.toMatch(/guess-1|correct horse|mallory/);
  await own.stop();
});

test('whoever sends too many requests has to wait', async () => {
  const own = await startWeb(store);
  const statuses = new Set<number>();
  for (let sent = 0; sent < 70; sent += 1) {
    const answer = await fetch(`${own.url}/sign-in`, { method: 'POST' });
    statuses.add(answer.status);
  }
  expect(statuses).toContain(429);
  await own.stop();
});

test('another tenant’s records are refused, though the form was forged; nothing of them is shown', async () => {
  const visitor = await signedIn('alice');
  const answer = await visitor.get(await visitor.ask('all-activity', { tenant: 'zeta' }));
  expect(answer.status).toBe(403);
  const page = await answer.text();
  expect(page).toContain('That is not yours to see');
  expect(page).not.toContain('u-zeta');
  const zoe = await signedIn('zoe');
  const own = await zoe.get(await zoe.ask('all-activity', { tenant: 'zeta' }));
  expect(await own.text()).toContain('u-zeta');
  const foreign = await visitor.ask('all-activity');
  expect((await zoe.get(foreign)).status).toBe(404);
  expect((await zoe.get(`${foreign}/export.csv`)).status).toBe(404);
});

test('no address names whom a question is about', async () => {
  const visitor = await signedIn();
  const path = await visitor.ask('actor-activity', { 'p.actor': 'u_ada' });
  expect(path).toMatch(/^\/answers\/[\w-]{16}$/);
  const page = await (await visitor.get(path)).text();
  expect(page).toContain('u_ada');
  const links = [...page.matchAll(/(?:href|action|data-part|data-verify)="([^"]*)"/g)].map(
    ([, link = '']) => link,
  );
  expect(links.length).toBeGreaterThan(10);
  for (const link of links) expect(link).not.toMatch(/u_ada|acme|c-\d|req-/);
});

test('hostile text of an event stands on the page as text: markup, overrides of direction, a huge value', async () => {
  const visitor = await signedIn();
  const path = await visitor.ask('action-occurrences', { 'p.action': 'note.add' });
  const page = await (await visitor.get(path)).text();
  const link = /href="([^"]+\/events\/[^"]+)"/.exec(page)?.[1] ?? '';
  const detail = await (await visitor.get(link)).text();
  for (const text of [page, detail]) {
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).not.toMatch(/<script>|<img|[\u202a-\u202e\u2066-\u2069\u0007]/);
    expect(text).toContain('⟨U+202E⟩gnp.exe⟨U+2066⟩ a⟨U+0007⟩b');
  }
  expect(detail).toContain('more characters');
  expect(page.length).toBeLessThan(40_000);
  const csv = await (await visitor.get(`${path}/export.csv`)).text();
  expect(csv).toContain('"<script>alert(1)</script>""\'><img');
});

test('what is no form of ours is refused without a trace of the inside', async () => {
  const visitor = await signedIn();
  const json = await fetch(`${web.url}/ask`, {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json' },
  });
  const long = await visitor.post('/ask', { question: 'x'.repeat(20_000) });
  const unknown = await visitor.post('/ask', { question: '__proto__' });
  const other = await visitor.get('/answers/__proto__');
  expect([json.status, long.status, unknown.status, other.status]).toEqual([415, 413, 404, 404]);
  for (const answer of [json, long, unknown, other])
    expect(await answer.text()).not.toMatch(/node_modules|\.ts:|\bat \w+ \(/);
  const foreign = await fetch(`${web.url}/sign-in`, {
    headers: { 'x-forwarded-host': 'evil.example' },
  });
  expect(foreign.status).toBe(200);
});

test('a name that was made to point at this server is not answered to', async () => {
  const { port } = new URL(web.url);
  const { request } = await import('node:http');
  const status = await new Promise((done) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/sign-in', headers: { host: `evil.example:${port}` } },
      (answer) => {
        answer.resume();
        done(answer.statusCode);
      },
    );
    asked.end();
  });
  expect(status).toBe(421);
});

test('a question in the wrong form comes back in its form, with what is wrong beside the field', async () => {
  const visitor = await signedIn();
  await visitor.get('/questions/exports-over-rows');
  const asked = { question: 'exports-over-rows', tenant: 'acme', zone: 'Europe/Zurich' };
  const custom = {
    ...asked,
    preset: 'custom',
    since: '2026-11-20T00:00',
    until: '2026-11-10T00:00',
  };
  const backwards = await visitor.post('/ask', custom);
  expect(backwards.status).toBe(422);
  expect(await backwards.text()).toMatch(
    /Until must be after From[^]*id="f-until"[^>]*aria-invalid="true"/,
  );
  // Another spelling is another zone to whoever keeps what is known of it.
  for (const zone of ['Mars/Olympus', 'europe/zurich', '+01:23'])
    expect((await visitor.post('/ask', { ...asked, preset: 'month', zone })).status).toBe(422);
  const path = await visitor.ask('exports-over-rows', { 'p.rows': 'many' });
  const answer = await visitor.get(path);
  expect(answer.status).toBe(422);
  expect(await answer.text()).toMatch(
    /role="alert"[^]*name="p.rows"[^>]*aria-invalid="true"\s+value="many"/,
  );
});

test('the health of the agent is for operators alone', async () => {
  const alice = await signedIn('alice');
  const health = await alice.get('/health');
  const page = await health.text();
  expect(page).toContain('elasticsearch/siem');
  expect(page, 'in words that one reads at a glance').toContain('12 min');
  const zoe = await signedIn('zoe');
  const refused = await zoe.get('/health');
  expect(refused.status).toBe(403);
  expect(await refused.text()).not.toContain('elasticsearch');
  expect(await (await zoe.get('/')).text()).not.toContain('/health');
});
