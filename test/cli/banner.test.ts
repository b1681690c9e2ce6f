/** What the agent says of itself when it stands. */
import { expect, test } from 'vitest';
import type { Agent } from '../../agent/agent-interface.ts';
import { loadConfig } from '../../agent/config.ts';
import { describeAgent } from '../../cli/banner.ts';
import type { Config } from '../../schemas/config.ts';

const AGENT: Agent = {
  listening: { socket: null, otlp: null, admin: 'http://127.0.0.1:9464' },
  generatedKeys: [],
  database: null,
  failed: new Promise(() => undefined),
  reload: () => Promise.reject(new Error('not asked')),
  stop: () => Promise.resolve(),
};

test('an agent that could not notice a rollback says so in one line, and one that could does not', async () => {
  const loaded = await loadConfig('config/sealtrail.yaml', {});
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  const config = loaded.value;
  const told = (of: Config): number =>
    describeAgent(of, AGENT)
      .split('\n')
      .filter((line) => line.includes('rollback') && line.includes('ledger.head_file')).length;
  expect(config.exporters.some((one) => one.type === 'postgresql' && one.embedded)).toBe(true);
  expect(told(config)).toBe(1);
  expect(told({ ...config, ledger: { ...config.ledger, head_file: '/mnt/head.json' } })).toBe(0);
  const exporters = config.exporters.map((one) =>
    one.type === 'postgresql' ? { ...one, embedded: false as const } : one,
  );
  expect(told({ ...config, exporters })).toBe(0);
});
