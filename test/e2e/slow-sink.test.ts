/**
 * A SIEM that is a hundred times slower than what is recorded: the ledger grows, the agent's memory does
 * not; acks and the other sinks do not notice; and once the SIEM is well again it gets everything, once.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { residentBytes } from '../../bench/statistics.ts';
import { startAgentProcess } from '../support/agent-process.ts';
import { startElasticsearch } from '../support/elasticsearch.ts';
import { quantile, startGoodClient, type Observation } from '../support/good-client.ts';
import { readDocumentIds, readRecords } from '../support/outcome.ts';

const EVENTS = 12_000;
const STEPS = 8;
const MIB = 1024 * 1024;
const BATCH = 40;
/** How much slower the SIEM is than what this machine records. */
const TIMES = 100;
/** Well below the time-out of the sink. */
const DELAY_MS_MAX = 15_000;

test('a SIEM a hundred times too slow costs disk: memory stays flat, acks and other sinks do not notice, nothing is dropped', async () => {
  await using siem = await startElasticsearch();
  const elasticsearch = { endpoints: [siem.url], batch_records_max: BATCH };
  await using agent = await startAgentProcess({
    isAlone: true,
    exporters: { elasticsearch, 'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' } },
    config: { ledger: { segment_bytes: 4 * MIB, batch_bytes_max: MIB } },
  });
  // As it is with a SIEM that keeps up; the same load warms the agent up.
  const record = async (): Promise<Observation> => {
    const few = await startGoodClient(agent, { inFlight: 32 });
    await few.reached(EVENTS / STEPS);
    return few.stop();
  };
  let startedMs = performance.now();
  const before = await record();
  const slowPerSecond = before.acked.length / ((performance.now() - startedMs) / 1000) / TIMES;
  await agent.delivered(60_000);

  siem.options.delayMs = Math.min((BATCH / slowPerSecond) * 1000, DELAY_MS_MAX);
  startedMs = performance.now();
  const client = await startGoodClient(agent, { inFlight: 32 });
  const resident: number[] = [];
  for (let step = 1; step <= STEPS; step++) {
    await client.reached((EVENTS / STEPS) * step);
    resident.push(residentBytes(agent.pid()));
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const during = await client.stop();

  // The other sink is through at once; the slow one is far behind, and is not said to be down.
  const lagOf = async (name: string): Promise<number> =>
    (await agent.status()).sinks.find((sink) => sink.name === name)?.lag_records ?? -1;
  await expect.poll(() => lagOf('file/ecs')).toBe(0);
  expect(await lagOf('elasticsearch')).toBeGreaterThan(EVENTS * 0.75);
  expect(during.acked.length / seconds, 'far more than it can take').toBeGreaterThan(
    slowPerSecond * 10,
  );

  const [early, late] = [resident.slice(0, STEPS / 2), resident.slice(STEPS / 2)];
  const grown = Math.max(...late) - Math.max(...early);
  expect(
    grown / MIB,
    `MiB: ${resident.map((bytes) => Math.round(bytes / MIB)).join(', ')}`,
  ).toBeLessThan(24);
  expect(during.failed).toEqual([]);

  delete siem.options.delayMs;
  await agent.delivered(60_000);
  // Before and after: others may have come to use the machine meanwhile.
  const after = await record();
  const usual = Math.max(...[before, after].map((one) => quantile(one.latenciesMs, 0.5)));
  expect(quantile(during.latenciesMs, 0.5)).toBeLessThan(usual * 3 + 40);
  await agent.delivered(60_000);
  const ids = (await readRecords(join(agent.dir, 'ledger'))).map(({ event }) => event.event_id);
  // Each is looked up: to compare them all with one another takes seconds.
  const sealed = new Set(ids);
  const acked = [before, during, after].flatMap((one) => one.acked);
  expect(acked.filter(({ event_id }) => !sealed.has(event_id))).toEqual([]);
  expect(siem.eventIds().toSorted()).toEqual(ids.toSorted());
  expect((await readDocumentIds(agent.dir, 'ecs')).toSorted()).toEqual(ids.toSorted());
  expect(siem.violations).toEqual([]);
  expect((await agent.status()).sinks.map(({ dead_letters }) => dead_letters)).toEqual([0, 0]);
});
