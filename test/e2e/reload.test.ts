/** SIGHUP at the real agent: what is applied, what is said, and that nothing is lost on the way. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ReloadReport } from '../../agent/ports.ts';
import {
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
} from '../support/agent-process.ts';
import { until } from '../support/agent-peer.ts';
import { startElasticsearch } from '../support/elasticsearch.ts';
import { makeEvent } from '../support/events.ts';
import { startGoodClient } from '../support/good-client.ts';
import { readRecords } from '../support/outcome.ts';
import { connectRaw } from '../support/raw-client.ts';

const ECS = { path: 'siem/ecs.ndjson', format: 'ecs' };
const PASSWORD = 'correct-horse-battery';

interface File {
  exporters: Record<string, object>;
  tenants: { id: string }[];
  ledger?: object;
  agent: { vocabulary_file: string };
  service: { pipelines: { audit: { exporters: string[] } }; telemetry: { log_level: string } };
}

async function rewrite(agent: AgentProcess, change: (file: File) => void): Promise<void> {
  const file = JSON.parse(await readFile(agent.configFile, 'utf8')) as File;
  change(file);
  file.service.pipelines.audit.exporters = Object.keys(file.exporters);
  await writeFile(agent.configFile, JSON.stringify(file));
}

/** Sends SIGHUP and waits until the log has as many lines with this text as it then should. */
async function hangUp(
  agent: AgentProcess,
  text = 'the configuration was read again',
): Promise<void> {
  const count = (): number => agent.output().split(text).length;
  const before = count();
  process.kill(agent.pid(), 'SIGHUP');
  await until(() => count() > before, `"${text}" in the log`);
}

async function send(agent: AgentProcess, tenant: string, id: string): Promise<string> {
  using client = await connectRaw(agent.socketPath);
  await client.greet();
  const event = makeEvent({ resource: { type: 'customer', id, tenant_id: tenant } });
  const ack = await client.batch([JSON.stringify(event)], 0);
  return ack.rejected[0]?.kind ?? 'acked';
}

const documentsOf = async (agent: AgentProcess, name: string): Promise<string[]> =>
  (await readFile(join(agent.dir, name), 'utf8')).trimEnd().split('\n');

test('SIGHUP applies tenants, exporters and log level while events come in; the reload is an audit event without values', async () => {
  await using siem = await startElasticsearch();
  await using agent = await startAgentProcess({ exporters: { 'file/ecs': ECS } });
  const pid = agent.pid();
  const client = await startGoodClient(agent, { inFlight: 32 });
  await client.reached(200);
  expect(await send(agent, 'initech', 'c-1')).toBe('unknown_tenant');
  await rewrite(agent, (file) => {
    file.tenants.push({ id: 'initech' });
    file.exporters['file/ecs'] = { ...ECS, timeout_ms: 5_000 };
    file.exporters['elasticsearch'] = { endpoints: [siem.url], username: 'u', password: PASSWORD };
    file.ledger = { segment_bytes: 128 * 1024 * 1024 };
    file.service.telemetry.log_level = 'debug';
  });
  await hangUp(agent);
  expect(await send(agent, 'initech', 'c-2')).toBe('acked');
  await client.reached(client.audit.stats().acked + 200);
  const observed = await client.stop();
  expect(observed.failed, 'the client noticed nothing').toEqual([]);
  expect(agent.pid(), 'the same process').toBe(pid);
  await agent.delivered();

  const records = await readRecords(join(agent.dir, 'ledger'));
  const reloads = records.filter(({ event }) => event.event.action === 'agent.reloaded');
  expect(reloads.map(({ event }) => event.metadata)).toEqual([
    {
      applied: expect.arrayContaining([
        'tenants',
        'exporters.file/ecs',
        'exporters.elasticsearch',
        'service.telemetry.log_level',
      ]),
      needs_restart: ['ledger.segment_bytes'],
    },
  ]);
  expect(siem.documents.size, 'a new sink gets everything from the start').toBe(records.length);
  const ids = (await documentsOf(agent, 'siem/ecs.ndjson')).map(
    (line) => (JSON.parse(line) as { event: { id: string } }).event.id,
  );
  expect(ids, 'a sink that was begun again doubles and loses nothing').toEqual(
    records.map(({ event }) => event.event_id),
  );
  expect(agent.output()).toMatch(/"needs_restart":"ledger.segment_bytes".*need a restart/);
  expect(agent.output(), 'no value of a secret').not.toContain(PASSWORD);
});

test('a configuration with a fault changes nothing, is reported by line, and ends nobody', async () => {
  await using agent = await startAgentProcess({ exporters: { 'file/ecs': ECS } });
  const before = await readFile(agent.configFile, 'utf8');
  await rewrite(agent, (file) => {
    file.tenants.push({ id: 'initech' });
    file.exporters['file/ecs'] = { path: 'siem/ecs.ndjson', fromat: 'ecs' };
  });
  await hangUp(agent, 'was not reloaded');
  expect(agent.output()).toMatch(/sealtrail\.yaml:\d+:\d+: \/exporters\/file~1ecs/);
  expect(await send(agent, 'initech', 'c-1'), 'the sound part is not applied either').toBe(
    'unknown_tenant',
  );
  const asked = await runCli(['config', 'reload', '--dry-run', '--data-dir', agent.dir]);
  expect(asked.code).toBe(1);
  expect(asked.stderr).toContain('nothing is changed');
  await writeFile(agent.configFile, before);
  await hangUp(agent);
  const actions = (await readRecords(join(agent.dir, 'ledger'))).map(
    ({ event }) => event.event.action,
  );
  expect(
    actions.filter((action) => action === 'agent.reloaded'),
    'only the sound one',
  ).toHaveLength(1);
});

test('config reload --dry-run says what a reload would do, and config reload does it', async () => {
  await using agent = await startAgentProcess({ exporters: { 'file/ecs': ECS } });
  const cli = async (...args: string[]): Promise<{ code: number | null; report: ReloadReport }> => {
    const { code, stdout } = await runCli([
      'config',
      'reload',
      '--json',
      '--data-dir',
      agent.dir,
      ...args,
    ]);
    return { code, report: JSON.parse(stdout) as ReloadReport };
  };
  await rewrite(agent, (file) => file.tenants.push({ id: 'initech' }));
  const wanted = { ok: true, faults: [], applied: ['tenants'], needs_restart: [] };
  expect(await cli('--dry-run')).toEqual({ code: 0, report: wanted });
  expect(await send(agent, 'initech', 'c-1'), 'it only said so').toBe('unknown_tenant');
  expect(await cli()).toEqual({ code: 0, report: wanted });
  expect(await send(agent, 'initech', 'c-2')).toBe('acked');
  expect(await cli('--dry-run')).toEqual({ code: 0, report: { ...wanted, applied: [] } });
});

test('a new vocabulary is in force at once: for admission, for mapping, for emit', async () => {
  await using agent = await startAgentProcess({ exporters: { 'file/ecs': ECS } });
  const words = JSON.parse(await readFile(VOCABULARY, 'utf8')) as { actions: { action: string }[] };
  const login = words.actions.find(({ action }) => action === 'user.login');
  words.actions.push({ ...login!, action: 'badge.swipe' });
  const own = join(agent.dir, 'own.json');
  await writeFile(own, JSON.stringify(words));
  const line = `{"action":"badge.swipe","outcome":"success","actor":{"type":"user","id":"u","name":"A"},"resource":{"type":"session","id":"s"}}\n`;
  const emit = () => runCli(['emit', '--data-dir', agent.dir], { input: line });
  expect((await emit()).code).toBe(1);
  await rewrite(agent, (file) => (file.agent.vocabulary_file = own));
  await hangUp(agent);
  expect((await emit()).code).toBe(0);
  await agent.delivered();
  const documents = await documentsOf(agent, 'siem/ecs.ndjson');
  expect(documents.filter((text) => text.includes('badge.swipe'))).toHaveLength(1);
});

test('a sink that is taken away is gone from status and metrics, and goes on where it was when it comes back', async () => {
  await using agent = await startAgentProcess({
    exporters: { 'file/ecs': ECS, 'file/native': { path: 'siem/native.ndjson', format: 'native' } },
  });
  await send(agent, 'acme', 'c-1');
  await agent.delivered();
  await rewrite(agent, (file) => delete file.exporters['file/native']);
  await hangUp(agent);
  expect((await agent.status()).sinks.map(({ name }) => name)).toEqual(['file/ecs']);
  expect(await (await fetch(`${agent.adminUrl}/metrics`)).text()).not.toContain(
    'sink="file/native",state',
  );
  await send(agent, 'acme', 'c-2');
  await rewrite(
    agent,
    (file) => (file.exporters['file/native'] = { path: 'siem/native.ndjson', format: 'native' }),
  );
  await hangUp(agent);
  await agent.delivered();
  const records = await readRecords(join(agent.dir, 'ledger'));
  expect(await documentsOf(agent, 'siem/native.ndjson')).toHaveLength(records.length);
});
