/** A configuration that is read: what it needs, what its defaults are, where its paths lead, and its vocabulary. */
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { loadConfig, loadVocabularyFile } from '../../agent/config.ts';
import { faultsOf, LEAST, load, loaded } from '../support/config.ts';
import { makeTempDir } from '../support/ledger.ts';

describe('a valid file', () => {
  test('needs receivers, exporters and tenants; all else has a default', async () => {
    const config = await loaded(LEAST);
    expect(config.data_dir).toBe(resolve('data'));
    expect(config.agent.name).toBe(hostname());
    expect(config.exporters).toEqual([]);
    expect(config.receivers.socket).toEqual({
      path: resolve('data/sealtrail.sock'),
      mode: '0660',
      tenants: ['*'],
      connections_max: 1024,
    });
    expect(config.receivers.otlp).toBeUndefined();
    expect(Object.keys(config.retention.classes)).toEqual([
      'standard',
      'financial',
      'health',
      'security',
    ]);
  });

  test('may be written by a program: data_dir, ledger only, an empty pipeline list', async () => {
    const config = await loaded(
      `data_dir: /tmp/bench\nagent: { name: bench, vocabulary_file: vocabulary.json }\nreceivers:\n  socket: { tenants: ["*"] }\nprocessors:\n  redaction: {}\nexporters:\n  {}\ntenants: [{ id: acme }, { id: globex }]\nservice:\n  pipelines:\n    audit: { receivers: [socket], processors: [redaction], exporters: [] }\n  telemetry: { admin_endpoint: "127.0.0.1:9999" }\n`,
    );
    expect(config.agent.name).toBe('bench');
    expect(config.exporters).toEqual([]);
    expect(config.tenants.map(({ id }) => id)).toEqual(['acme', 'globex']);
    expect(config.service.telemetry).toEqual({
      admin_endpoint: '127.0.0.1:9999',
      log_level: 'info',
    });
  });

  test('may leave a section of defaults empty, as collector users do', async () => {
    const config = await loaded(`
receivers: { socket: { tenants: ['*'] } }
processors:
  redaction:
exporters:
  postgresql:
tenants: [{ id: acme }]
ledger:
service:
`);
    expect(config.exporters).toMatchObject([{ type: 'postgresql', embedded: true, port: 0 }]);
    expect(config.ledger.segment_bytes).toBe(64 * 1024 * 1024);
  });

  test('keeps exporters in order, each with its name, its type and its own defaults', async () => {
    const config = await loaded({
      ...LEAST,
      exporters: {
        'file/ecs': { path: 'siem/ecs.ndjson', format: 'ecs', retry: { max_ms: 500 } },
        elasticsearch: { endpoints: ['http://127.0.0.1:9200'], required: false, tls: {} },
        'postgresql/main': { embedded: false, url: 'postgresql://db.example/sealtrail' },
      },
    });
    expect(config.exporters).toMatchObject([
      { name: 'file/ecs', type: 'file', retry: { initial_ms: 200, max_ms: 500, attempts_max: 0 } },
      {
        name: 'elasticsearch',
        type: 'elasticsearch',
        required: false,
        batch_records_max: 1000,
        tls: { insecure_skip_verify: false },
      },
      { name: 'postgresql/main', type: 'postgresql', embedded: false, timeout_ms: 60_000 },
    ]);
  });
});

test('paths come out absolute: data_dir from here, the vocabulary from the file, the rest from data_dir', async () => {
  await using dir = await makeTempDir();
  const file = join(dir.path, 'sealtrail.yaml');
  const vocabulary = { version: 1, actions: [] };
  await writeFile(join(dir.path, 'actions.json'), JSON.stringify(vocabulary));
  const text = JSON.stringify({
    ...LEAST,
    data_dir: 'var/data',
    agent: { vocabulary_file: './actions.json' },
    receivers: {
      otlp: { tenants: ['*'], tls: { cert_file: 'tls/a.pem', key_file: '/etc/a.key' } },
    },
    exporters: {
      file: { path: '../siem.ndjson', format: 'native' },
      elasticsearch: { endpoints: ['https://a.example'], tls: { ca_file: 'ca.pem' } },
    },
    keys: { signing_key_file: '/etc/keys/signing.key' },
  });
  await writeFile(file, text);
  const result = await loadConfig(file, {});
  // The vocabulary is empty, which its own schema refuses; its path is what is asked for here.
  expect(result).toMatchObject({ error: [{ field: '/agent/vocabulary_file' }] });

  const config = await loaded(text.replace('./actions.json', 'vocabulary.json'));
  expect(config.data_dir).toBe(resolve('var/data'));
  expect(config.agent.vocabulary_file).toMatch(/^\/.*\/vocabulary\.json$/);
  expect(config.keys).toEqual({
    redaction_key_file: resolve('var/data/keys/redaction.key'),
    signing_key_file: '/etc/keys/signing.key',
    generate: true,
  });
  expect(config.receivers.otlp?.tls).toEqual({
    cert_file: resolve('var/data/tls/a.pem'),
    key_file: '/etc/a.key',
  });
  expect(config.exporters).toMatchObject([
    { path: resolve('var/siem.ndjson') },
    { tls: { ca_file: resolve('var/data/ca.pem') } },
  ]);
});

describe('the vocabulary', () => {
  test('is read as JSON or as YAML', async () => {
    const yaml = `version: 1
actions:
  - action: user.login
    category: authentication
    description: A user signed in.
    sensitivity: medium
    fail_policy: fail_open
    retention_class: standard
    ocsf: { class_uid: 3002, activity_id: 1 }
    ecs: { category: [authentication], type: [start] }
`;
    const config = { ...LEAST, agent: { vocabulary_file: 'actions.yaml' } };
    expect((await load(config, { files: { 'actions.yaml': yaml } })).ok).toBe(true);
    await using dir = await makeTempDir();
    await writeFile(join(dir.path, 'actions.yaml'), yaml);
    const vocabulary = await loadVocabularyFile(join(dir.path, 'actions.yaml'));
    expect(vocabulary.ok && [...vocabulary.value.actions.keys()]).toEqual(['user.login']);
  });

  test('is faulted by line in its own file, and in short in the configuration that names it', async () => {
    const text = '{\n  "version": 1,\n  "actions": [\n    { "action": "Login" }\n  ]\n}\n';
    await using dir = await makeTempDir();
    const file = join(dir.path, 'vocabulary.json');
    await writeFile(file, text);
    const result = await loadVocabularyFile(file);
    if (result.ok) throw new Error('it is not valid');
    expect(result.error.map(({ line }) => new Set([line]))).toContainEqual(new Set([4]));
    expect(result.error.map(({ field }) => field)).toContain('/actions/0/action');

    const faults = await faultsOf(LEAST, { files: { 'vocabulary.json': text } });
    expect(faults).toMatchObject([
      {
        field: '/agent/vocabulary_file',
        message: expect.stringMatching(/vocabulary\.json:4:\d+: /),
      },
    ]);
  });

  test('that is missing is a fault of the line that names it', async () => {
    const faults = await faultsOf(
      `receivers: { socket: { tenants: ["*"] } }\nexporters: {}\ntenants: [{ id: a }]\nagent:\n  vocabulary_file: none.json\n`,
    );
    expect(faults).toEqual([
      {
        line: 5,
        column: 20,
        field: '/agent/vocabulary_file',
        message: 'none.json cannot be read (ENOENT); `sealtrail init` writes one to start from',
      },
    ]);
  });
});
