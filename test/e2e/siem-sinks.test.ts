/** Syslog, Kafka and a rotating file behind a real agent, while receivers and agent are killed. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startAgentProcess } from '../support/agent-process.ts';
import { startGoodClient } from '../support/good-client.ts';
import { testWhere } from '../support/host.ts';
import { hasKafka, startKafka, TOPIC } from '../support/kafka.ts';
import { makeTempDir } from '../support/ledger.ts';
import { hasRsyslog, startRsyslog } from '../support/rsyslog.ts';

const test = testWhere(hasKafka && hasRsyslog, 'rsyslog and librdkafka are not both installed');

test('receivers and agent killed under load: every acked event arrives, but for what rsyslog had read and not written; none is set aside', async () => {
  await using temp = await makeTempDir();
  await using kafka = await startKafka();
  await using rsyslog = await startRsyslog(temp.path);
  const retry = { initial_ms: 20, max_ms: 200 };
  await using agent = await startAgentProcess({
    exporters: {
      'file/r': { path: 'siem/r.ndjson', format: 'native', rotate: { bytes: 65_536 } },
      syslog: { endpoint: rsyslog.endpoint, transport: 'tcp', confirm: true, retry },
      kafka: { brokers: [kafka.broker], topic: TOPIC, transport: 'tcp', format: 'native', retry },
    },
  });
  const client = await startGoodClient(agent, { inFlight: 8 });
  await client.reached(200);
  await kafka.front.stop();
  await client.reached(400);
  await rsyslog.kill();
  await client.reached(600);
  await kafka.front.start();
  await rsyslog.start();
  await agent.kill();
  await agent.start();
  await client.reached(1_200);
  const { acked } = await client.stop();
  await agent.delivered(60_000);

  const { sinks } = await agent.status();
  expect(sinks.map(({ dead_letters }) => dead_letters)).toEqual([0, 0, 0]);
  const ids = acked.map(({ event_id }) => event_id);
  expect(ids.length).toBeGreaterThanOrEqual(1_200);
  const inKafka = new Set(kafka.read().map(({ headers }) => headers['event_id']));
  expect(ids.filter((id) => !inKafka.has(id))).toEqual([]);

  const folder = join(agent.dir, 'siem');
  const names = (await readdir(folder)).toSorted();
  expect(names.length).toBeGreaterThan(5);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  const lines = texts.join('').trimEnd().split('\n');
  const inFiles = lines.map(
    (line) => (JSON.parse(line) as { event: { event_id: string } }).event.event_id,
  );
  expect(new Set(inFiles).size).toBe(inFiles.length);
  const filed = new Set(inFiles);
  expect(ids.filter((id) => !filed.has(id))).toEqual([]);

  // rsyslog may have died with messages that it had read and not written: these it alone has lost.
  const missing = async (): Promise<readonly string[]> => {
    const written = new Set(await rsyslog.ids());
    return ids.filter((id) => !written.has(id));
  };
  const whileItRan = new Set(ids.slice(-500));
  await expect.poll(async () => (await missing()).filter((id) => whileItRan.has(id))).toEqual([]);
  expect((await missing()).length).toBeLessThan(100);
});
