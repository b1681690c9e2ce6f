/** Evidence on demand: from a running agent by command, and from a PostgreSQL of one's own; what is not in order is said. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadConfig } from '../../agent/config.ts';
import { ARTEFACTS } from '../../auditor/evidence/artefacts.ts';
import { artefactsOf } from '../../auditor/evidence/bundle.ts';
import { gatherEvidence, type Sources } from '../../cli/evidence-gathering.ts';
import { draft, openTrail, type Trail } from '../acceptance/trail.ts';
import { runCli, VOCABULARY } from '../support/agent-process.ts';
import { openBoundary, type Boundary } from '../support/boundary.ts';

const SECRETS = [
  'pw-of-the-owner',
  'pw-of-the-writer',
  'a-bearer-token-of-16',
  'sealtrail_hec_token',
  'inline-password',
];
const root = mkdtempSync(join(tmpdir(), 'sealtrail-evidence-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Index {
  readonly artefacts: readonly {
    readonly file: string;
    readonly sha256: string;
    readonly clauses: object;
    readonly faults: readonly string[];
  }[];
}

describe('from a running agent with its embedded server', () => {
  let trail: Trail;
  beforeAll(async () => {
    trail = await openTrail();
    await trail.audit.record(draft());
    await trail.agent.delivered();
  });
  afterAll(() => trail[Symbol.asyncDispose]());

  test('every artefact is there, in order, with its clauses and its sum', async () => {
    const out = join(root, 'all');
    const ran = await runCli([
      'evidence',
      '--regime',
      'all',
      '--out',
      out,
      '--config',
      trail.agent.configFile,
      '--by',
      'ada',
    ]);
    expect(ran).toMatchObject({
      code: 0,
      stderr: '',
      stdout: `10 artefacts in ${out}; begin with index.md\n`,
    });
    const index = JSON.parse(readFileSync(join(out, 'index.json'), 'utf8')) as Index;
    expect(index.artefacts.map(({ file }) => file)).toEqual(
      Object.values(ARTEFACTS).map(({ file }) => file),
    );
    const sums = readFileSync(join(out, 'SHA256SUMS'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('  '));
    expect(sums.map(([, name]) => name).sort()).toEqual(
      readdirSync(out)
        .filter((name) => name !== 'SHA256SUMS')
        .sort(),
    );
    for (const [sum, name = ''] of sums)
      expect([
        name,
        createHash('sha256')
          .update(readFileSync(join(out, name)))
          .digest('hex'),
      ]).toEqual([name, sum]);
    const verification = JSON.parse(
      readFileSync(join(out, 'verification-ledger.json'), 'utf8'),
    ) as { verdict: string; records: number };
    expect(verification).toMatchObject({ verdict: 'intact' });
    expect(verification.records).toBeGreaterThan(1);
    expect(readFileSync(join(out, 'index.md'), 'utf8')).toMatch(
      /guards\.json.*pci: 10\.3\.1.*in order/,
    );
    const again = await runCli([
      'evidence',
      '--regime',
      'pci',
      '--out',
      out,
      '--config',
      trail.agent.configFile,
    ]);
    expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('not empty')]);
  });

  test('a trigger that is off, a right too many and a login that is more than an auditor are named', async () => {
    const admin = await trail.connect('admin');
    await admin.query(`ALTER TABLE audit.record_keys DISABLE TRIGGER append_only_row;
      GRANT DELETE ON audit.streams TO sealtrail_writer; CREATE ROLE eve LOGIN IN ROLE sealtrail_auditor, sealtrail_writer;
      ALTER TABLE audit.stubs NO FORCE ROW LEVEL SECURITY`);
    const out = join(root, 'pci');
    const ran = await runCli([
      'evidence',
      '--regime',
      'pci',
      '--out',
      out,
      '--config',
      trail.agent.configFile,
    ]);
    expect(ran.code).toBe(1);
    for (const fault of [
      'record_keys: trigger append_only_row',
      'sealtrail_writer may DELETE',
      'eve: it is a member of sealtrail_writer',
      'stubs: no forced row-level security',
    ])
      expect(ran.stdout).toContain(fault);
  });
});

describe('from a PostgreSQL 15 of one’s own', () => {
  let boundary: Boundary;
  let sources: Sources;
  beforeAll(async () => {
    boundary = await openBoundary('postgresql 15');
    const configFile = join(root, 'sealtrail.json');
    const url = new URL(boundary.url('sealtrail_owner'));
    url.password = '${env:OWNER_PASSWORD}';
    const owner_url = decodeURIComponent(url.href);
    const exporters = {
      postgresql: {
        embedded: false,
        owner_url,
        url: owner_url.replace('sealtrail_owner', 'sealtrail_writer').replace('OWNER', 'WRITER'),
      },
      splunk: { endpoints: ['https://splunk.example:8088'], token: 'sealtrail_hec_token' },
      elasticsearch: {
        endpoints: ['https://es.example'],
        username: 'u',
        password: 'inline-password',
      },
    };
    const config = {
      data_dir: join(root, 'data'),
      agent: { vocabulary_file: VOCABULARY },
      receivers: {
        otlp: {
          endpoint: '127.0.0.1:0',
          tenants: ['*'],
          bearer_tokens: [{ token: '${env:TOKEN}', tenants: ['*'] }],
        },
      },
      processors: { redaction: {} },
      exporters,
      tenants: [{ id: 'acme' }],
      service: {
        pipelines: {
          audit: {
            receivers: ['otlp'],
            processors: ['redaction'],
            exporters: Object.keys(exporters),
          },
        },
        telemetry: {},
      },
    };
    writeFileSync(configFile, JSON.stringify(config));
    for (const [at, name] of ['OWNER_PASSWORD', 'WRITER_PASSWORD', 'TOKEN'].entries())
      vi.stubEnv(name, SECRETS[at]);
    const loaded = await loadConfig(configFile, process.env);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
    sources = { config: loaded.value, configFile, address: boundary.url('sealtrail_owner') };
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await boundary[Symbol.asyncDispose]();
  });

  test('where it cannot be put on record, nothing of the store is looked at', async () => {
    await boundary.admin.query('ALTER FUNCTION audit.note_access RENAME TO note_access_away');
    const { guards, keys } = await gatherEvidence(['guards', 'keys'], sources);
    await boundary.admin.query('ALTER FUNCTION audit.note_access_away RENAME TO note_access');
    expect(guards).toMatchObject({
      content: null,
      faults: [expect.stringContaining('lacks migration 0009')],
    });
    expect(keys?.faults).not.toEqual(guards?.faults);
  });

  test('all that the store has to say is in order; stubs that no purge has left are found', async () => {
    const found = await gatherEvidence(
      ['privileges', 'guards', 'retention', 'auditors', 'access', 'clock'],
      sources,
    );
    const faults = Object.entries(found).map(([name, { faults: of }]) => [name, of]);
    expect(faults).toEqual(faults.map(([name]) => [name, []]));
    const filed = await boundary.admin.query(
      `SELECT login, question, tenant_id, allowed, parameters ->> 'artefacts' AS artefacts FROM audit.access_log`,
    );
    expect(filed.rows).toEqual([
      {
        ...{
          login: 'sealtrail_owner',
          question: 'evidence',
          tenant_id: 'sealtrail',
          allowed: true,
        },
        artefacts: Object.keys(found).join(','),
      },
    ]);
    const { store } = await gatherEvidence(['store'], sources);
    expect(store).toMatchObject({
      content: {
        findings: expect.arrayContaining([
          expect.objectContaining({ kind: 'stub_without_purge' }),
        ]) as unknown,
      },
      faults: [expect.stringContaining('"broken"')],
    });
    expect(found.auditors?.content).toMatchObject({
      auditors: [
        { login: 'alice', tenants: ['acme'] },
        { login: 'bob', tenants: ['zeta'] },
      ],
    });
  });

  test('the configuration is shown without one of its secrets', async () => {
    const found = await gatherEvidence(['configuration'], sources);
    const text = JSON.stringify(found);
    for (const secret of SECRETS) expect(text).not.toContain(secret);
    expect(found.configuration?.content).toMatchObject({
      data_dir: join(root, 'data'),
      tenants: [{ id: 'acme' }],
    });
    expect(text).toContain('https://splunk.example:8088');
    expect(text).toMatch(/postgresql:\/\/\(masked\)@127\.0\.0\.1/);
  });

  test('what cannot be had is not in order, and keeps nothing else back', async () => {
    const found = await gatherEvidence(artefactsOf(['pci']), {
      ...sources,
      address: 'postgresql://nobody@127.0.0.1:1/x',
    });
    expect(found.guards?.faults).toEqual([expect.stringContaining('could not be produced')]);
    expect(found.ledger?.faults).toHaveLength(1);
    expect(found.configuration?.faults).toEqual([]);
  });
});
