/** An agent with local retention removes what everybody has, and goes on, is verified and started again without it. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createAudit } from '../../sdk/index.ts';
import { makeTempDir } from '../support/ledger.ts';
import { runCli, startAgentProcess, VOCABULARY } from '../support/agent-process.ts';

const CLOCK = join(import.meta.dirname, '../support/long-ago.mjs');

test('old segments go once store, checkpoints and anchors have them; ledger and store verify, and a start is whole', async () => {
  const env: NodeJS.ProcessEnv = { NODE_OPTIONS: `--import ${CLOCK}`, LONG_AGO_DAYS: '30' };
  await using mount = await makeTempDir();
  await using agent = await startAgentProcess({
    exporters: { postgresql: { embedded: true, port: 0 } },
    config: {
      checkpoints: { interval_ms: 20, anchor_interval_ms: 1_000 },
      ledger: { segment_bytes: 1 << 18, batch_bytes_max: 1 << 17 },
      retention: { local_days: 7 },
      processors: { redaction: { keep_emails: false } },
      anchors: { quorum: 1, file: [{ name: 'mount', path: join(mount.path, 'anchor') }] },
    },
    env,
  });
  const audit = createAudit({
    service: 'shop',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
    timeoutMs: 60_000,
    tenant: 'acme',
  });
  const padding = 'a plain word '.repeat(80);
  for (let batch = 0; batch < 5; batch += 1)
    await Promise.all(
      Array.from({ length: 200 }, () =>
        audit.record({
          action: 'customer.read',
          outcome: 'success',
          actor: { type: 'user', id: 'u-1', name: 'ada@example.org' },
          resource: { type: 'customer', id: 'c-1' },
          metadata: { padding },
        }),
      ),
    );
  await audit.close();
  await agent.delivered(60_000);
  const segments = async (): Promise<string[]> =>
    (await readdir(join(agent.dir, 'ledger'))).filter((name) => /^\d{20}\.ndjson$/.test(name));
  expect((await segments()).length).toBeGreaterThan(3);
  await agent.stop();
  delete env['NODE_OPTIONS'];
  await agent.start();
  await vi.waitFor(async () => expect(await segments()).toHaveLength(2), {
    timeout: 60_000,
    interval: 200,
  });
  await agent.delivered();
  // The SDK kept it, as it does without a vault; the agent was told not to.
  const texts = (await segments()).map((name) => readFile(join(agent.dir, 'ledger', name), 'utf8'));
  const kept = (await Promise.all(texts)).join('');
  expect(kept).toContain('"name":"tok_');
  expect(kept).not.toContain('example.org');
  const verified = await runCli(['verify', agent.dir, '--json']);
  expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: 'intact', gaps: [] });
  const stored = await runCli(['verify', '--store', await agent.databaseUrl('auditor'), '--json']);
  expect(JSON.parse(stored.stdout)).toMatchObject({ verdict: 'intact' });
  expect(await agent.stop()).toBe(0);
  await agent.start();
  await vi.waitFor(
    async () =>
      expect(await agent.status()).toMatchObject({
        rollback: null,
        checkpoints: { state: 'running', last_error: null },
      }),
    { timeout: 30_000, interval: 100 },
  );
}, 240_000);
