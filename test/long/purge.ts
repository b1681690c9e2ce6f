/**
 * The model of test/store/false-purge.test.ts, for as long as you like:
 *   SEALTRAIL_RUNS=5000 npx vitest run --config vitest.long.config.ts purge
 */
import { test } from 'vitest';
import { checkPurgeModel } from '../support/purge-model.ts';
import { openPurgeStore } from '../support/purge-store.ts';

const numRuns = Number(process.env['SEALTRAIL_RUNS'] ?? 500);
const seed = Number(process.env['SEALTRAIL_SEED'] ?? Date.now() % 2 ** 31);

test(`${numRuns} orders of holds and purges, seed ${seed}: what is left is what a plain model has left`, async () => {
  await using bench = await openPurgeStore();
  await checkPurgeModel(bench, { numRuns, seed });
});
