import { describe, test } from 'vitest';
import { expectFault, expectValid } from '../support/config.ts';

const ECS = { path: 'siem/ecs.ndjson', format: 'ecs' };
const HOSTED = { embedded: false, url: 'postgresql://writer@db.example/sealtrail' };

describe('an exporter', () => {
  test('is required, or another one is', async () => {
    const optional = { ...ECS, required: false };
    await expectFault({ exporters: { file: optional } }, '/exporters', 'no exporter is required');
    await expectValid({ exporters: { file: optional, postgresql: {} } });
  });

  test('waits longer at most than at first', async () => {
    const retry = { initial_ms: 2000, max_ms: 1000 };
    const field = '/exporters/postgresql/retry';
    await expectFault({ exporters: { postgresql: { retry } } }, field, 'is more than max_ms');
  });

  test('of PostgreSQL names its server, or runs one, and not both', async () => {
    const exporters = (postgresql: object): object => ({ exporters: { postgresql } });
    const at = '/exporters/postgresql';
    await expectValid(exporters(HOSTED));
    await expectFault(exporters({ embedded: false }), `${at}/url`, 'url is missing');
    await expectFault(exporters({ url: HOSTED.url }), `${at}/url`, 'set embedded: false');
    await expectFault(exporters({ ...HOSTED, port: 5432 }), `${at}/port`, 'has no effect here');
    await expectFault(
      { exporters: { postgresql: {}, 'postgresql/b': {} } },
      '/exporters/postgresql~1b',
      '"postgresql" runs the embedded server already',
    );
    await expectValid({ exporters: { postgresql: {}, 'postgresql/b': HOSTED } });
  });

  test.each(['a/b', '12/x', 'a#b', 'a?b', 'a b/c'])(
    'of PostgreSQL is not sent elsewhere by a password like %j',
    async (password) => {
      const url = `postgresql://writer:${password}@db.example/sealtrail`;
      await expectFault(
        { exporters: { postgresql: { ...HOSTED, url } } },
        '/exporters/postgresql/url',
        'percent-encode',
      );
    },
  );

  test('into a file has it to itself, outside of what the agent keeps', async () => {
    await expectFault(
      { exporters: { 'file/a': ECS, 'file/b': { ...ECS, path: 'siem/../siem/ecs.ndjson' } } },
      '/exporters/file~1b/path',
      'is the file of "file/a" as well',
    );
    for (const path of ['ledger/ecs.ndjson', './keys/redaction.key', 'cursors', 'admin.sock'])
      await expectFault(
        { exporters: { file: { ...ECS, path } } },
        '/exporters/file/path',
        "the agent's own",
      );
    await expectValid({ exporters: { file: { ...ECS, path: 'ledger.ndjson' } } });
  });

  test('of syslog and Kafka use TLS, or stay on this host, or are said to be insecure', async () => {
    const syslog = (over: object): object => ({ exporters: { syslog: over } });
    const kafka = (over: object): object => ({ exporters: { kafka: over } });
    await expectValid(syslog({ endpoint: 'siem.example:6514' }));
    await expectValid(syslog({ endpoint: '127.0.0.1:514', transport: 'tcp' }));
    await expectValid(syslog({ endpoint: 'a.example:514', transport: 'tcp', insecure: true }));
    const open = { endpoint: 'a.example:514', transport: 'tcp' };
    await expectFault(syslog(open), '/exporters/syslog/endpoint', 'in the clear');
    const local = { ...open, endpoint: '[::1]:514', tls: {} };
    await expectFault(syslog(local), '/exporters/syslog/tls', 'has no effect');
    for (const endpoint of ['a.example', 'tcp://a.example:514', 'a.example:0'])
      await expectFault(syslog({ endpoint }), '/exporters/syslog/endpoint', 'no host:port');
    await expectValid(kafka({ brokers: ['a.example:9093', 'b.example:9093'] }));
    const brokers = ['127.0.0.1:9092', 'b.example:9092'];
    const at = '/exporters/kafka/brokers/1';
    await expectFault(kafka({ brokers, transport: 'tcp' }), at, 'in the clear');
    await expectValid(kafka({ brokers, transport: 'tcp', insecure: true }));
  });

  test('of Elasticsearch never sends credentials in the clear', async () => {
    const exporters = (elasticsearch: object): object => ({ exporters: { elasticsearch } });
    const at = '/exporters/elasticsearch';
    const open = { endpoints: ['https://a.example', 'http://b.example:9200'] };
    await expectValid(exporters(open));
    await expectFault(exporters({ ...open, api_key: 'k' }), `${at}/endpoints/1`, 'use https');
    const basic = { username: 'u', password: 'p' };
    await expectFault(exporters({ ...open, ...basic }), `${at}/endpoints/1`, 'use https');
    for (const host of ['127.0.0.1', '[::1]', 'localhost'])
      await expectValid(exporters({ endpoints: [`http://${host}:9200`], api_key: 'k' }));
    await expectFault(
      exporters({ endpoints: ['https://a.example'], api_key: 'k', ...basic }),
      `${at}/username`,
      'keep one',
    );
    await expectFault(
      exporters({ endpoints: ['https://a.example'], username: 'u' }),
      `${at}/password`,
      'password is missing',
    );
    // A query would be left out of every request, and a token with it.
    for (const endpoint of [
      'u:p@a.example',
      'a.example?code=x',
      'a.example/p?code=x',
      'a.example#x',
    ])
      await expectFault(
        exporters({ endpoints: [`https://${endpoint}`] }),
        `${at}/endpoints/0`,
        'has another form',
      );
  });
});

describe('sinks over HTTP', () => {
  const splunk = { endpoints: ['http://hec.example:8088'], token: 'a-token-of-20-letters' };
  const optional = { 'file/ecs': ECS };

  test('a token or headers go over TLS, or stay on this host', async () => {
    await expectFault({ exporters: { splunk } }, '/exporters/splunk/endpoints/0', 'use https');
    await expectValid({ exporters: { splunk: { ...splunk, endpoints: ['http://127.0.0.1:1'] } } });
    const otlp = { endpoints: ['http://collector.example:4318'] };
    await expectValid({ exporters: { otlp } });
    const headers = { authorization: 'Bearer x' };
    await expectFault(
      { exporters: { otlp: { ...otlp, headers } } },
      '/exporters/otlp/endpoints/0',
      'sends credentials in the clear',
    );
  });

  test('only a best-effort sink has a bound', async () => {
    const webhook = {
      endpoints: ['https://a.example'],
      secret: 'a secret of 20 letters'.replaceAll(' ', '-'),
    };
    const bound = { records: 1_000 };
    await expectFault(
      { exporters: { ...optional, webhook: { ...webhook, bound } } },
      '/exporters/webhook/bound',
      'a required sink skips nothing',
    );
    await expectValid({
      exporters: { ...optional, webhook: { ...webhook, bound, required: false } },
    });
  });
});
