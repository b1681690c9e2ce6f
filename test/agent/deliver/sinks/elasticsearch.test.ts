/** The Elasticsearch sink: what arrives, under which id, and how the way there is chosen and secured. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createAuthority } from '../../../support/certificates.ts';
import { DELIVERED } from '../../../support/delivery.ts';
import { ids, openElasticsearchSink, records, send } from '../../../support/elasticsearch-sink.ts';
import { startElasticsearch } from '../../../support/elasticsearch.ts';
import { makeTempDir } from '../../../support/ledger.ts';
import { createSealer } from '../../../store/sealed.ts';

test('documents arrive whole, under tenant and event_id, compressed, and a second time change nothing', async () => {
  await using server = await startElasticsearch();
  await using sink = openElasticsearchSink([server.url]);
  expect(await send(sink)).toEqual(DELIVERED);
  expect([...server.documents.keys()]).toEqual(ids);
  const [request] = server.requests;
  const plain = JSON.stringify([...server.documents.values()]).length;
  expect(request?.gzip).toBe(true);
  expect(request?.bytes).toBeLessThan(plain / 4);
  expect(server.documents.get(ids[0] ?? '')).toMatchObject({
    '@timestamp': records[0]?.event.event.time,
    event: { id: records[0]?.event.event_id },
    sealtrail: { metadata: { note: 'größer "\n' } },
  });

  const before = new Map(server.documents);
  expect(await send(sink)).toEqual(DELIVERED);
  expect(server.documents).toEqual(before);
  expect(server.violations).toEqual([]);
  expect(server.connections()).toBe(1);
});

test('an event_id counts once a tenant: nobody hides an event of another tenant by using its id first', async () => {
  await using server = await startElasticsearch();
  await using sink = openElasticsearchSink([server.url]);
  const event_id = '01K00000000000000000000000';
  const [theirs, ours, again] = ['globex', 'acme', 'acme'].map((tenant) => ({
    ...createSealer(undefined, tenant).seal({ event_id, actor: tenant }),
    number: 0,
  }));
  for (const record of [theirs, ours, again])
    expect(await send(sink, record === undefined ? [] : [record])).toEqual(DELIVERED);
  expect(
    [...server.documents.values()].map((document) => [document['organization'], document['event']]),
  ).toMatchObject([
    [{ id: 'globex' }, { id: event_id }],
    [{ id: 'acme' }, { id: event_id }],
  ]);
});

test('OCSF documents get the @timestamp that a data stream asks for', async () => {
  await using server = await startElasticsearch({ dataStream: 'logs-ocsf' });
  await using sink = openElasticsearchSink([server.url], {
    format: 'ocsf',
    data_stream: 'logs-ocsf',
    gzip: false,
  });
  expect(await send(sink)).toEqual(DELIVERED);
  expect(server.requests[0]?.gzip).toBe(false);
  expect(server.documents.get(ids[3] ?? '')).toMatchObject({
    '@timestamp': records[3]?.event.event.time,
    class_uid: expect.any(Number),
    metadata: { uid: records[3]?.event.event_id },
  });
  expect(server.violations).toEqual([]);
});

test('API key and password are sent; without the right one the batch is tried again, not lost', async () => {
  await using server = await startElasticsearch({ authorization: 'ApiKey c2VjcmV0' });
  await using keyed = openElasticsearchSink([server.url], { api_key: 'c2VjcmV0' });
  expect(await send(keyed)).toEqual(DELIVERED);
  server.options.authorization = `Basic ${Buffer.from('audit:pä:ss').toString('base64')}`;
  await using basic = openElasticsearchSink([server.url], { username: 'audit', password: 'pä:ss' });
  expect(await send(basic)).toEqual(DELIVERED);
  expect(await send(keyed)).toEqual({
    kind: 'failed',
    reason: 'api_key or password is not accepted (401)',
  });
});

test('endpoints take turns; one that is down is passed over and comes back', async () => {
  await using first = await startElasticsearch();
  await using second = await startElasticsearch();
  await using sink = openElasticsearchSink([`${first.url}/`, `${second.url}/prefix`]);
  for (const record of records.slice(0, 4)) expect(await send(sink, [record])).toEqual(DELIVERED);
  expect([first.documents.size, second.documents.size]).toEqual([2, 2]);

  first.options.fault = () => ({ kind: 'refuse' });
  for (const record of records.slice(4, 8)) expect(await send(sink, [record])).toEqual(DELIVERED);
  expect([first.documents.size, second.documents.size]).toEqual([2, 6]);
  second.options.fault = () => ({ kind: 'refuse' });
  expect(await send(sink, records.slice(8, 9))).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/127\.0\.0\.1:\d+: .*; 127\.0\.0\.1:\d+: /),
  });
  first.options.fault = () => null;
  expect(await send(sink, records.slice(8, 9))).toEqual(DELIVERED);
  expect(first.documents.size).toBe(3);
});

test('TLS: the configured authority is trusted, any other is not, and renewed files are taken up', async () => {
  await using temp = await makeTempDir();
  const [ours, theirs] = [createAuthority(), createAuthority('another authority')];
  const server_cert = ours.issue('elasticsearch');
  const client = ours.issue('agent');
  await using server = await startElasticsearch({ tls: { ...server_cert, clientCa: ours.cert } });
  const ca_file = join(temp.path, 'ca.pem');
  const cert_file = join(temp.path, 'cert.pem');
  const key_file = join(temp.path, 'key.pem');
  await writeFile(ca_file, theirs.cert);
  await writeFile(cert_file, client.cert);
  await writeFile(key_file, client.key);
  const tls = { ca_file, cert_file, key_file, insecure_skip_verify: false };
  await using sink = openElasticsearchSink([server.url], { tls });
  expect(await send(sink)).toMatchObject({
    kind: 'failed',
    reason: expect.stringMatching(/certificate|CERT|SIGNATURE/),
  });
  await writeFile(ca_file, ours.cert);
  expect(await send(sink)).toEqual(DELIVERED);

  await using plain = openElasticsearchSink([server.url]);
  expect(await send(plain)).toMatchObject({ kind: 'failed' });
  await using anonymous = openElasticsearchSink([server.url], {
    tls: { ca_file, insecure_skip_verify: false },
  });
  expect(await send(anonymous)).toMatchObject({ kind: 'failed' });
  await using missing = openElasticsearchSink([server.url], {
    tls: { ...tls, ca_file: join(temp.path, 'none.pem') },
  });
  expect(await send(missing)).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('none.pem'),
  });
  await using lax = openElasticsearchSink([server.url], {
    tls: { cert_file, key_file, insecure_skip_verify: true },
  });
  expect(await send(lax)).toEqual(DELIVERED);
});
