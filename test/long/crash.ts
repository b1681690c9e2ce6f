/**
 * The crash trial of test/e2e/crash.test.ts, for hours: `npm run crash -- --kills 5000 [--seed N]`.
 * In rounds, each with a data directory and a seed of its own, so that the disk does not fill up and
 * what a round found can be repeated by itself.
 */
import { expect, test } from 'vitest';
import { runCrashTrial } from '../support/crash-trial.ts';

const KILLS_PER_ROUND = 250;

const kills = Number(process.env['SEALTRAIL_KILLS'] ?? 1000);
const seed = Number(process.env['SEALTRAIL_SEED'] ?? Date.now() % 2 ** 31);

test(`${kills} kills under load: every acked event is there once, in ledger, store, ECS and OCSF file`, async () => {
  let done = 0;
  let acked = 0;
  for (let round = 0; done < kills; round++) {
    const report = await runCrashTrial({
      kills: Math.min(KILLS_PER_ROUND, kills - done),
      seed: seed + round,
      say: (line) => console.log(`crash: ${line}`),
    });
    done += report.kills;
    acked += report.acked;
    console.log(`crash: round ${round + 1}: ${JSON.stringify(report)}`);
  }
  console.log(`crash: ${done} kills, ${acked} acked events, each there once`);
  // An agent and its database may go at once: one more than asked for.
  expect(done).toBeGreaterThanOrEqual(kills);
});
