import { expect, test } from 'vitest';
import { signWebhook } from '../../../../agent/deliver/sinks/webhook.ts';
import type { Sink } from '../../../../agent/ports.ts';
import type { WebhookExporterConfig } from '../../../../schemas/exporter-config.ts';
import { DELIVERED } from '../../../support/delivery.ts';
import { startHttpPeer, type PeerAnswer, type PeerRequest } from '../../../support/http-peer.ts';
import { startWebhookPeer, WEBHOOK_SECRET } from '../../../support/sink-peers.ts';
import { openTestSink, sealedRecords, send, SINK_BASE } from '../../../support/sinks.ts';

const records = sealedRecords(6);

function open(
  url: string,
  over: Partial<WebhookExporterConfig> = {},
): Promise<Sink & AsyncDisposable> {
  return openTestSink({
    ...SINK_BASE,
    name: 'webhook',
    type: 'webhook',
    endpoints: [url],
    secret: WEBHOOK_SECRET,
    encoding: 'ndjson',
    format: 'native',
    headers: {},
    gzip: false,
    ...over,
  });
}

test('the signature is the one that Standard Webhooks publishes as its example', () => {
  const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
  const headers = signWebhook(
    key,
    'msg_p5jXN8AQM9LWM0D4loKWxJek',
    1614265330,
    '{"test": 2432232314}',
  );
  expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('a receiver with another secret takes nothing, and nothing is a dead letter', async () => {
  await using peer = await startWebhookPeer();
  await using wrong = await open(peer.url, { secret: 'another secret of some length' });
  expect(await send(wrong, records)).toMatchObject({ kind: 'failed' });
  expect(peer.violations).toEqual(['webhook-signature']);
  await using right = await open(`${peer.url}/hooks/audit`);
  expect(await send(right, records)).toEqual(DELIVERED);
  expect(peer.stored).toHaveLength(records.length);
});

test('webhook-id stays the same when a batch goes again, so that the receiver can tell', async () => {
  const seen: (string | undefined)[] = [];
  await using peer = await startHttpPeer({
    handle: ({ headers, url }) => {
      seen.push(headers['webhook-id'] as string | undefined, url.pathname);
      return { status: 204, body: '' };
    },
  });
  await using sink = await open(`${peer.url}/hooks/audit`, { headers: { 'x-team': 'a' } });
  expect(await send(sink, records)).toEqual(DELIVERED);
  await send(sink, records);
  expect(seen[0]).toMatch(/^msg_/);
  expect(seen).toEqual([seen[0], '/hooks/audit', seen[0], '/hooks/audit']);
});

test.each([
  ['', '/'],
  ['/', '/'],
  ['/hooks/audit/', '/hooks/audit/'],
  ['/hooks/a%2Fb', '/hooks/a%2Fb'],
])('the path %j is asked for as it is written', async (path, asked) => {
  await using peer = await startHttpPeer({
    handle: ({ url }) => (url.pathname === asked ? { status: 204, body: '' } : url.pathname),
  });
  await using sink = await open(`${peer.url}${path}`);
  expect(await send(sink, records)).toEqual(DELIVERED);
  expect(peer.violations).toEqual([]);
});

test('an answer without an end is given up at 64 MiB, and confirms nothing', async () => {
  let isHuge = true;
  await using peer = await startHttpPeer({
    handle: () => ({ status: 200, body: isHuge ? Buffer.alloc((64 << 20) + 1, ' ') : '' }),
  });
  await using sink = await open(peer.url, { timeout_ms: 30_000 });
  expect(await send(sink, records)).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('too large'),
  });
  isHuge = false;
  expect(await send(sink, records)).toEqual(DELIVERED);
});

test('webhook-id tells batches of the same event ids apart, when another tenant used them first', async () => {
  const seen = new Set<unknown>();
  await using peer = await startHttpPeer({
    handle: ({ headers }) => {
      seen.add(headers['webhook-id']);
      return { status: 204, body: '' };
    },
  });
  await using sink = await open(peer.url);
  for (const tenant of ['globex', 'acme']) {
    const fields = { event_id: '01K00000000000000000000000', tenant };
    expect(
      await send(
        sink,
        sealedRecords(1, () => fields),
      ),
    ).toEqual(DELIVERED);
  }
  expect(seen.size).toBe(2);
});

test('what an answer names is retried or poison; the rest is confirmed', async () => {
  const answer = { retry: [0, 2, 99], rejected: [{ index: 4, code: 'too_old' }, 2, { index: -1 }] };
  await using peer = await startHttpPeer({
    handle: () => ({ status: 200, body: JSON.stringify(answer) }),
  });
  await using sink = await open(peer.url);
  expect(await send(sink, records)).toEqual({
    kind: 'delivered',
    retry: [0, 2],
    poison: [{ index: 4, reason: 'too_old (200)' }],
    reason: 'the receiver asks for them again',
  });
});

test('after a 422 the others go again at once; its free text is not repeated', async () => {
  const lengths: number[] = [];
  const handle = ({ body }: PeerRequest): PeerAnswer => {
    lengths.push(body.toString('utf8').trimEnd().split('\n').length);
    const rejected = [{ index: 1, code: 'Secret of c-1', reason: 'c-1' }];
    return lengths.length === 1
      ? { status: 422, body: JSON.stringify({ rejected }) }
      : { status: 200, body: '' };
  };
  await using peer = await startHttpPeer({ handle });
  await using sink = await open(peer.url);
  expect(await send(sink, records)).toEqual({
    kind: 'delivered',
    retry: [],
    poison: [{ index: 1, reason: 'rejected (422)' }],
  });
  expect(lengths).toEqual([6, 5]);
});

test('a 422 that names nobody is no verdict on a record', async () => {
  await using peer = await startHttpPeer({ handle: () => ({ status: 422, body: 'no' }) });
  await using sink = await open(peer.url);
  expect(await send(sink, records)).toEqual({
    kind: 'failed',
    reason: 'answered 422 and names no record',
  });
});
