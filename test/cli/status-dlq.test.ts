/** `sealtrail status` and `sealtrail dlq` against a running agent, one of whose sinks refuses documents. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DeadLetter } from '../../agent/ports.ts';
import type { AgentStatus } from '../../agent/status-ports.ts';
import { runCli, startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { startElasticsearch, type FakeElasticsearch } from '../support/elasticsearch.ts';
import { makeTempDir } from '../support/ledger.ts';
import { connectRaw } from '../support/raw-client.ts';
import { makeEvent } from '../support/events.ts';

const POISON = 'c-poison';
const POISONED = [2, 5, 6];
const EVENTS = 8;

let siem: FakeElasticsearch;
let agent: AgentProcess;

beforeAll(async () => {
  siem = await startElasticsearch({
    refuses: (document) =>
      JSON.stringify(document).includes(POISON) ? `failed to parse '${POISON}'` : null,
  });
  agent = await startAgentProcess({
    exporters: {
      elasticsearch: { endpoints: [siem.url] },
      'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' },
    },
  });
  using client = await connectRaw(agent.socketPath);
  await client.greet();
  const lines = Array.from({ length: EVENTS }, (_, n) => {
    const id = POISONED.includes(n) ? POISON : `c-${n}`;
    return JSON.stringify(makeEvent({ resource: { type: 'customer', id, tenant_id: 'acme' } }));
  });
  await client.batch([...lines, 'no event'], 0);
  await agent.delivered();
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await siem[Symbol.asyncDispose]();
});

const cli = (...args: string[]) => runCli([...args, '--data-dir', agent.dir]);

test('status shows head, lag of each sink, queue, last fsync and last error, as a table and as JSON', async () => {
  const json = await cli('status', '--json');
  expect(json.code).toBe(0);
  const status = JSON.parse(json.stdout) as AgentStatus;
  expect(status).toMatchObject({
    agent: 'test',
    pid: agent.pid(),
    acks_total: EVENTS,
    nacks_total: { malformed: 1 },
    append: { state: 'ready', queue_events: 0, last_fsync_ms: expect.any(Number) },
    sinks: [
      { name: 'elasticsearch', lag_records: 0, dead_letters: POISONED.length },
      { name: 'file/ecs', lag_records: 0, dead_letters: 0 },
    ],
  });

  const table = await cli('status');
  expect(table.code).toBe(0);
  const { append } = status;
  expect(table.stdout).toMatch(new RegExp(`^ledger +${append.records} records`, 'm'));
  expect(table.stdout).toMatch(/^disk +\d+\.\d % of the file system used, \d.* left/m);
  expect(table.stdout).toMatch(/^queue +0 of \d+ events$/m);
  expect(table.stdout).toMatch(/^last fsync +\d+\.\d\d ms at \d{4}-/m);
  expect(table.stdout).toMatch(/^refused +malformed 1$/m);
  expect(table.stdout).toMatch(/^checkpoints +\w+, \d+ records under none yet, /m);
  expect(table.stdout).toMatch(/^last error +/m);
  expect(table.stdout).toMatch(/^SINK +STATE +CURSOR +LAG +/m);
  expect(table.stdout).toMatch(/^file\/ecs +idle +\d+ +0 /m);
  for (const { stream, head_hash, next_seq } of append.streams)
    expect(table.stdout).toMatch(
      new RegExp(` ${next_seq} +${head_hash.slice(0, 12)}… +${stream}$`, 'm'),
    );
});

test('dlq list names sink, record and reason of each dead letter, without what was in the event', async () => {
  const listed = await cli('dlq', 'list', '--json');
  expect(listed.code, 'there are some').toBe(1);
  const letters = listed.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as DeadLetter);
  expect(letters).toHaveLength(POISONED.length);
  for (const letter of letters)
    expect(letter).toMatchObject({
      sink: 'elasticsearch',
      event_id: expect.stringMatching(/^[0-9A-Z]{26}$/),
      stream: expect.stringContaining('sealtrail/test/'),
      seq: expect.any(Number),
      reason: expect.stringMatching(/400|document_parsing_exception|mapper/),
    });
  expect(listed.stdout).not.toContain(POISON);

  const text = await cli('dlq', 'list', '--sink', 'elasticsearch', '--limit', '2');
  expect(text.stdout.trimEnd().split('\n')).toHaveLength(2);
  expect(text.stdout).toContain(letters[0]!.event_id);
  const other = await cli('dlq', 'list', '--sink', 'file/ecs');
  expect(other).toMatchObject({ code: 0, stdout: 'no dead letters\n' });
});

test('dlq retry keeps what is refused again, and delivers it once the sink takes it', async () => {
  const refused = await cli('dlq', 'retry');
  expect(refused).toMatchObject({ code: 1, stdout: `0 delivered, ${POISONED.length} stay\n` });
  expect(siem.documents.size).toBe((await agent.status()).append.records - POISONED.length);

  delete siem.options.refuses;
  const taken = await cli('dlq', 'retry', '--sink', 'elasticsearch', '--json');
  expect(taken.code).toBe(0);
  expect(JSON.parse(taken.stdout)).toEqual({ delivered: POISONED.length, remaining: 0 });
  expect(siem.documents.size).toBe((await agent.status()).append.records);
  expect(siem.violations).toEqual([]);
  expect(await cli('dlq', 'list')).toMatchObject({ code: 0, stdout: 'no dead letters\n' });
});

test('without an agent, status and dlq say so, name the directory, and exit with 2', async () => {
  await using temp = await makeTempDir();
  for (const args of [['status'], ['status', '--json'], ['dlq', 'list'], ['dlq', 'retry']]) {
    const ran = await runCli([...args, '--data-dir', temp.path]);
    expect(ran.code).toBe(2);
    expect(ran.stdout).toBe('');
    expect(ran.stderr).toContain(`no agent runs on ${temp.path}`);
  }
});
