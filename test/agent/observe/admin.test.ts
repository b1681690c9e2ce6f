import { once } from 'node:events';
import { link, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createAdminServer,
  type AdminOptions,
  type AdminServer,
} from '../../../agent/observe/admin.ts';
import { createMetrics } from '../../../agent/observe/metrics.ts';
import { createTap } from '../../../agent/observe/tap.ts';
import type { DeadLetter } from '../../../agent/ports.ts';
import type { AgentStatus } from '../../../agent/status-ports.ts';
import { agentStatus, appendStatus, createKeptLog, parseMetrics } from './support.ts';
import { eventually } from '../../support/eventually.ts';

const LETTER: DeadLetter = {
  at: '2026-03-01T09:00:00.000Z',
  sink: 'postgresql',
  number: 12,
  stream: 's',
  seq: 4,
  event_id: '01J00000000000000000000000',
  reason: 'mapper_parsing_exception',
  attempts: 1,
};

const RELOADED = { ok: true, faults: [], applied: ['tenants'], needs_restart: [] };

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

let dir: string;
let socketPath: string;
let status: AgentStatus;
let admin: AdminServer;
let port: number;
const log = createKeptLog();
const asked: (readonly [string, string | undefined, number?])[] = [];

function createAdmin(changes: Partial<AdminOptions> = {}): AdminServer {
  return createAdminServer({
    endpoint: '127.0.0.1:0',
    socketPath,
    status: () => status,
    metrics: createMetrics({ status: () => status }),
    deadLetters: {
      list: (sink, limit) => {
        asked.push(['list', sink, limit ?? -1]);
        return Promise.resolve([LETTER]);
      },
      retry: (sink) => {
        asked.push(['retry', sink]);
        return Promise.resolve({ delivered: 1, remaining: 0 });
      },
    },
    reload: { run: () => Promise.resolve(RELOADED), preview: () => Promise.resolve(RELOADED) },
    operations: () => Promise.resolve({ ok: false, error: 'none' }),
    keys: new Map(),
    tap: createTap({ ledgerDir: dir, durable: () => 0, cursor: () => null }),
    log,
    ...changes,
  });
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sealtrail-admin-'));
  socketPath = join(dir, 'admin.sock');
  status = agentStatus();
  asked.length = 0;
  log.lines.length = 0;
  admin = createAdmin();
  const listening = await admin.listen();
  if (!listening.ok) throw new Error(listening.error.message);
  port = listening.value.port;
});

afterEach(async () => {
  await admin.close();
  await rm(dir, { recursive: true });
});

function ask(
  path: string,
  { method = 'GET', headers = {} }: Asked,
  where: object,
): Promise<Answer> {
  return new Promise((done, fail) => {
    const sent = request({ ...where, path, method, headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () =>
        done({ status: answer.statusCode ?? 0, headers: answer.headers, text }),
      );
      answer.on('error', fail);
    });
    sent.on('error', fail);
    sent.end();
  });
}

const overTcp = (path: string, options: Asked = {}): Promise<Answer> =>
  ask(path, options, { host: '127.0.0.1', port });
const overSocket = (path: string, options: Asked = {}): Promise<Answer> =>
  ask(path, options, { socketPath });
const kindOf = ({ text }: Answer): string => JSON.parse(text).error.kind;

test('health and readiness follow the agent, check by check', async () => {
  expect((await overTcp('/healthz')).status).toBe(200);
  const ready = await overTcp('/readyz');
  expect(ready.status).toBe(200);
  expect(ready.headers['content-type']).toBe('application/json');

  status = agentStatus({ append: appendStatus({ state: 'disk_full' }) });
  expect((await overTcp('/healthz')).status).toBe(200);
  const unready = await overTcp('/readyz');
  expect(unready.status).toBe(503);
  expect(JSON.parse(unready.text)).toMatchObject({
    ok: false,
    checks: [
      { name: 'append', ok: false, detail: expect.stringContaining('disk is full') },
      { name: 'queue', ok: true },
      { name: 'sink postgresql', ok: true },
    ],
  });

  status = agentStatus({ append: appendStatus({ state: 'failed' }) });
  expect((await overTcp('/healthz')).status).toBe(503);
  status = agentStatus();
  expect((await overTcp('/readyz')).status).toBe(200);
});

test('metrics come as Prometheus asks for them', async () => {
  const { status: code, headers, text } = await overTcp('/metrics?x=1');
  expect(code).toBe(200);
  expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(parseMetrics(text).samples.get('audit_ledger_records')).toBe(1_200);
});

test('HEAD is answered without a body, other methods and paths with a typed fault', async () => {
  const head = await overTcp('/healthz', { method: 'HEAD' });
  expect([head.status, head.text]).toEqual([200, '']);
  const post = await overTcp('/healthz', { method: 'POST' });
  expect([post.status, post.headers.allow, kindOf(post)]).toEqual([
    405,
    'GET, HEAD',
    'method_not_allowed',
  ]);
  for (const path of ['/', '/healthz/', '//', '/%2e%2e/status', '*', '/healthz#x']) {
    const answer = await overTcp(path);
    expect([path, answer.status, kindOf(answer)]).toEqual([path, 404, 'not_found']);
  }
});

test('status and dead letters are not to be had over TCP', async () => {
  for (const [path, method] of [
    ['/status', 'GET'],
    ['/dlq', 'GET'],
    ['/dlq/retry', 'POST'],
  ] as const) {
    expect((await overTcp(path, { method })).status).toBe(404);
  }
  expect(asked).toEqual([]);
});

test('the unix socket answers status and dead letters, and is for its owner only', async () => {
  expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
  expect(JSON.parse((await overSocket('/status')).text)).toEqual(status);
  expect((await overSocket('/readyz')).status).toBe(200);
  expect((await overSocket('/metrics')).status).toBe(200);

  expect(JSON.parse((await overSocket('/dlq?sink=file%2Fecs&limit=5')).text)).toEqual([LETTER]);
  expect((await overSocket('/dlq')).status).toBe(200);
  const retried = await overSocket('/dlq/retry?sink=postgresql', { method: 'POST' });
  expect(JSON.parse(retried.text)).toEqual({ delivered: 1, remaining: 0 });
  expect((await overSocket('/dlq/retry', { method: 'POST' })).status).toBe(200);
  expect(asked).toEqual([
    ['list', 'file/ecs', 5],
    ['list', undefined, 1_000],
    ['retry', 'postgresql'],
    ['retry', undefined],
  ]);
});

test('a read never changes anything, and nonsense is refused before it is asked', async () => {
  expect((await overSocket('/dlq/retry')).status).toBe(405);
  const unknown = await overSocket('/dlq?sink=nobody');
  expect([unknown.status, kindOf(unknown)]).toEqual([404, 'unknown_sink']);
  expect(unknown.text).toContain('postgresql, file/ecs');
  expect((await overSocket('/dlq/retry?sink=nobody', { method: 'POST' })).status).toBe(404);
  for (const limit of ['0', '-1', '1.5', 'x', '10001', '1e99']) {
    const answer = await overSocket(`/dlq?limit=${limit}`);
    expect([limit, answer.status, kindOf(answer)]).toEqual([limit, 400, 'bad_limit']);
  }
  expect(asked).toEqual([]);
});

test('a web page is turned away, by its origin or by the name it came under', async () => {
  const refused = [
    { Origin: 'http://evil.example' },
    { Origin: 'null' },
    { Host: 'evil.example' },
    { Host: 'evil.example:9464' },
    { Host: 'localhost.evil.example' },
    { Host: '127.0.0.1.evil.example:80' },
  ];
  for (const headers of refused) {
    const answer = await overTcp('/metrics', { headers });
    expect([headers, answer.status, kindOf(answer)]).toEqual([headers, 403, 'forbidden']);
  }
  for (const host of [
    '127.0.0.1',
    `127.0.0.1:${port}`,
    'localhost',
    'localhost:1',
    '[::1]',
    '[::1]:80',
  ]) {
    expect([host, (await overTcp('/healthz', { headers: { Host: host } })).status]).toEqual([
      host,
      200,
    ]);
  }
});

test('an endpoint that other hosts can reach is refused', async () => {
  for (const [endpoint, kind] of [
    ['0.0.0.0:0', 'endpoint_not_loopback'],
    ['[::]:0', 'endpoint_not_loopback'],
    ['example.com:80', 'endpoint_not_loopback'],
    ['9464', 'endpoint_invalid'],
  ] as const) {
    const other = createAdmin({ endpoint, socketPath: join(dir, 'other.sock') });
    expect(await other.listen()).toMatchObject({ ok: false, error: { kind } });
  }
});

test('both doors are open, or neither is', async () => {
  const portTaken = createAdmin({
    endpoint: `127.0.0.1:${port}`,
    socketPath: join(dir, 'other.sock'),
  });
  expect(await portTaken.listen()).toMatchObject({ ok: false, error: { kind: 'address_in_use' } });
  await expect(stat(join(dir, 'other.sock'))).rejects.toThrow('ENOENT');

  await admin.close();
  const endpoint = `127.0.0.1:${port}`;
  const noFolder = createAdmin({ endpoint, socketPath: join(dir, 'none', 'admin.sock') });
  expect(await noFolder.listen()).toMatchObject({ ok: false, error: { kind: 'cannot_listen' } });
  await expect(overTcp('/healthz')).rejects.toThrow('ECONNREFUSED');
});

test('a socket that somebody answers on stays theirs', async () => {
  const other = createAdmin();
  const listening = await other.listen();
  expect(listening).toMatchObject({ ok: false, error: { kind: 'address_in_use' } });
  expect((await overSocket('/healthz')).status).toBe(200);
});

test('a socket file left by a crash is replaced, another file is not', async () => {
  await admin.close();
  // A second name stays behind when the socket closes, as after kill -9.
  const crashed = createServer().listen(socketPath);
  await once(crashed, 'listening');
  const left = `${socketPath}.left`;
  await link(socketPath, left);
  await new Promise((done) => crashed.close(done));
  const revived = createAdmin({ socketPath: left });
  expect((await revived.listen()).ok).toBe(true);
  await revived.close();

  const file = join(dir, 'precious');
  await writeFile(file, 'not a socket');
  expect((await createAdmin({ socketPath: file }).listen()).ok).toBe(false);
  expect(await readFile(file, 'utf8')).toBe('not a socket');
});

test('a source that fails is a 500 without its reason, and a line in the log', async () => {
  await admin.close();
  admin = createAdmin({
    deadLetters: {
      list: () => Promise.reject(new Error('worker is gone')),
      retry: () => Promise.reject(new Error('worker is gone')),
    },
  });
  await admin.listen();
  const answer = await overSocket('/dlq');
  expect([answer.status, kindOf(answer)]).toEqual([500, 'internal']);
  expect(answer.text).not.toContain('worker');
  expect(log.lines).toMatchObject([{ level: 'error', fields: { error: 'worker is gone' } }]);
});

test('a header that is too large, or no HTTP at all, costs only the one who sent it', async () => {
  const answer = await overTcp('/healthz', { headers: { 'X-Large': 'x'.repeat(9_000) } });
  expect(answer.status).toBe(431);
  const raw = connect(port, '127.0.0.1');
  raw.end('\u0000\u0001 no http\r\n\r\n');
  const [chunk] = await once(raw, 'data');
  expect(String(chunk)).toMatch(/^HTTP\/1\.1 400 /);
  expect((await overTcp('/healthz')).status).toBe(200);
});

test('close does not wait for clients that keep their connection, nor for those that never ask', async () => {
  const silent = connect(port, '127.0.0.1');
  const half = connect(socketPath);
  await Promise.all([once(silent, 'connect'), once(half, 'connect')]);
  half.write('GET /status HTTP/1.1\r\n');
  const ended = Promise.all([once(silent, 'close'), once(half, 'close')]);
  silent.resume();
  half.resume();
  const startedMs = performance.now();
  await admin.close();
  // Left alone, either may stay for a minute.
  expect(performance.now() - startedMs).toBeLessThan(20_000);
  await ended;
  await admin.close();
  await eventually(() => expect(stat(socketPath)).rejects.toThrow('ENOENT'));
});
