/** Task 20: many tenants, no event dropped. What later steps build is listed, not here. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { startAgentProcess } from '../support/agent-process.ts';
import { startElasticsearch } from '../support/elasticsearch.ts';
import { startGoodClient } from '../support/good-client.ts';
import { readRecords } from '../support/outcome.ts';
import { describeTask } from './criterion.ts';

const ROOT = join(import.meta.dirname, '../..');
const EVENTS = 3_000;
/** What telemetry does, each to be named and answered. */
const SHORTCUTS = [
  'sampling',
  'load shedding',
  'ring buffer',
  'limit on retries',
  'overwrite the oldest',
  'deduplicate or aggregate',
  'fire and forget',
  'severity filters',
];

describeTask(20, (criterion) => {
  criterion('a slow SIEM makes the pipeline buffer, not drop', async (say) => {
    await using siem = await startElasticsearch({ delayMs: 200 });
    await using agent = await startAgentProcess({
      exporters: { elasticsearch: { endpoints: [siem.url], batch_records_max: 10 } },
    });
    const client = await startGoodClient(agent, { inFlight: 32 });
    await client.reached(EVENTS);
    const { acked, failed } = await client.stop();
    expect(failed).toEqual([]);
    const buffered = (await agent.status()).sinks[0]?.lag_records ?? 0;
    expect(buffered, 'what the SIEM has not taken waits in the ledger').toBeGreaterThan(EVENTS / 2);
    expect(buffered + siem.documents.size).toBeGreaterThanOrEqual(acked.length);

    // Not even a crash of the agent empties the buffer.
    await agent.kill();
    await agent.start();
    delete siem.options.delayMs;
    await agent.delivered(60_000);
    const ids = (await readRecords(join(agent.dir, 'ledger'))).map(({ event }) => event.event_id);
    expect(ids).toEqual(expect.arrayContaining(acked.map(({ event_id }) => event_id)));
    expect([...siem.documents.keys()].sort()).toEqual(ids.toSorted());
    say(`${buffered} of ${acked.length} events buffered, all of them delivered once`);
  });

  criterion('it is defended why every drop-the-event shortcut is forbidden', (say) => {
    const text = readFileSync(join(ROOT, 'docs/GUARANTEES.md'), 'utf8');
    const section = /^## Why nothing is dropped$([^]*?)^## /m.exec(text)?.[1] ?? '';
    const rows = section
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(2);
    for (const shortcut of SHORTCUTS) {
      const cells = rows.find((row) => row.split(' | ')[0]?.includes(shortcut))?.split(' | ');
      expect(cells, shortcut).toHaveLength(4);
      const [, why = '', instead = '', shown = ''] = cells ?? [];
      expect(why.length, `${shortcut}: why`).toBeGreaterThan(40);
      expect(instead.length, `${shortcut}: what happens instead`).toBeGreaterThan(20);
      // Each answer is held by tests that exist.
      const tests = [...shown.matchAll(/`(test\/[^`]+)`/g)].map((match) => match[1] ?? '');
      expect(tests.length, `${shortcut}: shown by`).toBeGreaterThan(0);
      for (const path of tests) expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
    expect(section).toContain('What gives way is time and availability');
    say(`${rows.length} shortcuts answered in docs/GUARANTEES.md`);
  });
});
