/** `sealtrail top` and `sealtrail tap` against a running agent. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TopSample } from '../../cli/top-sample.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { CLI, runCli, startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { until } from '../support/agent-peer.ts';
import { startElasticsearch, type FakeElasticsearch } from '../support/elasticsearch.ts';
import { makeEvent } from '../support/events.ts';
import { startGoodClient } from '../support/good-client.ts';
import { testWhere } from '../support/host.ts';
import { readRecords } from '../support/outcome.ts';
import { connectRaw } from '../support/raw-client.ts';

let siem: FakeElasticsearch;
let agent: AgentProcess;

beforeAll(async () => {
  siem = await startElasticsearch({});
  agent = await startAgentProcess({
    exporters: {
      elasticsearch: { endpoints: [siem.url], retry: { initial_ms: 20, max_ms: 50 } },
      'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' },
    },
  });
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await siem[Symbol.asyncDispose]();
});

interface Following extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Its exit code, once it has ended and all it printed is here. */
  readonly closed: Promise<number | null>;
  out(): string;
  err(): string;
  readonly lines: () => string[];
}

function follow(command: string, args: readonly string[]): Following {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (out += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk));
  const closed = once(child, 'close').then(() => child.exitCode);
  return {
    child,
    closed,
    out: () => out,
    err: () => err,
    lines: () => out.split('\n').filter((line) => line !== ''),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** Loaded before the program, says what the agent has answered: from then on the tap shows what becomes durable. */
const SAYS_ANSWER = `data:text/javascript,${encodeURIComponent(`
  import { subscribe } from 'node:diagnostics_channel';
  import { writeSync } from 'node:fs';
  subscribe('http.client.response.finish', ({ response }) => writeSync(2, 'answered ' + response.statusCode + '\\n'));`)}`;

/** Starts a tap and waits until the agent serves it: one that has just ended may still have its place. */
async function tap(...args: string[]): Promise<Following> {
  for (;;) {
    const command = ['--import', SAYS_ANSWER, CLI, 'tap', '--data-dir', agent.dir, ...args];
    const following = follow(process.execPath, command);
    await until(() => /^answered /m.test(following.err()), 'the tap to be answered');
    if (following.err().includes('answered 200')) return following;
    await following[Symbol.asyncDispose]();
  }
}

async function record(tenant: string, id: string, action = 'customer.read'): Promise<void> {
  using client = await connectRaw(agent.socketPath);
  await client.greet();
  const event = makeEvent({ resource: { type: 'customer', id, tenant_id: tenant } });
  const ack = await client.batch(
    [JSON.stringify({ ...event, event: { ...event.event, action } })],
    0,
  );
  expect(ack.rejected).toEqual([]);
}

const cli = (...args: string[]) => runCli([...args, '--data-dir', agent.dir]);

test('top --once shows rates, queue, fsync, disk and each sink; --json the same as one NDJSON sample', async () => {
  const json = await cli('top', '--once', '--json', '--interval', '0.2');
  expect(json.code).toBe(0);
  expect(json.stdout.trimEnd().split('\n')).toHaveLength(1);
  const sample = JSON.parse(json.stdout) as TopSample;
  const status = await agent.status();
  expect(sample).toMatchObject({
    agent: 'test',
    state: 'ready',
    records: status.append.records,
    acks_per_s: 0,
    queue_events_max: status.append.queue_events_max,
    disk_free_bytes: expect.any(Number),
    rss_bytes: expect.any(Number),
    sinks: [{ name: 'elasticsearch' }, { name: 'file/ecs' }],
  });
  const text = await cli('top', '--once', '--interval', '0.2');
  expect(text.code).toBe(0);
  for (const label of [
    'events',
    'ledger',
    'queue',
    'fsync',
    'disk',
    'process',
    'last error',
    'SINK',
    'elasticsearch',
    'file/ecs',
  ])
    expect(text.stdout).toMatch(new RegExp(`^${label}`, 'm'));
  expect(text.stdout, 'piped: no escape sequence').not.toContain('\x1b');
});

test('top goes on until Ctrl-C, a sample an interval, and refuses an interval that is none', async () => {
  await using top = follow(process.execPath, [
    CLI,
    'top',
    '--json',
    '--interval',
    '0.1',
    '--data-dir',
    agent.dir,
  ]);
  await until(() => top.lines().length >= 3, 'three samples');
  top.child.kill('SIGINT');
  expect(await top.closed).toBe(0);
  for (const line of top.lines()) expect((JSON.parse(line) as TopSample).agent).toBe('test');
  expect(await cli('top', '--interval', 'soon')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--interval'),
  });
});

const hasScript = spawnSync('script', ['--version']).status === 0;
testWhere(hasScript, 'top on a terminal: script(1) is not here')(
  'on a terminal top redraws in place, and gives the terminal back on Ctrl-C',
  async () => {
    const command = `exec '${process.execPath}' '${CLI}' top --interval 0.1 --data-dir '${agent.dir}'`;
    await using top = follow('script', ['-qec', command, '/dev/null']);
    await until(() => top.out().split('\x1b[H').length > 3, 'three drawings');
    const { stdout } = spawnSync('ps', ['--ppid', String(top.child.pid), '-o', 'pid='], {
      encoding: 'utf8',
    });
    process.kill(Number(stdout.trim().split('\n')[0]), 'SIGINT');
    await top.closed;
    const enter = top.out().indexOf('\x1b[?1049h');
    expect(enter).toBeGreaterThanOrEqual(0);
    expect(top.out().slice(enter), 'cursor and screen are back').toMatch(
      /\x1b\[\?25h\x1b\[\?1049l\s*$/,
    );
    expect(top.out()).toContain('acked/s');
  },
);

test('tap shows events as they become durable, as the ledger has them, filtered by tenant and action', async () => {
  await using all = await tap('--json');
  await using acme = await tap('--tenant', 'acme', '--action', 'customer.*');
  await record('globex', 'c-other');
  await record('acme', 'c-mine');
  await record('acme', 'c-last');
  await until(() => acme.lines().length >= 2 && all.lines().length >= 3, 'the events at both taps');
  const records = (await readRecords(join(agent.dir, 'ledger'))).map(({ this_hash }) => this_hash);
  for (const line of all.lines())
    expect(records).toContain((JSON.parse(line) as SealedRecord).this_hash);
  expect(all.out()).toContain('c-other');
  expect(acme.lines()).toEqual([
    expect.stringMatching(/acme .*customer\.read .*c-mine/),
    expect.stringMatching(/c-last/),
  ]);
});

test('tap --sink shows what the sink has, not what is still on its way; --limit ends it', async () => {
  await agent.delivered();
  siem.options.fault = () => ({ kind: 'status', status: 503 });
  await using behind = await tap('--sink', 'elasticsearch', '--json', '--limit', '1');
  await using other = await tap('--sink', 'file/ecs', '--json', '--limit', '1');
  await record('acme', 'c-late');
  expect(await other.closed, 'the limit was reached').toBe(0);
  expect(other.out()).toContain('c-late');
  expect(behind.out(), 'the SIEM is down').toBe('');
  delete siem.options.fault;
  expect(await behind.closed).toBe(0);
  expect(behind.out()).toContain('c-late');
});

test('who looks on without reading loses records, is told how many, and holds up nobody', async () => {
  const slow = request({
    socketPath: join(agent.dir, 'admin.sock'),
    path: '/tap',
    headers: { Host: 'localhost' },
  });
  slow.end();
  const [answer] = (await once(slow, 'response')) as [IncomingMessage];
  answer.pause();
  answer.on('error', () => undefined);
  const client = await startGoodClient(agent, { inFlight: 512 });
  await client.reached(40_000);
  const { failed } = await client.stop();
  expect(failed).toEqual([]);
  await agent.delivered();
  let [from, shown, lost] = [0, 0, 0];
  const reading = createInterface({ input: answer });
  // The test ends by cutting the line.
  reading.on('error', () => undefined);
  reading.on('line', (line) => {
    if (line.startsWith('{"event"')) shown += 1;
    from += Number(/^\{"tap":\{"from":(\d+)\}\}$/.exec(line)?.[1] ?? 0);
    lost += Number(/^\{"tap":\{"lost":(\d+)\}\}$/.exec(line)?.[1] ?? 0);
  });
  const { records } = (await agent.status()).append;
  await until(() => from + shown + lost >= records, 'shown and lost to add up');
  expect(lost).toBeGreaterThan(0);
  expect(from + shown + lost, 'each record is shown or counted').toBe(records);
  slow.destroy();
});

test('the tap is the owner’s: admin.sock is 0600, TCP has no tap, and only so many may look on', async () => {
  expect((await stat(join(agent.dir, 'admin.sock'))).mode & 0o777).toBe(0o600);
  for (const path of ['/tap', '/reload', '/reload/now'])
    expect((await fetch(`${agent.adminUrl}${path}`)).status).toBe(404);
  const open: Following[] = [];
  for (let n = 0; n < 4; n++) open.push(await tap());
  const fifth = await cli('tap');
  expect(fifth).toMatchObject({ code: 2, stderr: expect.stringContaining('429') });
  for (const one of open) await one[Symbol.asyncDispose]();
  expect(await cli('tap', '--sink', 'nowhere')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('no sink'),
  });
});

test('an agent that stops ends the tap, which says so', async () => {
  await using looking = await tap();
  await agent.stop();
  expect(await looking.closed).toBe(1);
  expect(looking.err()).toContain('the agent stops');
});
