import { expect, test } from 'vitest';
import { createSplunkSink } from '../../../../agent/deliver/sinks/splunk.ts';
import type { DeliveryResult, Sink } from '../../../../agent/ports.ts';
import type { SplunkExporterConfig } from '../../../../schemas/exporter-config.ts';
import { DELIVERED } from '../../../support/delivery.ts';
import { startHttpPeer } from '../../../support/http-peer.ts';
import { HEC_TOKEN, startSplunkPeer } from '../../../support/sink-peers.ts';
import {
  openTestSink,
  sealedRecords,
  send,
  sendAll,
  SINK_BASE,
  testFormat,
} from '../../../support/sinks.ts';

const records = sealedRecords(10);
const ids = records.map(({ event }) => event.event_id);

function configOf(url: string, over: Partial<SplunkExporterConfig> = {}): SplunkExporterConfig {
  return {
    ...SINK_BASE,
    name: 'splunk',
    type: 'splunk',
    endpoints: [url],
    token: HEC_TOKEN,
    format: 'ecs',
    source: 'sealtrail',
    sourcetype: '_json',
    acknowledge: true,
    ack_timeout_ms: 300,
    gzip: true,
    ...over,
  };
}

const open = (
  url: string,
  over: Partial<SplunkExporterConfig> = {},
): Promise<Sink & AsyncDisposable> => openTestSink(configOf(url, over));

test('a batch is confirmed when the indexers acknowledge it, and not before', async () => {
  await using peer = await startSplunkPeer();
  await using sink = await open(peer.url, { ack_timeout_ms: 10_000 });
  peer.setIndexing(false);
  let isDone = false;
  const delivering = send(sink, records).then((result) => {
    isDone = true;
    return result;
  });
  await expect.poll(peer.polls).toBeGreaterThan(2);
  expect([isDone, peer.stored]).toEqual([false, []]);
  peer.setIndexing(true);
  expect(await delivering).toEqual(DELIVERED);
  expect(peer.stored).toEqual(ids);
  expect(peer.violations).toEqual([]);
});

test('what is not acknowledged in time goes again, on a channel of its own', async () => {
  await using peer = await startSplunkPeer();
  await using sink = await open(peer.url);
  peer.setIndexing(false);
  expect(await send(sink, records)).toEqual({
    kind: 'failed',
    reason: 'the indexers did not acknowledge within 300 ms',
  });
  peer.setIndexing(true);
  // With so short a wait a busy machine may need more than one try.
  let tries = 1;
  const again = (): Promise<DeliveryResult> => {
    tries += 1;
    return send(sink, records);
  };
  await expect.poll(again).toEqual(DELIVERED);
  expect(peer.channels.size).toBe(tries);
  expect([...new Set(peer.stored)]).toEqual(ids);
});

test('a clock that is set back does not stretch the wait for an acknowledgement', async () => {
  await using peer = await startSplunkPeer();
  peer.setIndexing(false);
  let nowMs = Date.now();
  const sink = createSplunkSink(configOf(peer.url), testFormat('ecs'), () => (nowMs -= 60_000));
  expect(await send(sink, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('did not acknowledge'),
  });
  await sink.close();
});

test('a server that forgot its acknowledgements in a restart confirms nothing', async () => {
  await using peer = await startSplunkPeer();
  await using sink = await open(peer.url, { ack_timeout_ms: 2_000 });
  peer.setIndexing(false);
  const delivering = send(sink, records);
  await expect.poll(peer.polls).toBeGreaterThan(0);
  peer.restart();
  peer.setIndexing(true);
  expect(await delivering).toMatchObject({ kind: 'failed' });
  expect(peer.stored).toEqual([]);
  await expect.poll(() => send(sink, records)).toEqual(DELIVERED);
  expect([...new Set(peer.stored)]).toEqual(ids);
});

test('a token without indexer acknowledgement is said to be one, and works when that is what is wanted', async () => {
  await using peer = await startHttpPeer({
    handle: ({ url }) =>
      url.pathname.endsWith('/event')
        ? { status: 200, body: '{"text":"Success","code":0}' }
        : 'asked for an acknowledgement',
  });
  await using strict = await open(peer.url);
  expect(await send(strict, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('set acknowledge: false'),
  });
  await using loose = await open(peer.url, { acknowledge: false });
  expect(await send(loose, records)).toEqual(DELIVERED);
  expect(peer.violations).toEqual([]);
});

test.each([
  [
    'an index that it may not write to',
    400,
    '{"text":"Incorrect index","code":7,"invalid-event-number":1}',
  ],
  ['a page of a proxy', 200, '<html>Welcome</html>'],
  ['half an answer', 200, '{"text":"Success","co'],
  ['a code that is no success', 200, '{"text":"Server is busy","code":9}'],
])('%s fails the batch and is no verdict on a record', async (_, status, body) => {
  await using peer = await startHttpPeer({ handle: () => ({ status, body }) });
  await using sink = await open(peer.url);
  expect(await send(sink, records)).toMatchObject({ kind: 'failed' });
});

test.each([
  ['no number', ''],
  ['a number beyond the batch', ',"invalid-event-number":10'],
])(
  'a verdict on an event with %s is one on the batch: it goes in halves, and only the event itself is poison',
  async (_, number) => {
    const bad = records[4]?.event.event_id ?? '';
    const stored: string[] = [];
    await using peer = await startHttpPeer({
      handle: ({ body }) => {
        const text = body.toString('utf8');
        if (text.includes(bad))
          return { status: 400, body: `{"text":"Invalid data format","code":6${number}}` };
        stored.push(...ids.filter((id) => text.includes(id)));
        return { status: 200, body: '{"text":"Success","code":0}' };
      },
    });
    await using sink = await open(peer.url, { acknowledge: false });
    const tried = await sendAll(sink, records);
    expect(tried.again).toEqual([]);
    expect(tried.poison.map(({ record, reason }) => [record.event.event_id, reason])).toEqual([
      [bad, 'invalid data format (code 6)'],
    ]);
    expect(new Set(stored)).toEqual(new Set(ids.filter((id) => id !== bad)));
  },
);

test('a server that cannot gunzip finds fault with every event: they go as they are, and none is poison', async () => {
  const stored: string[] = [];
  await using peer = await startHttpPeer({
    handle: ({ headers, body }) => {
      if (headers['content-encoding'] !== undefined)
        return {
          status: 400,
          body: '{"text":"Invalid data format","code":6,"invalid-event-number":0}',
        };
      stored.push(...ids.filter((id) => body.includes(id)));
      return { status: 200, body: '{"text":"Success","code":0}' };
    },
  });
  await using sink = await open(peer.url, { acknowledge: false });
  expect(await send(sink, records)).toEqual(DELIVERED);
  expect(stored).toEqual(ids);
});

test.each([
  ['another number', '{"acks":{"8":true}}'],
  ['a word', '{"acks":{"7":"true"}}'],
  ['none', '{"acks":{}}'],
  ['nothing', ''],
])('an answer about acknowledgements that tells %s confirms nothing', async (_, body) => {
  await using peer = await startHttpPeer({
    handle: ({ url }) => ({
      status: 200,
      body: url.pathname.endsWith('/ack') ? body : '{"text":"Success","code":0,"ackId":7}',
    }),
  });
  await using sink = await open(peer.url);
  expect(await send(sink, records)).toEqual({
    kind: 'failed',
    reason: 'the answer does not tell whether the indexers have the events',
  });
});

test('stopping ends a wait for an acknowledgement', async () => {
  await using peer = await startSplunkPeer();
  await using sink = await open(peer.url, { ack_timeout_ms: 60_000 });
  peer.setIndexing(false);
  const stopping = new AbortController();
  const delivering = send(sink, records, stopping.signal);
  await expect.poll(peer.polls).toBeGreaterThan(0);
  stopping.abort();
  expect(await delivering).toEqual({ kind: 'failed', reason: 'stopped' });
});
