/** The two doors of the admin endpoint, a loopback port and a unix socket: who is let in by which, how they open, and how they close. */
import { once } from 'node:events';
import { link, readFile, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { kindOf, useAdmin } from './admin-endpoint.ts';

const served = useAdmin();
const { createAdmin, overTcp, overSocket, asked } = served;

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
    `127.0.0.1:${served.port}`,
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
    const other = createAdmin({ endpoint, socketPath: join(served.dir, 'other.sock') });
    expect(await other.listen()).toMatchObject({ ok: false, error: { kind } });
  }
});

test('both doors are open, or neither is', async () => {
  const portTaken = createAdmin({
    endpoint: `127.0.0.1:${served.port}`,
    socketPath: join(served.dir, 'other.sock'),
  });
  expect(await portTaken.listen()).toMatchObject({ ok: false, error: { kind: 'address_in_use' } });
  await expect(stat(join(served.dir, 'other.sock'))).rejects.toThrow('ENOENT');

  await served.admin.close();
  const endpoint = `127.0.0.1:${served.port}`;
  const noFolder = createAdmin({ endpoint, socketPath: join(served.dir, 'none', 'admin.sock') });
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
  await served.admin.close();
  // A second name stays behind when the socket closes, as after kill -9.
  const crashed = createServer().listen(served.socketPath);
  await once(crashed, 'listening');
  const left = `${served.socketPath}.left`;
  await link(served.socketPath, left);
  await new Promise((done) => crashed.close(done));
  const revived = createAdmin({ socketPath: left });
  expect((await revived.listen()).ok).toBe(true);
  await revived.close();

  const file = join(served.dir, 'precious');
  await writeFile(file, 'not a socket');
  expect((await createAdmin({ socketPath: file }).listen()).ok).toBe(false);
  expect(await readFile(file, 'utf8')).toBe('not a socket');
});

test('a header that is too large, or no HTTP at all, costs only the one who sent it', async () => {
  const answer = await overTcp('/healthz', { headers: { 'X-Large': 'x'.repeat(9_000) } });
  expect(answer.status).toBe(431);
  const raw = connect(served.port, '127.0.0.1');
  raw.end('\u0000\u0001 no http\r\n\r\n');
  const [chunk] = await once(raw, 'data');
  expect(String(chunk)).toMatch(/^HTTP\/1\.1 400 /);
  expect((await overTcp('/healthz')).status).toBe(200);
});

test('close does not wait for clients that keep their connection, nor for those that never ask', async () => {
  const silent = connect(served.port, '127.0.0.1');
  const half = connect(served.socketPath);
  await Promise.all([once(silent, 'connect'), once(half, 'connect')]);
  half.write('GET /status HTTP/1.1\r\n');
  const ended = Promise.all([once(silent, 'close'), once(half, 'close')]);
  silent.resume();
  half.resume();
  const startedMs = performance.now();
  await served.admin.close();
  // Left alone, either may stay for a minute.
  expect(performance.now() - startedMs).toBeLessThan(20_000);
  await ended;
  await served.admin.close();
  await eventually(() => expect(stat(served.socketPath)).rejects.toThrow('ENOENT'));
});
