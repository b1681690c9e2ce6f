/** `sealtrail web`: what it refuses to be, and that with TLS its cookies and headers are those of TLS. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IncomingMessage } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashPassword } from '../../auditor/web/passwords.ts';
import type { WebPorts } from '../../auditor/web/ports.ts';
import { createWebServer } from '../../auditor/web/server.ts';
import { loadWebConfig, type WebConfig } from '../../cli/web-config.ts';
import { createAuditor } from '../../auditor/ask.ts';
import { err } from '../../schemas/result.ts';
import { createAuthority } from '../support/certificates.ts';

let dir = '';
const { cert, key } = createAuthority().issue('localhost');

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sealtrail-web-'));
  await writeFile(join(dir, 'cert.pem'), cert);
  await writeFile(join(dir, 'key.pem'), key);
  await writeFile(join(dir, 'hash'), await hashPassword('correct horse battery'));
  await writeFile(join(dir, 'secret'), 'of-the-database');
});

afterAll(() => rm(dir, { recursive: true, force: true }));

/** The configuration of a text, or its faults. */
async function load(text: string): Promise<WebConfig | string> {
  const file = join(dir, 'web.yaml');
  await writeFile(file, text);
  const loaded = await loadWebConfig(file, {}, {});
  return loaded.ok
    ? loaded.value
    : loaded.error.map(({ field, message }) => `${field}: ${message}`).join('\n');
}

const TLS = 'tls: { cert_file: cert.pem, key_file: key.pem }';

test.each([
  ['listen: 0.0.0.0:8443', '/listen: is reachable from other hosts, which needs tls'],
  [`listen: 0.0.0.0:8443\n${TLS}`, '/public_url: is missing'],
  [`public_url: http://audit.example.com\n${TLS}`, '/public_url: must begin with https:'],
  ['public_url: https://audit.example.com', '/public_url: is https: then add tls'],
  ['listen: 10.0.0.1:80\ntrusted_proxies: [10.0.0.2]', '/public_url: is missing'],
  ['listen: nowhere', '/listen: must be host:port'],
  ['store: { url: "postgresql://user:pw@db/x" }', '/store/url:'],
  [
    'people: { ada: { login: a, password_hash: plain } }\nlogins: { a: { password: x } }',
    '/people/ada/password_hash: must be a line of',
  ],
  [
    'people: { ada: { login: a } }\nlogins: { a: { password: x } }',
    '/people/ada: has no way to sign in',
  ],
  [
    'people: { ada: { login: b, password_hash: "${file:hash}" } }',
    '/people/ada/login: must be one of logins',
  ],
  ['oidc: { issuer: "https://x", client_id: a, client_secret: b }', '/people: is missing'],
  ['session: { idle_minutes: 0 }', '/session/idle_minutes: '],
  ['listenn: x', 'listenn'],
])('%s is refused', async (text, fault) => {
  expect(await load(text)).toContain(fault);
});

test('a declared proxy, or TLS of its own, opens it to other hosts; alone it stays on this one', async () => {
  expect(await load('{}')).toMatchObject({ listen: { host: '127.0.0.1', port: 8443 } });
  const proxied = await load(
    'listen: 10.0.0.1:80\ntrusted_proxies: [10.0.0.2]\npublic_url: https://audit.example.com/',
  );
  expect(proxied).toMatchObject({
    settings: { publicUrl: 'https://audit.example.com', trustedProxies: ['10.0.0.2'] },
  });
  const own = await load(`listen: 0.0.0.0:8443\npublic_url: https://audit.example.com:8443\n${TLS}
people: { ada: { login: a, password_hash: "\${file:hash}" } }
logins: { a: { password: "\${file:secret}" } }`);
  expect(own).toMatchObject({ settings: { tls: { cert }, session: { idleMs: 900_000 } } });
  const people = typeof own === 'string' ? null : own.settings.signIn.people;
  expect(people?.get('ada')?.login).toEqual({ user: 'a', password: 'of-the-database' });
});

test('with TLS cookies are of this host and of TLS alone, and browsers are told to come back by TLS', async () => {
  const config = await load(`listen: 127.0.0.1:0\n${TLS}`);
  if (typeof config === 'string') throw new Error(config);
  const ports: WebPorts = {
    ...{
      settings: config.settings,
      nowMs: Date.now,
      trust: null,
      proofOf: null,
      bundleOf: null,
      bundleKey: null,
      health: null,
    },
    log: { info: () => undefined, warn: () => undefined, error: () => undefined },
    openAuditor: ({ user, password }) =>
      createAuditor({ url: `postgresql://${user}:${password}@127.0.0.1:1/x` }),
    certify: async () => err('not here'),
  };
  const server = await createWebServer(ports);
  const url = await server.listen(config.listen);
  expect(url).toMatch(/^https:/);
  const { headers } = await new Promise<IncomingMessage>((done, fail) => {
    const asked = request(`${url}/sign-in`, { ca: cert, rejectUnauthorized: false }, (answer) => {
      answer.resume();
      done(answer);
    });
    asked.on('error', fail);
    asked.end();
  });
  expect(headers['set-cookie']?.join()).toMatch(
    /^__Host-sealtrail=[\w-]{43}; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
  );
  expect(headers['strict-transport-security']).toBe('max-age=63072000');
  await server.stop();
});
