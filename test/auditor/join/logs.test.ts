/** Which log lines belong to a request, whatever shape they have, and how large the file is. */
import { appendFileSync, createWriteStream, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { JoinIds } from '../../../auditor/join/ids.ts';
import { openLogFile } from '../../../auditor/join/log-files.ts';
import { readLogLine } from '../../../auditor/join/log-line.ts';
import { makeTempDir } from '../../support/ledger.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const IDS: JoinIds = { requests: new Set(['req-4711']), traces: new Set([TRACE]) };
const belongs = (line: object | string): string | null =>
  readLogLine(typeof line === 'string' ? line : JSON.stringify(line), 'app.log:1', IDS)
    ?.joined_by ?? null;

test.each<object | string>([
  { request_id: 'req-4711' },
  { requestId: 'req-4711' },
  { reqId: 'req-4711' },
  { correlation: { request_id: 'req-4711' } },
  { 'http.request.id': 'req-4711' },
  { labels: { 'x-request-id': 'req-4711' } },
  '2026-11-01 12:00:00 INFO [req-4711] exported 1200 rows',
  'request_id=req-4711 rows=7',
  'done with req-4711.',
  '2026-11-01 stdout F {"requestId":"req-4711"}',
  { msg: 'start of req-4711', pid: 1 },
])('by request id: %j', (line) => {
  expect(belongs(line)).toBe('request_id');
});

test.each<object | string>([
  { trace_id: TRACE },
  { trace: { id: TRACE } },
  { 'trace.id': TRACE.toUpperCase() },
  { otelTraceID: TRACE },
  { traceparent: `00-${TRACE}-b7ad6b7169203331-01` },
  `GET /x traceparent=00-${TRACE}-b7ad6b7169203331-01`,
  { request_id: 'gw-1', trace_id: TRACE },
])('by trace id: %j', (line) => {
  expect(belongs(line)).toBe('trace_id');
});

test.each<object | string>([
  { request_id: 'req-47110' },
  { request_id: 'req-4711-retry' },
  'request req-47110 is another one, and so is req-4711-retry or old-req-4711',
  // It speaks of ours, and is of its own.
  { request_id: 'req-9', msg: 'waits for the lock of req-4711' },
  { parent_request_id: 'req-4711', request_id: 'req-9' },
  { linked: { trace_id: TRACE }, trace_id: 'b'.repeat(32) },
  { msg: 'nothing', time: '2026-11-01T12:00:00Z' },
  `token ${TRACE}ff`,
])('not of this request: %j', (line) => {
  expect(belongs(line)).toBeNull();
});

test('an id so short that it stands in any text joins by fields alone', () => {
  const ids = { requests: new Set(['7']), traces: new Set<string>() };
  expect(readLogLine('{"request_id":7}', '', ids)?.joined_by).toBe('request_id');
  expect(readLogLine('took 7 ms', '', ids)).toBeNull();
});

test('time, level, service and message are read from the usual names', () => {
  const line = { level: 30, time: 1_793_520_000_000, service: 'shop', msg: 'exported', rows: 7 };
  expect(readLogLine(JSON.stringify({ ...line, request_id: 'req-4711' }), '', IDS)).toMatchObject({
    time: '2026-11-01T08:00:00.000Z',
    level: 'info',
    service: 'shop',
    message: 'exported  rows=7',
  });
});

test('plain and gzip files, lines across blocks, no newline at the end: each line with its number', async () => {
  await using dir = await makeTempDir();
  const padding = `${'x'.repeat(1_000)}\n`.repeat(600);
  const text = `${padding}{"request_id":"req-4711","n":1}\r\n${padding}req-4711 last`;
  const [plain, zipped] = [join(dir.path, 'app.log'), join(dir.path, 'app.log.1')];
  writeFileSync(plain, text);
  // Two members, as `cat a.gz b.gz` makes.
  writeFileSync(
    zipped,
    Buffer.concat([gzipSync(text.slice(0, 1_000)), gzipSync(text.slice(1_000))]),
  );
  for (const path of [plain, zipped]) {
    const found = await openLogFile(path).find(IDS);
    expect(found.ok && found.value.lines.map(({ where }) => where)).toEqual([
      `${path}:601`,
      `${path}:1202`,
    ]);
  }
});

test('a file that is not there is said, and a line too long to look at is said', async () => {
  await using dir = await makeTempDir();
  expect(await openLogFile(join(dir.path, 'none.log')).find(IDS)).toMatchObject({ ok: false });
  const path = join(dir.path, 'app.log');
  writeFileSync(path, `${'y'.repeat(3_000_000)}\n`);
  appendFileSync(path, '{"request_id":"req-4711"}\n');
  const found = await openLogFile(path).find(IDS);
  expect(found).toMatchObject({
    value: {
      total: 1,
      lines: [{ where: `${path}:2` }],
      notes: [expect.stringMatching(/^1 lines/)],
    },
  });
});

test('a large file is read in flat memory', async () => {
  await using dir = await makeTempDir();
  const path = join(dir.path, 'app.log');
  const file = createWriteStream(path);
  const block = `${JSON.stringify({ request_id: 'req-0', msg: 'z'.repeat(300) })}\n`.repeat(3_000);
  for (let written = 0; written < 120_000_000; written += block.length)
    if (!file.write(block)) await once(file, 'drain');
  file.end('{"request_id":"req-4711"}\n');
  await once(file, 'close');
  const before = process.memoryUsage().rss;
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
  const found = await openLogFile(path).find(IDS);
  clearInterval(watch);
  expect(found).toMatchObject({ value: { total: 1 } });
  expect(most - before).toBeLessThan(60_000_000);
});
