/** Sign-in by OpenID Connect, against an issuer that checks what a strict one checks, and one that misbehaves. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createVisitor } from '../../support/visitor.ts';
import { PASSWORD, startWebStore, type WebStore } from '../../support/web-store.ts';
import { startWeb, type WebRun } from '../../support/web.ts';

const CLIENT = { id: 'sealtrail', secret: 's3cret-of-the-page' };
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** An authorization request that was granted, by its code. */
interface Grant {
  readonly challenge: string;
  readonly redirectUri: string;
  readonly nonce: string;
}

let store: WebStore;
let web: WebRun;
let issuer: Server;
let issuerUrl = '';
const grants = new Map<string, Grant>();
/** What the next token says beside what it must; and who signs it. */
let claims: Record<string, unknown> = {};
let signer = privateKey;

beforeAll(async () => {
  issuer = createServer((request, response) => void answer(request, response));
  await new Promise<void>((done) => issuer.listen(0, '127.0.0.1', done));
  issuerUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  store = await startWebStore(5);
  const entry = (
    user: string,
  ): { passwordHash: undefined; login: { user: string; password: string } } => ({
    passwordHash: undefined,
    login: { user, password: PASSWORD },
  });
  const people = new Map([
    ['ada@example.com', entry('alice')],
    ['eve@example.com', entry('nobody')],
  ]);
  const oidc = {
    issuer: issuerUrl,
    clientId: CLIENT.id,
    clientSecret: CLIENT.secret,
    claim: 'email',
    title: 'Sign in with Example',
  };
  web = await startWeb(store, { settings: { signIn: { people, oidc, operators: new Set() } } });
});

afterAll(async () => {
  await web.stop();
  await store.stop();
  issuer.close();
});

beforeEach(() => {
  claims = { email: 'ada@example.com', email_verified: true };
  signer = privateKey;
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '', issuerUrl);
  const json = (value: object, status = 200): void =>
    void response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(JSON.stringify(value));
  if (url.pathname === '/.well-known/openid-configuration')
    return json({
      issuer: issuerUrl,
      authorization_endpoint: `${issuerUrl}/authorize`,
      token_endpoint: `${issuerUrl}/token`,
      jwks_uri: `${issuerUrl}/keys`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      code_challenge_methods_supported: ['S256'],
    });
  if (url.pathname === '/keys')
    return json({
      keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' }],
    });
  if (url.pathname !== '/token') return json({ error: 'not_found' }, 404);
  const fields = new URLSearchParams(await text(request));
  const grant = grants.get(fields.get('code') ?? '');
  grants.delete(fields.get('code') ?? '');
  const challenge = createHash('sha256')
    .update(fields.get('code_verifier') ?? '')
    .digest('base64url');
  const isClient =
    fields.get('client_id') === CLIENT.id && fields.get('client_secret') === CLIENT.secret;
  if (
    grant === undefined ||
    !isClient ||
    challenge !== grant.challenge ||
    fields.get('redirect_uri') !== grant.redirectUri
  )
    return json({ error: 'invalid_grant' }, 400);
  return json({ access_token: 'a', token_type: 'Bearer', expires_in: 60, id_token: mint(grant) });
}

function mint({ nonce }: Grant): string {
  const now = Math.floor(Date.now() / 1000);
  const body = {
    iss: issuerUrl,
    aud: CLIENT.id,
    sub: 'u1',
    iat: now,
    exp: now + 60,
    nonce,
    ...claims,
  };
  const head = `${encode({ alg: 'RS256', kid: 'k1' })}.${encode(body)}`;
  return `${head}.${sign('sha256', Buffer.from(head), signer).toString('base64url')}`;
}

/** What a browser does at the issuer: the person agrees, and is sent back with a code. */
function agree(location: string): URL {
  const asked = new URL(location);
  const of = (name: string): string => asked.searchParams.get(name) ?? '';
  expect(asked.origin + asked.pathname).toBe(`${issuerUrl}/authorize`);
  expect([of('response_type'), of('client_id'), of('code_challenge_method')]).toEqual([
    'code',
    CLIENT.id,
    'S256',
  ]);
  expect(of('state').length).toBeGreaterThan(20);
  expect(of('nonce').length).toBeGreaterThan(20);
  const code = randomBytes(12).toString('hex');
  grants.set(code, {
    challenge: of('code_challenge'),
    redirectUri: of('redirect_uri'),
    nonce: of('nonce'),
  });
  const back = new URL(of('redirect_uri'));
  back.searchParams.set('code', code);
  back.searchParams.set('state', of('state'));
  return back;
}

async function begin(visitor: ReturnType<typeof createVisitor>): Promise<URL> {
  const begun = await visitor.get('/sign-in/oidc');
  expect(begun.status).toBe(303);
  expect(begun.headers.getSetCookie().join()).toMatch(
    /sealtrail-flow=[^;]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax/,
  );
  return agree(begun.headers.get('location') ?? '');
}

async function comeBack(change: (url: URL) => void = () => undefined): Promise<Response> {
  const visitor = createVisitor(web.url);
  await visitor.get('/sign-in');
  const back = await begin(visitor);
  change(back);
  const came = await visitor.get(back.pathname + back.search);
  return came.status === 200 ? visitor.get('/') : came;
}

test('whom the issuer names is let in as their own database login, under a new session', async () => {
  const visitor = createVisitor(web.url);
  expect(await (await visitor.get('/sign-in')).text()).toContain('Sign in with Example');
  const before = visitor.cookies.get('sealtrail');
  const back = await begin(visitor);
  const came = await visitor.get(back.pathname + back.search);
  // A strict cookie does not come along on the way from another site: a page of ours sends the browser on.
  expect(await came.text()).toContain('http-equiv="refresh"');
  expect(visitor.cookies.get('sealtrail')).not.toBe(before);
  expect(await (await visitor.get('/')).text()).toMatch(/audit trail of\s+<strong>acme/);
  expect(web.logged.join()).toContain(
    'signed in {"address":"127.0.0.1","login":"ada@example.com"}',
  );
  // A browser takes a cookie away only by the attributes that it was set with.
  expect(came.headers.getSetCookie().join('\n')).toMatch(
    /sealtrail-flow=; (?=.*HttpOnly)(?=.*SameSite=Lax)(?=.*Expires=Thu, 01 Jan 1970)/,
  );
  // The same address once more: the code and the flow are used up.
  expect((await visitor.get(back.pathname + back.search)).status).toBe(403);
});

test.each<[string, () => void]>([
  ['signed by another key', () => (signer = stranger)],
  ['for another client', () => (claims['aud'] = 'another')],
  ['of another issuer', () => (claims['iss'] = 'https://evil.example')],
  ['that has expired', () => Object.assign(claims, { iat: 1_000, exp: 2_000 })],
  ['of another flow', () => (claims['nonce'] = 'another')],
  ['with an address that nobody verified', () => (claims['email_verified'] = false)],
  ['without the claim', () => (claims['email'] = undefined)],
  ['of somebody who is not on the list', () => (claims['email'] = 'mallory@example.com')],
])('a token %s lets nobody in', async (_, spoil) => {
  spoil();
  expect((await comeBack()).status).toBe(403);
});

test('an issuer that verifies no addresses, as Entra ID, names people by another claim', async () => {
  const { signIn } = web.ports.settings;
  const [oidc, alice] = [signIn.oidc, signIn.people?.get('ada@example.com')];
  if (oidc === null || alice === undefined) throw new Error('the page has neither');
  const people = new Map([['3f2c9d1e-oid', alice]]);
  const settings = { signIn: { ...signIn, people, oidc: { ...oidc, claim: 'oid' } } };
  const own = await startWeb(store, { settings });
  for (const [oid, status] of [
    ['3f2c9d1e-oid', 200],
    ['another', 403],
  ] as const) {
    claims = { email: 'ada@example.com', oid };
    // By its address nobody is let in.
    expect((await comeBack()).status).toBe(403);
    const visitor = createVisitor(own.url);
    const back = await begin(visitor);
    expect((await visitor.get(back.pathname + back.search)).status).toBe(status);
  }
  await own.stop();
});

test('a person whose login may see no tenant is not let in', async () => {
  claims['email'] = 'eve@example.com';
  expect((await comeBack()).status).toBe(403);
});

test('a state that is another’s, a code that is made up, and a browser that began nothing get nowhere', async () => {
  expect((await comeBack((url) => url.searchParams.set('state', 'x'.repeat(43)))).status).toBe(403);
  expect((await comeBack((url) => url.searchParams.set('code', 'made-up'))).status).toBe(403);
  const mine = createVisitor(web.url);
  const theirs = createVisitor(web.url);
  const back = await begin(mine);
  expect((await theirs.get(back.pathname + back.search)).status).toBe(403);
});

test('where everybody comes by the issuer, no password is taken', async () => {
  const visitor = createVisitor(web.url);
  expect(await (await visitor.get('/sign-in')).text()).not.toContain('name="password"');
  expect((await visitor.post('/sign-in', { name: 'alice', password: PASSWORD })).status).toBe(403);
});

test('a flow that took too long is over', async () => {
  const own = await startWeb(store, { settings: { signIn: web.ports.settings.signIn } });
  const visitor = createVisitor(own.url);
  const back = await begin(visitor);
  own.advance(11 * 60_000);
  expect((await visitor.get(back.pathname + back.search)).status).toBe(403);
  await own.stop();
});
