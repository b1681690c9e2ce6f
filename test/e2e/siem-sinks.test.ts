/** Syslog, Kafka and a rotating file behind a real agent, while receivers and agent are killed. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { SinkStatus } from '../../agent/status-ports.ts';
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
      // A batch is never divided: one as large as a loaded machine makes it would be a file of its own.
      'file/r': {
        ...{ path: 'siem/r.ndjson', format: 'native', rotate: { bytes: 65_536 } },
        batch_records_max: 50,
      },
      syslog: { endpoint: rsyslog.endpoint, transport: 'tcp', confirm: true, retry },
      kafka: { brokers: [kafka.broker], topic: TOPIC, transport: 'tcp', format: 'native', retry },
    },
  });
  const client = await startGoodClient(agent, { inFlight: 8 });
  // However far it has come by now.
  const more = (count: number): Promise<void> => client.reached(client.audit.stats().acked + count);
  const syslog = async (): Promise<SinkStatus | undefined> =>
    (await agent.status()).sinks.find(({ name }) => name === 'syslog');
  await more(200);
  await kafka.front.stop();
  await more(200);
  await rsyslog.kill();
  const written = await rsyslog.ids();
  await expect.poll(async () => (await syslog())?.state).toBe('retrying');
  const confirmed = (await syslog())?.cursor ?? 0;
  await more(200);
  await kafka.front.start();
  await rsyslog.start();
  await agent.kill();
  await agent.start();
  await more(600);
  const { acked } = await client.stop();
  await agent.delivered(60_000);

  const { sinks } = await agent.status();
  expect(sinks.map(({ dead_letters }) => dead_letters)).toEqual([0, 0, 0]);
  const ids = acked.map(({ event_id }) => event_id);
  expect(ids.length).toBeGreaterThanOrEqual(1_200);
  const inKafka = new Set(kafka.read().map(({ headers }) => headers['event_id']));
  expect(ids.filter((id) => !inKafka.has(id))).toEqual([]);

  const folder = join(agent.dir, 'siem');
  // The file in use is the newest, and has the shortest name: `r.ndjson.00000001` was rotated away.
  const rotated = (await readdir(folder)).filter((name) => name !== 'r.ndjson').toSorted();
  const names = [...rotated, 'r.ndjson'];
  expect(names.length).toBeGreaterThan(5);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  const lines = texts.join('').trimEnd().split('\n');
  const inFiles = lines.map(
    (line) => (JSON.parse(line) as { event: { event_id: string } }).event.event_id,
  );
  expect(new Set(inFiles).size).toBe(inFiles.length);
  const filed = new Set(inFiles);
  expect(ids.filter((id) => !filed.has(id))).toEqual([]);

  // rsyslog may have died with messages that it had read and not written: these it alone has lost. They are
  // newer than all that it had written, and older than what it had not confirmed to have read.
  const lastWritten = Math.max(...written.map((id) => inFiles.indexOf(id)));
  const mayBeLost = new Set(inFiles.slice(lastWritten + 1, confirmed));
  const missing = async (): Promise<readonly string[]> => {
    const arrived = new Set(await rsyslog.ids());
    return inFiles.filter((id) => !arrived.has(id) && !mayBeLost.has(id));
  };
  await expect.poll(missing).toEqual([]);
});
