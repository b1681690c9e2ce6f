import { readdirSync, readFileSync } from 'node:fs';
import { cp, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig, loadVocabularyFile } from '../../agent/config.ts';
import { AGENT_ACTIONS } from '../../schemas/agent-actions.ts';
import { load, repositoryText } from '../support/config.ts';
import { makeTempDir } from '../support/ledger.ts';

const CONFIG = join(import.meta.dirname, '../../config');
const files = readdirSync(CONFIG, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
  .map((entry) => relative(CONFIG, join(entry.parentPath, entry.name)));

test('there are a default and its examples', () => {
  expect(files.toSorted()).toEqual([
    'examples/anchors.yaml',
    'examples/elasticsearch.yaml',
    'examples/external-postgresql.yaml',
    'examples/gateway-tls.yaml',
    'examples/kafka.yaml',
    'examples/otlp.yaml',
    'examples/rotating-file.yaml',
    'examples/s3-archive.yaml',
    'examples/splunk.yaml',
    'examples/syslog.yaml',
    'examples/webhook.yaml',
    'sealtrail.yaml',
  ]);
});

test.each(files)('%s is valid, given the secrets that it refers to', async (file) => {
  await using dir = await makeTempDir();
  await cp(CONFIG, dir.path, { recursive: true });
  const path = join(dir.path, file);
  const text = readFileSync(path, 'utf8');
  const env: NodeJS.ProcessEnv = {};
  for (const [, name = ''] of text.matchAll(/\$\{env:([A-Z_]+)\}/g)) env[name] = `the-${name}`;
  const secrets = [...text.matchAll(/\$\{file:\/run\/secrets\/([a-z-]+)\}/g)];
  for (const [, name = ''] of secrets)
    await writeFile(join(dir.path, name), `${name}-of-20-letters\n`);
  await writeFile(path, text.replaceAll('/run/secrets', dir.path));

  expect(await loadConfig(path, env)).toMatchObject({ ok: true });
});

test('the default moves with four variables, and stands without them', async () => {
  const text = repositoryText('config/sealtrail.yaml');
  const files = { 'vocabulary.json': repositoryText('config/vocabulary.json') };
  const plain = await load(text, { files });
  expect(plain).toMatchObject({
    value: {
      receivers: { otlp: { endpoint: '127.0.0.1:4318', default_tenant: 'default' } },
      exporters: [
        { name: 'postgresql', embedded: true, port: 0 },
        { name: 'file/ecs', format: 'ecs' },
        { name: 'file/ocsf', format: 'ocsf' },
      ],
      service: { telemetry: { admin_endpoint: '127.0.0.1:9464' } },
    },
  });
  const moved = await load(text, {
    files,
    env: {
      SEALTRAIL_DATA_DIR: '/tmp/second',
      SEALTRAIL_OTLP_PORT: '14318',
      SEALTRAIL_ADMIN_PORT: '19464',
      SEALTRAIL_POSTGRES_PORT: '15432',
    },
  });
  expect(moved).toMatchObject({
    value: {
      data_dir: '/tmp/second',
      receivers: {
        socket: { path: '/tmp/second/sealtrail.sock' },
        otlp: { endpoint: '127.0.0.1:14318' },
      },
      exporters: [{ port: 15432 }, { path: '/tmp/second/siem/ecs.ndjson' }, {}],
      service: { telemetry: { admin_endpoint: '127.0.0.1:19464' } },
    },
  });
});

test('every class of the default is used, and every class that is used is there', async () => {
  const vocabulary = await loadVocabularyFile(join(CONFIG, 'vocabulary.json'));
  const config = await loadConfig(join(CONFIG, 'sealtrail.yaml'), {});
  if (!vocabulary.ok || !config.ok) throw new Error('the packaged files are not valid');
  const actions = [...vocabulary.value.actions.values(), ...AGENT_ACTIONS.values()];
  const used = new Set(actions.map(({ retention_class }) => retention_class));
  expect(new Set(Object.keys(config.value.retention.classes))).toEqual(used);
});
