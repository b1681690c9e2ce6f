import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runConfigCheck } from '../../cli/config-check.ts';
import { runInit } from '../../cli/init.ts';
import { SCHEMA, type SchemaNode } from '../support/config-schema.ts';
import { repositoryText } from '../support/config.ts';
import { makeTempDir } from '../support/ledger.ts';

interface Checked {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function check(path: string, json = false, env: NodeJS.ProcessEnv = {}): Promise<Checked> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runConfigCheck({
    path,
    json,
    env,
    out: (line) => out.push(line),
    err: (line) => err.push(line),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

/** A folder with the packaged files, and this text as the configuration. */
async function withConfig(text: string): Promise<{ path: string } & AsyncDisposable> {
  const dir = await makeTempDir();
  await runInit({ dir: dir.path, force: true, say: () => undefined });
  await writeFile(join(dir.path, 'sealtrail.yaml'), text);
  const dispose = dir[Symbol.asyncDispose].bind(dir);
  return { path: join(dir.path, 'sealtrail.yaml'), [Symbol.asyncDispose]: dispose };
}

const SECRETIVE = `
data_dir: /tmp/sealtrail-check
receivers:
  otlp:
    endpoint: 0.0.0.0:4318
    tenants: [acme]
    tls: { cert_file: /etc/a.pem, key_file: /etc/a.key, client_ca_file: /etc/ca.pem }
    bearer_tokens: [{ token: 'hunter2-hunter2-hunter2', tenants: [acme] }]
exporters:
  postgresql:
    embedded: false
    url: postgresql://writer:hunter2@db.example:5432/sealtrail
    owner_url: postgresql://owner:hunter2@db.example:5432/sealtrail
  elasticsearch/key: { endpoints: ['https://a.example'], api_key: hunter2, required: false }
  elasticsearch/basic: { endpoints: ['https://b.example'], username: u, password: hunter2 }
tenants: [{ id: acme }]
`;

test('a valid file is ok: what would listen, where it delivers, how long it keeps', async () => {
  await using file = await withConfig(repositoryText('config/sealtrail.yaml'));
  const { code, out, err } = await check(file.path, false, { SEALTRAIL_DATA_DIR: '/tmp/st' });
  expect([code, err]).toEqual([0, '']);
  expect(out.split('\n')).toEqual(
    expect.arrayContaining([
      `${file.path}: ok`,
      '  listens   /tmp/st/sealtrail.sock (0660) for every tenant',
      '  listens   http://127.0.0.1:4318 (OTLP) for every tenant',
      '  listens   http://127.0.0.1:9464 (health, metrics)',
      '  delivers  postgresql: embedded PostgreSQL in /tmp/st/postgres',
      '  delivers  file/ecs: /tmp/st/siem/ecs.ndjson (ecs)',
      '  tenants   default, acme, globex',
      '  keeps     standard for 366 days (PCI DSS 10.5.1: 12 months)',
    ]),
  );
});

test('secrets are masked, in text and in JSON', async () => {
  await using file = await withConfig(SECRETIVE);
  const text = await check(file.path);
  expect(text.code).toBe(0);
  expect(text.out).toContain(
    'https://0.0.0.0:4318 (OTLP) for acme, asks for a bearer token and a client certificate',
  );
  expect(text.out).toContain('postgresql: PostgreSQL at db.example:5432/sealtrail');
  expect(text.out).toContain(
    'elasticsearch/key: https://a.example, logs-sealtrail.audit-default (ecs), best effort',
  );
  expect(text.out).not.toContain('hunter2');
  const json = await check(file.path, true);
  expect(json.out).not.toContain('hunter2');
  expect(JSON.parse(json.out)).toMatchObject({
    valid: true,
    path: file.path,
    faults: [],
    config: {
      exporters: [{ url: '***', owner_url: '***' }, { api_key: '***' }, { password: '***' }],
    },
  });
});

test('what is masked is what the schema marks as secret', () => {
  const secrets = new Set<string>();
  const collect = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [name, member] of Object.entries(node)) {
      if (typeof member === 'object' && member !== null && 'writeOnly' in member) secrets.add(name);
      collect(member);
    }
  };
  collect(SCHEMA satisfies SchemaNode);
  const source = repositoryText('cli/config-check.ts');
  const masked = /SECRETS.*?\[(.*?)\]/s.exec(source)?.[1] ?? '';
  expect(new Set(masked.match(/[a-z_]+/g))).toEqual(secrets);
  expect(secrets.size).toBe(9);
});

test('each fault is file:line:column: field: message, and the exit code is 1', async () => {
  await using file = await withConfig(SECRETIVE.replace('endpoint:', 'endpiont:'));
  const { code, out, err } = await check(file.path);
  expect([code, out]).toEqual([1, '']);
  expect(err).toBe(
    `${file.path}:5:5: /receivers/otlp/endpiont: unknown key "endpiont"; did you mean "endpoint"?`,
  );
  const json = await check(file.path, true);
  expect(json.code).toBe(1);
  expect(json.err).toBe('');
  expect(JSON.parse(json.out)).toEqual({
    valid: false,
    path: file.path,
    faults: [
      {
        line: 5,
        column: 5,
        field: '/receivers/otlp/endpiont',
        message: 'unknown key "endpiont"; did you mean "endpoint"?',
      },
    ],
  });
});

test('a file that cannot be read is exit code 2', async () => {
  await using dir = await makeTempDir();
  const path = join(dir.path, 'none.yaml');
  const { code, err } = await check(path);
  expect(code).toBe(2);
  expect(err).toContain(`${path}: cannot be read (ENOENT)`);
  expect((await check(path, true)).code).toBe(2);
});
