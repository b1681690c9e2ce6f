/** The crash trial in short; `npm run crash` runs it for hours. */
import { expect, test } from 'vitest';
import { ACKED_MIN, runCrashTrial } from '../support/crash-trial.ts';

test('agent, producers and database are killed, 16 processes in all, under load: every acked event is there once, in ledger, store, ECS and OCSF file', async () => {
  const seed = Number(process.env['SEALTRAIL_SEED'] ?? Date.now() % 2 ** 31);
  const report = await runCrashTrial({
    kills: 16,
    seed,
    say: (line) => console.log(`crash: ${line}`),
  });
  console.log(`crash: ${JSON.stringify(report)}`);
  expect(report.kills).toBeGreaterThanOrEqual(16);
  expect(report.acked).toBeGreaterThan(ACKED_MIN);
}, 900_000);
