/** An Elasticsearch that says 201 or 200 to documents which no search of the data stream will show. */
import { expect, test } from 'vitest';
import type { DeliveryRecord } from '../../../../agent/ports.ts';
import { DELIVERED } from '../../../support/delivery.ts';
import { openElasticsearchSink } from '../../../support/elasticsearch-sink.ts';
import { startElasticsearch } from '../../../support/elasticsearch.ts';
import { sealedRecords, send } from '../../../support/sinks.ts';

const records = sealedRecords(6);

const isOf =
  ({ event }: DeliveryRecord) =>
  (document: Readonly<Record<string, unknown>>) =>
    (document['event'] as { id: string }).id === event.event_id;

test('a document that went into the failure store is a dead letter, and the others of its batch are stored', async () => {
  const isFaulty = isOf(records[2]!);
  await using server = await startElasticsearch({
    hasFailureStore: true,
    refuses: (document) => (isFaulty(document) ? 'it does not fit' : null),
  });
  await using sink = openElasticsearchSink([server.url]);
  const poison = [{ index: 2, reason: expect.stringContaining('failure store') }];
  expect(await send(sink, records)).toEqual({ kind: 'delivered', retry: [], poison });
  expect(server.documents.size).toBe(5);
  // With the mapping mended it goes where it belongs.
  server.options.hasFailureStore = false;
  delete server.options.refuses;
  expect(await send(sink, records.slice(2, 3))).toEqual(DELIVERED);
  expect(server.documents.size).toBe(6);
  expect(server.violations).toEqual([]);
});

test('a document that a pipeline drops is a dead letter, and one that is there already is not', async () => {
  await using server = await startElasticsearch();
  await using sink = openElasticsearchSink([server.url]);
  expect(await send(sink, records.slice(0, 3))).toEqual(DELIVERED);
  server.options.drops = isOf(records[4]!);
  const poison = [{ index: 4, reason: expect.stringContaining('dropped by a pipeline') }];
  expect(await send(sink, records)).toEqual({ kind: 'delivered', retry: [], poison });
  expect(server.documents.size).toBe(5);
});
