/** What a reload applies and what it leaves for a restart, decided from two configurations. */
import { expect, test } from 'vitest';
import { planReload, type ReloadPlan } from '../../agent/reload-plan.ts';
import type { Config } from '../../schemas/config.ts';
import { LEAST, loaded } from '../support/config.ts';

const FILE = { path: 'siem/ecs.ndjson', format: 'ecs' };
const TOKEN = { token: 'a-token-of-20-letters', tenants: ['acme'] };
const OTHER_TOKEN = { token: 'another-token-of-26-letter', tenants: ['acme'] };
const OTLP = { tenants: ['acme'], bearer_tokens: [TOKEN] };
const START = {
  ...LEAST,
  data_dir: '/tmp/planned',
  receivers: { socket: { tenants: ['*'] }, otlp: OTLP },
  exporters: { 'file/ecs': FILE },
};

/** Plans from START to START with changes; both come out of a file, so both were checked. */
async function plan(
  changes: object,
  isVocabularyChanged = false,
): Promise<ReloadPlan & { readonly before: Config }> {
  const before = await loaded(START);
  // The folder of the file is another one each time.
  const same = { agent: before.agent };
  const wanted = { ...(await loaded({ ...START, ...changes })) };
  const next = { ...wanted, agent: { ...wanted.agent, ...same.agent } };
  return { ...planReload(before, next, isVocabularyChanged), before };
}

test('a file that says the same changes nothing', async () => {
  const { config, applied, needs_restart, before } = await plan({});
  expect({ applied, needs_restart }).toEqual({ applied: [], needs_restart: [] });
  expect(config).toEqual(before);
});

test('tenants, lists, keys to mask, the log level, the vocabulary and exporters are applied', async () => {
  const { config, applied, needs_restart } = await plan(
    {
      tenants: [{ id: 'acme' }, { id: 'globex' }],
      receivers: { socket: { tenants: ['acme'] }, otlp: { ...OTLP, bearer_tokens: [OTHER_TOKEN] } },
      processors: { redaction: { sensitive_keys: ['iban'] } },
      service: { telemetry: { log_level: 'debug' } },
      exporters: {
        'file/ecs': { ...FILE, timeout_ms: 5_000 },
        'file/ocsf': { ...FILE, path: 'b', format: 'ocsf' },
      },
    },
    true,
  );
  expect(needs_restart).toEqual([]);
  expect([...applied].sort()).toEqual([
    'exporters.file/ecs',
    'exporters.file/ocsf',
    'processors.redaction.sensitive_keys',
    'receivers.otlp.bearer_tokens',
    'receivers.socket.tenants',
    'service.telemetry.log_level',
    'tenants',
    'vocabulary',
  ]);
  expect(config.tenants.map(({ id }) => id)).toEqual(['acme', 'globex']);
  expect(config.receivers.otlp?.bearer_tokens).toEqual([OTHER_TOKEN]);
  expect(config.exporters.map(({ name }) => name)).toEqual(['file/ecs', 'file/ocsf']);
  expect(config.exporters[0]?.timeout_ms).toBe(5_000);
  expect(applied.join(), 'names, no values').not.toContain('iban');
});

test('an exporter that is gone is taken away', async () => {
  const { config, applied } = await plan({ exporters: {} });
  expect(applied).toEqual(['exporters.file/ecs']);
  expect(config.exporters).toEqual([]);
});

test('what is built at start stays as it is, and is named', async () => {
  const { config, applied, needs_restart, before } = await plan({
    ledger: { segment_bytes: 128 * 1024 * 1024 },
    tenants: [{ id: 'acme' }, { id: 'globex' }],
    service: { shutdown_timeout_ms: 20_000 },
  });
  expect([...needs_restart].sort()).toEqual([
    'ledger.segment_bytes',
    'service.shutdown_timeout_ms',
  ]);
  expect(applied).toEqual(['tenants']);
  expect(config.ledger).toEqual(before.ledger);
  expect(config.service).toEqual(before.service);
});

test('the tokens of a receiver never go without its endpoint: an open door would be left behind', async () => {
  const { config, applied, needs_restart, before } = await plan({
    receivers: {
      socket: { tenants: ['*'] },
      otlp: { tenants: ['acme'], endpoint: '127.0.0.1:14318' },
    },
  });
  expect(applied).toEqual([]);
  expect([...needs_restart].sort()).toEqual([
    'receivers.otlp.bearer_tokens',
    'receivers.otlp.endpoint',
  ]);
  expect(config.receivers).toEqual(before.receivers);
});

test('the embedded database comes and goes with the agent, but how it is fed may change', async () => {
  const added = await plan({ exporters: { 'file/ecs': FILE, postgresql: { embedded: true } } });
  expect(added).toMatchObject({ applied: [], needs_restart: ['exporters.postgresql'] });
  expect(added.config.exporters.map(({ name }) => name)).toEqual(['file/ecs']);
  const before = await loaded({ ...START, exporters: { postgresql: { embedded: true } } });
  const [exporter] = before.exporters;
  const slower = { ...before, exporters: [{ ...exporter!, timeout_ms: 90_000 }] };
  expect(planReload(before, slower, false)).toMatchObject({
    applied: ['exporters.postgresql'],
    needs_restart: [],
    config: slower,
  });
});

test('of a file for another data directory nothing is applied', async () => {
  const { config, applied, needs_restart, before } = await plan(
    { data_dir: '/tmp/other', tenants: [{ id: 'acme' }, { id: 'globex' }] },
    true,
  );
  expect(applied).toEqual([]);
  expect(needs_restart).toEqual(expect.arrayContaining(['data_dir', 'tenants', 'vocabulary']));
  expect(config).toEqual(before);
});
