import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { benchVocabulary } from '../../bench/vocabulary.ts';
import { expectFault, expectValid, faultsOf, LEAST } from '../support/config.ts';

const ECS = { path: 'siem/ecs.ndjson', format: 'ecs' };
const SOCKET = { tenants: ['*'] };
const OTLP = { tenants: ['*'] };
const TLS = { cert_file: '/etc/tls.pem', key_file: '/etc/tls.key' };
const TOKEN = { token: 'a-token-of-20-letters', tenants: ['acme'] };

const audit = (pipeline: object): object => ({ service: { pipelines: { audit: pipeline } } });

describe('the pipeline', () => {
  test('names what is defined', async () => {
    const both = { exporters: { 'file/ecs': ECS } };
    await expectValid({ ...both, ...audit({ exporters: ['file/ecs'] }) });
    await expectFault(
      audit({ receivers: ['socket', 'otpl'] }),
      '/service/pipelines/audit/receivers/1',
      '"otpl" is not defined below receivers',
    );
    await expectFault(
      audit({ processors: ['redaction', 'redactoin'] }),
      '/service/pipelines/audit/processors/1',
      'did you mean "redaction"?',
    );
    const faults = await faultsOf({ ...LEAST, ...both, ...audit({ exporters: ['file/ecss'] }) });
    expect(faults.map(({ field, message }) => [field, message])).toEqual([
      [
        '/exporters/file~1ecs',
        '"file/ecs" is in no pipeline, so no event would pass it; service.pipelines.audit.exporters has "file/ecss" instead',
      ],
      [
        '/service/pipelines/audit/exporters/0',
        '"file/ecss" is not defined below exporters; did you mean "file/ecs"?',
      ],
    ]);
  });

  test('leaves nothing that is defined idle', async () => {
    await expectFault(
      { exporters: { 'file/ecs': ECS }, ...audit({ exporters: [] }) },
      '/exporters/file~1ecs',
      '"file/ecs" is in no pipeline, so no event would pass it; add it to service.pipelines.audit.exporters',
    );
    await expectFault(
      { receivers: { socket: SOCKET, otlp: OTLP }, ...audit({ receivers: ['otlp'] }) },
      '/receivers/socket',
      '"socket" is in no pipeline',
    );
  });

  test('never leaves redaction out', async () => {
    await expectFault(
      audit({ processors: [] }),
      '/service/pipelines/audit/processors',
      'nothing may reach the disk unredacted',
    );
  });
});

describe('a trusted key', () => {
  const withKeys = (...keys: object[]): object => ({
    receivers: { otlp: { ...OTLP, trusted_keys: keys } },
  });
  const pair = generateKeyPairSync('ed25519');
  const pem = pair.publicKey.export({ type: 'spki', format: 'pem' });
  const secret = pair.privateKey.export({ type: 'pkcs8', format: 'pem' });

  test('is a public key or a certificate, under a name of its own', async () => {
    await expectValid(withKeys({ pem }, { reference: 'shop', pem }));
    const field = '/receivers/otlp/trusted_keys/1/pem';
    await expectFault(withKeys({ pem }, { reference: 'b', pem: 'x' }), field, 'is neither');
    await expectFault(
      withKeys({ pem }, { reference: 'b', pem: secret }),
      field,
      'is a private key',
    );
    await expectFault(withKeys({ pem }, { pem }), field, 'goes by the same name');
  });
});

describe('a signing key', () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const pem = publicKey.export({ type: 'spki', format: 'pem' });
  const signer = { command: ['/usr/local/bin/kms-sign'], public_key: pem };

  test('comes from one place, and a signer has a public key', async () => {
    await expectValid({ keys: { signer, next: { signing_key: 'PEM' } } });
    await expectValid({ keys: { next: null } });
    const both = { signing_key: 'PEM', signer };
    await expectFault({ keys: both }, '/keys/signer', 'comes from one place');
    await expectFault({ keys: { next: both } }, '/keys/next/signer', 'comes from one place');
    await expectFault({ keys: { next: {} } }, '/keys/next', 'names no key');
    const keys = { signer: { ...signer, public_key: 'AAAA' } };
    await expectFault({ keys }, '/keys/signer/public_key', 'no Ed25519 public key');
  });
});

describe('a retention class', () => {
  const days = { regime: 'own policy', days: 30 };

  test('that the vocabulary or the agent uses is defined', async () => {
    await expectValid({ retention: { classes: { standard: days, unused: days } } });
    await expectFault(
      { retention: { classes: { short: days } } },
      '/retention/classes',
      'the class "standard", which keeps customer.read, is not defined; add it',
    );
    await expectFault(
      { retention: { classes: { standart: days } } },
      '/retention/classes/standart',
      'is it meant by "standart"?',
    );
    const action = { ...benchVocabulary.actions[0], retention_class: 'payroll' };
    const vocabulary = JSON.stringify({ version: 1, actions: [action] });
    const faults = await faultsOf(LEAST, { files: { 'vocabulary.json': vocabulary } });
    expect(faults).toMatchObject([{ message: expect.stringContaining('the class "payroll"') }]);
  });
});

describe('a listener', () => {
  const telemetry = (admin_endpoint: string): object => ({
    service: { telemetry: { admin_endpoint } },
  });

  test('for the operator stays on loopback', async () => {
    const field = '/service/telemetry/admin_endpoint';
    for (const endpoint of ['127.0.0.1:9464', 'localhost:0', '[::1]:9464', '127.8.9.1:1'])
      await expectValid(telemetry(endpoint));
    for (const endpoint of ['0.0.0.0:9464', '[::]:9464', '10.0.0.7:9464', 'admin.example:9464'])
      await expectFault(telemetry(endpoint), field, 'use 127.0.0.1');
    for (const endpoint of ['9464', ':9464', '127.0.0.1', '127.0.0.1:70000', 'http://127.0.0.1:1'])
      await expectFault(telemetry(endpoint), field, 'must be host:port');
  });

  test('for OTLP beyond loopback has TLS and asks who is there', async () => {
    const field = '/receivers/otlp/endpoint';
    const open = { ...OTLP, endpoint: '0.0.0.0:4318' };
    const wanted = 'configure tls and bearer_tokens or tls.client_ca_file';
    await expectFault({ receivers: { otlp: open } }, field, wanted);
    await expectFault({ receivers: { otlp: { ...open, tls: TLS } } }, field, 'bearer_tokens or');
    await expectFault({ receivers: { otlp: { ...open, bearer_tokens: [TOKEN] } } }, field, 'tls');
    await expectFault({ receivers: { otlp: { ...OTLP, endpoint: '4318' } } }, field, 'host:port');
    await expectValid({ receivers: { otlp: { ...open, tls: TLS, bearer_tokens: [TOKEN] } } });
    const tls = { ...TLS, client_ca_file: '/etc/ca.pem' };
    await expectValid({ receivers: { otlp: { ...open, tls } } });
  });

  test('has a port of its own', async () => {
    const otlp = { ...OTLP, endpoint: '127.0.0.1:9464' };
    await expectFault(
      { receivers: { otlp } },
      '/service/telemetry/admin_endpoint',
      'is the port of receivers.otlp as well',
    );
    await expectFault(
      { exporters: { postgresql: { port: 9464 } } },
      '/exporters/postgresql/port',
      'is the port of service.telemetry.admin_endpoint as well',
    );
    await expectValid({
      receivers: { otlp: { ...OTLP, endpoint: '127.0.0.1:0' } },
      ...telemetry('127.0.0.1:0'),
    });
  });
});

describe('a size', () => {
  test('of a socket path fits into 107 bytes, counted in bytes', async () => {
    const path = (bytes: number): object => ({
      receivers: { socket: { ...SOCKET, path: `/${'s'.repeat(bytes - 1)}` } },
    });
    await expectValid(path(107));
    await expectFault(path(108), '/receivers/socket/path', 'a socket path of 108 bytes');
    const wide = { receivers: { socket: { ...SOCKET, path: `/${'é'.repeat(60)}` } } };
    await expectFault(wide, '/receivers/socket/path', 'a socket path of 121 bytes');
    await expectFault(
      { data_dir: `/${'d'.repeat(100)}`, receivers: { otlp: OTLP } },
      '/data_dir',
      'a socket path of 112 bytes, and the system takes 107; choose a shorter data_dir',
    );
    await expectFault(
      { data_dir: `/${'d'.repeat(100)}` },
      '/data_dir',
      'a socket path of 116 bytes',
    );
    await expectValid({ data_dir: `/${'d'.repeat(91)}` });
  });

  test('of a segment holds a batch, and both are sane', async () => {
    await expectValid({ ledger: { segment_bytes: 65_536, batch_bytes_max: 65_536 } });
    await expectFault(
      { ledger: { segment_bytes: 1_048_576 } },
      '/ledger/batch_bytes_max',
      'is more than ledger.segment_bytes (1048576)',
    );
    const tiny = { ledger: { segment_bytes: 1000 } };
    await expectFault(tiny, '/ledger/segment_bytes', 'must be at least 65536');
    const huge = { ledger: { segment_bytes: 2 ** 40 } };
    await expectFault(huge, '/ledger/segment_bytes', 'must be at most 1073741824');
  });

  test('of the quota is bytes or a share, and takes the reserve and two batches', async () => {
    for (const quota of [9_437_184, '9437184', '1%', '100%', '50%'])
      await expectValid({ ledger: { quota } });
    for (const quota of [9_437_183, '9437183', 0, -1])
      await expectFault({ ledger: { quota } }, '/ledger/quota', '');
    for (const quota of ['0%', '101%', '10GB', '1.5%'])
      await expectFault({ ledger: { quota } }, '/ledger/quota', 'has another form than it must');
  });

  test('a head file lies where the ledger does not', async () => {
    await expectValid({ ledger: { head_file: '../sealtrail-head.json' } });
    const inside = { ledger: { head_file: 'ledger-head.json' } };
    await expectFault(inside, '/ledger/head_file', 'would be put back together with it');
  });
});

test('segments leave the ledger only beside a store of record and checkpoints', async () => {
  const retention = { local_days: 30 };
  const postgresql = { embedded: true };
  await expectValid({ retention, exporters: { postgresql } });
  for (const config of [
    { exporters: { 'file/ecs': { path: 'a', format: 'ecs' } } },
    { exporters: { postgresql }, checkpoints: { enabled: false } },
  ])
    await expectFault({ retention, ...config }, '/retention/local_days', 'no segment would leave');
});

test('a class that names a rule is kept as long as the rule asks for', async () => {
  const classes = (regime: string, days: number) => ({
    retention: { classes: { standard: { regime, days } } },
  });
  await expectValid(classes('PCI DSS 10.5.1', 366));
  await expectValid(classes('by own policy', 1));
  for (const [regime, days] of [
    ['PCI DSS 10.5.1', 365],
    ['HIPAA', 2191],
    ['SOX, 17 CFR', 2556],
  ] as const)
    await expectFault(classes(regime, days), '/retention/classes/standard/days', 'at least');
});
