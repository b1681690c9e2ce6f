/** What the admin endpoint answers. Who is let in is in admin-doors.test.ts. */
import { stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { kindOf, LETTER, useAdmin } from './admin-endpoint.ts';
import { agentStatus, appendStatus, parseMetrics } from './support.ts';

const served = useAdmin();
const { createAdmin, overTcp, overSocket, asked, log } = served;

test('health and readiness follow the agent, check by check', async () => {
  expect((await overTcp('/healthz')).status).toBe(200);
  const ready = await overTcp('/readyz');
  expect(ready.status).toBe(200);
  expect(ready.headers['content-type']).toBe('application/json');

  served.status = agentStatus({ append: appendStatus({ state: 'disk_full' }) });
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

  served.status = agentStatus({ append: appendStatus({ state: 'failed' }) });
  expect((await overTcp('/healthz')).status).toBe(503);
  served.status = agentStatus();
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

test('the unix socket answers status and dead letters, and is for its owner only', async () => {
  expect((await stat(served.socketPath)).mode & 0o777).toBe(0o600);
  expect(JSON.parse((await overSocket('/status')).text)).toEqual(served.status);
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

test('a source that fails is a 500 without its reason, and a line in the log', async () => {
  await served.admin.close();
  served.admin = createAdmin({
    deadLetters: {
      list: () => Promise.reject(new Error('worker is gone')),
      retry: () => Promise.reject(new Error('worker is gone')),
    },
  });
  await served.admin.listen();
  const answer = await overSocket('/dlq');
  expect([answer.status, kindOf(answer)]).toEqual([500, 'internal']);
  expect(answer.text).not.toContain('worker');
  expect(log.lines).toMatchObject([{ level: 'error', fields: { error: 'worker is gone' } }]);
});
