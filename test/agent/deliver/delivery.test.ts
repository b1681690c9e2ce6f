import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  startDelivery,
  type Delivery,
  type DeliveryOptions,
} from '../../../agent/deliver/delivery.ts';
import type { DeliveryReport } from '../../../agent/ports.ts';
import type {
  ElasticsearchExporterConfig,
  ExporterConfig,
  FileExporterConfig,
} from '../../../schemas/exporter-config.ts';
import { silentLog } from '../../support/append-stage.ts';
import { startElasticsearch } from '../../support/elasticsearch.ts';
import { writeLedger } from '../../support/delivery.ts';
import { eventually } from '../../support/eventually.ts';
import { makeTempDir } from '../../support/ledger.ts';

/** The thread runs compiled code: `npm test` builds it first. */
const WORKER = new URL('../../../dist/agent/deliver/worker.js', import.meta.url);

const COMMON = {
  batch_records_max: 100,
  batch_bytes_max: 1 << 20,
  timeout_ms: 60_000,
  retry: { initial_ms: 5, max_ms: 20, attempts_max: 0 },
  required: true,
};

const fileExporter = (dir: string, format: FileExporterConfig['format']): FileExporterConfig => ({
  ...COMMON,
  type: 'file',
  name: `file/${format}`,
  path: join(dir, `siem/${format}.ndjson`),
  format,
});

const elasticsearchExporter = (url: string): ElasticsearchExporterConfig => ({
  ...COMMON,
  type: 'elasticsearch',
  name: 'elasticsearch',
  endpoints: [url],
  data_stream: 'logs-sealtrail.audit-default',
  format: 'ecs',
  gzip: true,
});

async function start(
  dataDir: string,
  durable: number,
  exporters: readonly ExporterConfig[],
  over: Partial<DeliveryOptions> = {},
): Promise<Delivery> {
  const started = await startDelivery({
    dataDir,
    exporters,
    durable,
    vocabulary: { version: 1, actions: new Map() },
    agent: { name: 'test', version: '1.0.0' },
    log: silentLog,
    onWorkerFailed: (reason) => expect.unreachable(reason),
    worker: WORKER,
    ...over,
  });
  if (!started.ok) throw new Error(started.error.message);
  return started.value;
}

const linesOf = async (dir: string, name: string): Promise<string[]> =>
  (await readFile(join(dir, `siem/${name}.ndjson`), 'utf8')).trimEnd().split('\n');

test('the thread delivers to every sink; status, drain, reports and a restart say so', async () => {
  await using temp = await makeTempDir();
  const records = await writeLedger(temp.path, 700);
  const exporters = (['ecs', 'ocsf', 'native'] as const).map((format) =>
    fileExporter(temp.path, format),
  );
  const reports: DeliveryReport[] = [];
  const delivery = await start(temp.path, 300, exporters, {
    onReport: (report) => reports.push(report),
  });
  await delivery.drain(20_000);
  expect(
    delivery.status().map(({ name, cursor, lag_records }) => [name, cursor, lag_records]),
  ).toEqual(exporters.map(({ name }) => [name, 300, 0]));
  // What is acked counts as lag from that moment on.
  delivery.notifyDurable(records);
  expect(delivery.status().every(({ lag_records }) => lag_records === records - 300)).toBe(true);
  await delivery.drain(20_000);
  await delivery.stop();
  await delivery.stop();
  for (const format of ['ecs', 'ocsf', 'native']) {
    expect(await linesOf(temp.path, format)).toHaveLength(records);
  }
  const sent = reports.filter(({ sink }) => sink === 'file/ocsf');
  expect(sent.reduce((sum, report) => sum + report.records, 0)).toBe(records);

  const again = await start(temp.path, records, exporters);
  await again.drain(20_000);
  expect(again.status().map(({ state, delivered_total }) => [state, delivered_total])).toEqual(
    exporters.map(() => ['idle', 0]),
  );
  await again.stop();
  expect(await linesOf(temp.path, 'ecs')).toHaveLength(records);
});

test('a sink that is down costs the other nothing; dead letters are listed and sent again by name', async () => {
  await using temp = await makeTempDir();
  const records = await writeLedger(temp.path, 120);
  await using server = await startElasticsearch({ fault: () => ({ kind: 'silence' }) });
  const logged: object[] = [];
  const delivery = await start(
    temp.path,
    records,
    [elasticsearchExporter(server.url), fileExporter(temp.path, 'native')],
    { log: { ...silentLog, error: (fields) => logged.push(fields) } },
  );
  await eventually(() =>
    expect(delivery.status()[1]).toMatchObject({ state: 'idle', lag_records: 0 }),
  );
  expect(delivery.status()[0]).toMatchObject({ cursor: 0, lag_records: records });
  await eventually(() => expect(delivery.status()[0]?.lag_seconds).toBeGreaterThan(0));
  await delivery.stop();

  let count = 0;
  server.options.refuses = () => (count++ % 40 === 0 ? 'no' : null);
  server.options.fault = () => null;
  const again = await start(temp.path, records, [
    elasticsearchExporter(server.url),
    fileExporter(temp.path, 'native'),
  ]);
  await again.drain(20_000);
  const letters = await again.listDeadLetters('elasticsearch');
  expect(letters.length).toBeGreaterThan(2);
  expect(await again.listDeadLetters()).toEqual(letters);
  expect(await again.listDeadLetters(undefined, 2)).toEqual(letters.slice(0, 2));
  expect(await again.listDeadLetters('file/native')).toEqual([]);
  expect(await again.retryDeadLetters('file/native')).toEqual({ delivered: 0, remaining: 0 });
  server.options.refuses = () => null;
  expect(await again.retryDeadLetters()).toEqual({ delivered: letters.length, remaining: 0 });
  await eventually(() => expect(again.status()[0]?.dead_letters).toBe(0));
  await again.stop();
  expect(server.documents.size).toBe(records);
});

test('a thread that cannot begin is an error; one that dies is reported once, and its sinks as stopped', async () => {
  await using temp = await makeTempDir();
  const records = await writeLedger(temp.path, 5);
  const options: DeliveryOptions = {
    dataDir: temp.path,
    exporters: [fileExporter(temp.path, 'native')],
    durable: records,
    vocabulary: { version: 1, actions: new Map() },
    agent: { name: 'test', version: '1.0.0' },
    log: silentLog,
    onWorkerFailed: () => undefined,
    worker: WORKER,
  };
  const missing = await startDelivery({ ...options, worker: new URL('missing.js', WORKER) });
  expect(missing).toMatchObject({ ok: false, error: { kind: 'worker' } });

  // A thread that says it is ready and then fails, as one with a bug would.
  const code = `import { parentPort } from 'node:worker_threads';
    parentPort.postMessage({ kind: 'sinks', sinks: [{ name: 'a', state: 'idle', cursor: 0, oldest_ms: null }] });
    parentPort.postMessage({ kind: 'ready' });
    parentPort.once('message', () => { throw new Error('bug'); });`;
  const reasons: string[] = [];
  const started = await startDelivery({
    ...options,
    worker: new URL(`data:text/javascript,${encodeURIComponent(code)}`),
    onWorkerFailed: (reason) => reasons.push(reason),
  });
  if (!started.ok) throw new Error(started.error.message);
  await expect(started.value.listDeadLetters()).rejects.toThrow('the delivery thread has ended');
  expect(reasons).toEqual(['the delivery thread failed: bug']);
  expect(started.value.status()).toMatchObject([{ state: 'stopped', last_error: reasons[0] }]);
  await started.value.drain(60_000);
  await started.value.stop();
});
