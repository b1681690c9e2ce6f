import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runSetup } from '../../cli/setup.ts';
import { ecsMappings } from '../../agent/deliver/setup/search-resources.ts';
import { MAPPING_TABLE } from '../../schemas/mapping-table.ts';
import { placesIn } from '../../schemas/mapping-doc.ts';
import { LEAST, repositoryText } from '../support/config.ts';
import { makeTempDir } from '../support/ledger.ts';
import { startSearchCluster } from '../support/search-cluster.ts';

const STREAM = 'logs-sealtrail.audit-default';
const NAME = `sealtrail-${STREAM}`;

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function setup(
  exporters: object,
  flags: object = {},
  env: NodeJS.ProcessEnv = {},
): Promise<Ran> {
  await using dir = await makeTempDir();
  const config = join(dir.path, 'sealtrail.yaml');
  await writeFile(join(dir.path, 'vocabulary.json'), repositoryText('config/vocabulary.json'));
  await writeFile(config, JSON.stringify({ ...LEAST, exporters }));
  const out: string[] = [];
  const err: string[] = [];
  const code = await runSetup(
    { config, ...flags },
    { env, out: (line) => out.push(line), err: (line) => err.push(line) },
  );
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const at = (url: string, over: object = {}): object => ({
  elasticsearch: { endpoints: [url], timeout_ms: 60_000, ...over },
});

describe.each(['elasticsearch', 'opensearch'] as const)('on %s', (flavor) => {
  test('policy, template and data stream are made once; the second run changes nothing', async () => {
    await using cluster = await startSearchCluster(flavor);
    const first = await setup(at(cluster.url), { json: true });
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(first.out)).toEqual({
      ok: true,
      flavor,
      version: '9.0.0',
      steps: [
        { kind: 'lifecycle_policy', name: NAME, done: 'created' },
        { kind: 'index_template', name: NAME, done: 'created' },
        { kind: 'data_stream', name: STREAM, done: 'created' },
      ],
    });
    expect([...cluster.dataStreams]).toEqual([STREAM]);
    const writes = cluster.writes.length;
    const second = await setup(at(cluster.url));
    expect(second.code).toBe(0);
    expect(second.out.match(/: unchanged$/gm)).toHaveLength(3);
    expect(cluster.writes).toHaveLength(writes);
    expect(cluster.violations).toEqual([]);
  });

  test('another deletion replaces the policy and nothing else', async () => {
    await using cluster = await startSearchCluster(flavor);
    await setup(at(cluster.url));
    expect(JSON.stringify(cluster.policies.get(NAME))).not.toContain('delete');
    const changed = await setup(at(cluster.url), { deleteAfterDays: '2557', json: true });
    expect(changed.code).toBe(0);
    const { steps } = JSON.parse(changed.out) as { steps: readonly { done: string }[] };
    expect(steps.map(({ done }) => done)).toEqual(['updated', 'unchanged', 'unchanged']);
    expect(JSON.stringify(cluster.policies.get(NAME))).toContain('2557d');
  });

  test('a template for OCSF is taken as well', async () => {
    await using cluster = await startSearchCluster(flavor);
    expect(await setup(at(cluster.url, { format: 'ocsf' }))).toMatchObject({ code: 0 });
    expect(cluster.violations).toEqual([]);
  });
});

test('what somebody else made under the name is not touched', async () => {
  await using cluster = await startSearchCluster();
  const theirs = { body: { index_patterns: ['x'], template: {} }, version: 1 };
  cluster.templates.set(NAME, theirs);
  const { code, err } = await setup(at(cluster.url));
  expect(code).toBe(1);
  expect(err).toContain(`index template "${NAME}" is there and not made by sealtrail`);
  expect(cluster.templates.get(NAME)).toBe(theirs);
});

test('metadata is one flattened field, and every place that documents can have is mapped', () => {
  const find = (place: string): unknown =>
    place
      .split('.')
      .reduce<unknown>(
        (node, name) =>
          (node as { properties?: Record<string, unknown> } | undefined)?.properties?.[name],
        ecsMappings('elasticsearch'),
      );
  expect(find('sealtrail.metadata')).toMatchObject({ type: 'flattened' });
  expect(find('source.ip')).toEqual({ type: 'ip' });
  const places = MAPPING_TABLE.flatMap(({ ecs }) => placesIn(ecs));
  expect(places.length).toBeGreaterThan(40);
  for (const place of places) expect(find(place), place).toHaveProperty('type');
  expect(ecsMappings('elasticsearch')).toMatchObject({ dynamic: false });
});

test('--dry-run prints the requests and connects to nobody', async () => {
  const { code, out } = await setup(at('http://127.0.0.1:9'), { dryRun: true });
  expect(code).toBe(0);
  expect(out.match(/^PUT .*/gm)).toEqual([
    `PUT /_ilm/policy/${NAME}`,
    `PUT /_index_template/${NAME}`,
    `PUT /_data_stream/${STREAM}`,
  ]);
  const open = await setup(at('http://127.0.0.1:9'), {
    dryRun: true,
    json: true,
    flavor: 'opensearch',
  });
  expect(JSON.parse(open.out)).toMatchObject({
    ok: true,
    dry_run: true,
    resources: [{ path: `/_plugins/_ism/policies/${NAME}` }, {}, {}],
  });
  expect(open.out).not.toContain('"flattened"');
});

test('the credentials of the setup are its own, from the environment, and never shown', async () => {
  await using cluster = await startSearchCluster();
  cluster.authorize('ApiKey c2V0dXAta2V5');
  const exporters = at(cluster.url, { api_key: 'ZXhwb3J0ZXIta2V5' });
  const refused = await setup(exporters);
  expect(refused.code).toBe(1);
  expect(refused.err).toMatch(/do not allow it \(403\); setup needs manage_ilm/);
  expect(refused.err).not.toContain('ZXhwb3J0');
  const env = { SEALTRAIL_SETUP_API_KEY: 'c2V0dXAta2V5' };
  expect(await setup(exporters, {}, env)).toMatchObject({ code: 0 });
  const unknown = await setup(at(cluster.url));
  expect(unknown).toMatchObject({ code: 1, err: expect.stringContaining('(401)') });
});

test('what cannot be done says why, with the exit code for it', async () => {
  const none = await setup({});
  expect(none).toMatchObject({ code: 2, err: expect.stringContaining('no exporter of type') });
  const two = { ...at('http://127.0.0.1:9'), 'elasticsearch/eu': { endpoints: ['http://a'] } };
  expect(await setup(two)).toMatchObject({
    code: 2,
    err: expect.stringContaining('--exporter: elasticsearch, elasticsearch/eu'),
  });
  expect(await setup(two, { exporter: 'elasticsearch/us' })).toMatchObject({
    code: 2,
    err: expect.stringContaining('no exporter "elasticsearch/us"'),
  });
  const closed = await setup(at('http://127.0.0.1:9'), { json: true });
  expect(closed.code).toBe(2);
  expect(JSON.parse(closed.out)).toEqual({
    ok: false,
    error: expect.stringContaining('ECONNREFUSED'),
  });
  expect(await setup(at('http://a'), { deleteAfterDays: 'soon' })).toMatchObject({ code: 2 });
});
