/** A best-effort sink with a bound, in the real agent: what it skips is in the ledger, and everybody else has it. */
import { expect, test } from 'vitest';
import { startAgentProcess } from '../support/agent-process.ts';
import { startGoodClient } from '../support/good-client.ts';
import { readLines } from '../support/outcome.ts';
import { startWebhookPeer, WEBHOOK_SECRET } from '../support/sink-peers.ts';
import { join } from 'node:path';

test('a webhook that is down longer than its bound skips, the skip is an audit event, the rest arrives', async () => {
  await using peer = await startWebhookPeer();
  peer.setFault({ kind: 'status', status: 503 });
  await using agent = await startAgentProcess({
    exporters: {
      'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs' },
      webhook: {
        endpoints: [peer.url],
        secret: WEBHOOK_SECRET,
        required: false,
        bound: { records: 100 },
        retry: { initial_ms: 5, max_ms: 20 },
      },
    },
  });
  const client = await startGoodClient(agent, { inFlight: 4 });
  await client.reached(400);
  const { acked, failed } = await client.stop();
  expect(failed).toEqual([]);
  const webhook = async (): Promise<number> =>
    (await agent.status()).sinks.find(({ name }) => name === 'webhook')?.lag_records ?? -1;
  await expect.poll(webhook).toBeLessThanOrEqual(100);
  peer.setFault(null);
  await agent.delivered();

  const lines = await readLines<Document>(join(agent.dir, 'siem/ecs.ndjson'));
  const skips = lines.filter(({ event }) => event.action === 'delivery.skipped');
  expect(skips.length).toBeGreaterThan(0);
  const skipped = skips.reduce((sum, { sealtrail }) => sum + sealtrail.metadata.count, 0);
  for (const { sealtrail } of skips) {
    const { from, to, count, limit } = sealtrail.metadata;
    expect({ id: sealtrail.resource.id, count, limit }).toEqual({
      id: 'webhook',
      count: to - from + 1,
      limit: 'records',
    });
  }
  const arrived = new Set(peer.stored);
  // The file has every record, the webhook all but those that the ledger says it skipped.
  expect(lines).toHaveLength(arrived.size + skipped);
  expect(acked.length).toBeGreaterThan(300);
  // An earlier one may be among what a later one tells of.
  expect(arrived.has(skips.at(-1)?.event.id ?? '')).toBe(true);
  expect(peer.violations).toEqual([]);
  const { sinks } = await agent.status();
  expect(sinks.map(({ dead_letters }) => dead_letters)).toEqual([0, 0]);
  // No event of the trail, no count, and the other way round.
  expect(sinks.map(({ skipped_total }) => skipped_total)).toEqual([0, skipped]);
});

interface Document {
  readonly event: { readonly id: string; readonly action: string };
  readonly sealtrail: {
    readonly resource: { readonly id: string };
    readonly metadata: {
      readonly from: number;
      readonly to: number;
      readonly count: number;
      readonly limit: string;
    };
  };
}
