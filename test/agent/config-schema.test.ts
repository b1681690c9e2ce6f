import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  DATA_DIR_DEFAULT,
  ELASTICSEARCH_DEFAULTS,
  FILE_DEFAULTS,
  KAFKA_DEFAULTS,
  KEYS_DEFAULTS,
  CHECKPOINTS_DEFAULTS,
  LEDGER_DEFAULTS,
  OTLP_DEFAULTS,
  OTLP_SINK_DEFAULTS,
  POSTGRESQL_DEFAULTS,
  RETENTION_CLASSES_DEFAULT,
  RETRY_DEFAULTS,
  SHUTDOWN_TIMEOUT_MS_DEFAULT,
  SOCKET_DEFAULTS,
  SPLUNK_DEFAULTS,
  SYSLOG_DEFAULTS,
  TELEMETRY_DEFAULTS,
  VOCABULARY_FILE_DEFAULT,
  WEBHOOK_DEFAULTS,
} from '../../agent/config-defaults.ts';
import { checkForm } from '../../agent/config-form.ts';
import { resolveReferences } from '../../agent/config-references.ts';
import { followReference, SCHEMA, type SchemaNode } from '../support/config-schema.ts';
import { faultsOf, loaded, repositoryText } from '../support/config.ts';

/** Everything that can be written, each valid. */
const WHOLE = {
  data_dir: '/tmp/sealtrail-test',
  agent: { name: 'a', vocabulary_file: 'vocabulary.json' },
  receivers: {
    socket: { path: 's.sock', mode: '0600', tenants: ['*'], connections_max: 5 },
    otlp: {
      endpoint: '127.0.0.1:0',
      tenants: ['acme'],
      default_tenant: 'acme',
      tls: { cert_file: 'c', key_file: 'k', client_ca_file: 'ca' },
      bearer_tokens: [{ token: 'a-token-of-20-letters', tenants: ['acme'] }],
      body_bytes_max: 1024,
    },
  },
  processors: { redaction: { keep_emails: false, sensitive_keys: ['shoe_size'] } },
  exporters: {
    postgresql: { embedded: true, port: 0, retry: { initial_ms: 1, max_ms: 2, attempts_max: 3 } },
    'postgresql/b': { embedded: false, url: 'postgresql://w@db.example/x', tls: { ca_file: 'ca' } },
    'file/ecs': { path: 'ecs', format: 'ecs', required: false, batch_records_max: 5 },
    elasticsearch: {
      endpoints: ['https://a.example'],
      data_stream: 'logs-a-b',
      format: 'ocsf',
      username: 'u',
      password: 'p',
      gzip: false,
    },
    splunk: {
      endpoints: ['https://a.example:8088'],
      token: 'a-token-of-20-letters',
      format: 'native',
      index: 'audit',
      source: 's',
      sourcetype: 't',
      host: 'h',
      acknowledge: false,
      ack_timeout_ms: 100,
      required: false,
      bound: { records: 100, bytes: 65536, age_ms: 1000 },
    },
    otlp: {
      endpoints: ['https://a.example:4318'],
      encoding: 'json',
      format: 'ocsf',
      headers: { authorization: 'Bearer x' },
    },
    webhook: {
      endpoints: ['https://a.example/hook'],
      secret: 'whsec_MDEyMzQ1Njc4OWFiY2RlZg==',
      encoding: 'json',
      format: 'ecs',
    },
    'file/r': {
      path: 'r',
      format: 'ecs',
      rotate: { bytes: 4096, interval_minutes: 1, keep: 1 },
    },
    syslog: {
      endpoint: 'siem.example:6514',
      transport: 'tls',
      insecure: true,
      confirm: true,
      format: 'ocsf',
      facility: 10,
      app_name: 'audit',
      message_bytes_max: 65536,
      tls: { ca_file: 'ca' },
    },
    kafka: {
      brokers: ['k1.example:9093'],
      topic: 'audit',
      key: 'tenant',
      format: 'native',
      idempotent: false,
      gzip: false,
      transport: 'tls',
      insecure: true,
      sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'p' },
    },
  },
  ledger: {
    segment_bytes: 65536,
    batch_bytes_max: 65536,
    queue_events_max: 1,
    reserve_bytes: 65536,
    quota: '80%',
    head_file: '/tmp/sealtrail-head.json',
  },
  checkpoints: { enabled: true, interval_ms: 10, records_max: 1, anchor_interval_ms: 1000 },
  keys: { redaction_key_file: 'r', signing_key_file: 's', generate: false },
  tenants: [{ id: 'acme' }],
  retention: { classes: { standard: { regime: 'r', days: 1 } }, local_days: 30 },
  service: {
    pipelines: { audit: { receivers: ['socket', 'otlp'], processors: ['redaction'] } },
    telemetry: { admin_endpoint: '127.0.0.1:0', log_level: 'warn', traces_endpoint: 'http://a' },
    shutdown_timeout_ms: 1000,
  },
};

type Path = readonly (string | number)[];

function pathsOf(value: unknown, at: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([name, member]) => pathsOf(member, [...at, name]))];
}

/** The value with something else at a path; undefined removes it. */
function replaceAt(value: unknown, [name, ...rest]: Path, other: unknown): unknown {
  if (name === undefined) return other;
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).flatMap(([key, member]): [string, unknown][] => {
    const replaced = key === String(name) ? replaceAt(member, rest, other) : member;
    return replaced === undefined ? [] : [[key, replaced]];
  });
  return Array.isArray(value) ? members.map(([, member]) => member) : Object.fromEntries(members);
}

const anything = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, 0, -1, 1.5, 2 ** 53, '', 'x', '*', [], {}, [1]),
  fc.constantFrom<unknown>(['a', 'a'], [null], { x: 1 }, '0777', 'a b', 'ÄÖ', 'x'.repeat(5000)),
  fc.integer(),
  fc.string().filter((text) => !text.includes('${')),
  fc.jsonValue().filter((value) => !JSON.stringify(value).includes('${')),
);

test('the whole of the schema can be written', async () => {
  expect(await faultsOf(WHOLE)).toEqual([]);
});

test('the loader and the published schema judge every file alike', async () => {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, unicode: false, logger: false });
  const validate = ajv.compile(SCHEMA);
  const judged = { valid: 0, invalid: 0 };
  const agree = async (changed: unknown): Promise<void> => {
    const text = JSON.stringify(changed ?? null);
    const config: unknown = JSON.parse(text);
    const isValid = validate(config);
    judged[isValid ? 'valid' : 'invalid'] += 1;
    const form = checkForm(resolveReferences(config, { env: {}, dir: '/' }));
    expect(form.ok).toBe(isValid);
    const faults = await faultsOf(text);
    if (!isValid) expect(faults.length).toBeGreaterThan(0);
    for (const { line, column, message } of faults) {
      expect(Math.min(line, column)).toBeGreaterThan(0);
      expect(message).not.toMatch(/undefined|null|\[object|see the documentation/);
    }
  };
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...pathsOf(WHOLE)), anything, async (path, other) =>
      agree(replaceAt(WHOLE, path, other)),
    ),
    { numRuns: 600 },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...pathsOf(WHOLE)),
      fc.stringMatching(/^[a-z_/]{1,12}$/),
      anything,
      async (path, name, member) => {
        const at = path.reduce<unknown>((node, key) => Reflect.get(Object(node), key), WHOLE);
        if (typeof at !== 'object' || at === null || Array.isArray(at)) return;
        await agree(replaceAt(WHOLE, path, { ...at, [name]: member }));
      },
    ),
    { numRuns: 300 },
  );
  expect(judged.valid).toBeGreaterThan(30);
  expect(judged.invalid).toBeGreaterThan(300);
});

function defaultsOf(node: SchemaNode): Readonly<Record<string, unknown>> {
  const members = Object.entries(node.properties ?? {})
    .map(([name, member]): [string, unknown] => [name, followReference(member).default])
    .filter(([, value]) => value !== undefined);
  return Object.fromEntries(members);
}

/** An empty section is described as none. */
function withoutHeaders({ headers, ...rest }: { readonly headers: object }): object {
  expect(headers).toEqual({});
  return rest;
}

test('the schema states the defaults that the loader fills in', async () => {
  const { properties = {}, $defs = {} } = SCHEMA;
  expect(defaultsOf(SCHEMA)).toEqual({ data_dir: DATA_DIR_DEFAULT });
  const sections: readonly (readonly [SchemaNode | undefined, object])[] = [
    [properties['agent'], { vocabulary_file: VOCABULARY_FILE_DEFAULT }],
    [properties['ledger'], LEDGER_DEFAULTS],
    [properties['checkpoints'], CHECKPOINTS_DEFAULTS],
    [properties['keys'], KEYS_DEFAULTS],
    [properties['service'], { shutdown_timeout_ms: SHUTDOWN_TIMEOUT_MS_DEFAULT }],
    [properties['service']?.properties?.['telemetry'], TELEMETRY_DEFAULTS],
    [$defs['socket'], SOCKET_DEFAULTS],
    [$defs['otlp'], OTLP_DEFAULTS],
    [$defs['postgresql'], POSTGRESQL_DEFAULTS],
    [$defs['file'], FILE_DEFAULTS],
    [$defs['elasticsearch'], ELASTICSEARCH_DEFAULTS],
    [$defs['splunk'], SPLUNK_DEFAULTS],
    [$defs['otlp_sink'], withoutHeaders(OTLP_SINK_DEFAULTS)],
    [$defs['webhook'], withoutHeaders(WEBHOOK_DEFAULTS)],
    [$defs['syslog'], SYSLOG_DEFAULTS],
    [$defs['kafka'], KAFKA_DEFAULTS],
    [$defs['retry'], RETRY_DEFAULTS],
  ];
  for (const [node, defaults] of sections) expect(defaultsOf(node ?? {})).toEqual(defaults);
  const vocabulary = repositoryText('config/vocabulary.json');
  const files = { 'vocabulary.json': vocabulary };
  const { retention } = await loaded(repositoryText('config/sealtrail.yaml'), { files });
  expect(retention.classes).toEqual(RETENTION_CLASSES_DEFAULT);
});
