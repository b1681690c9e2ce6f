/**
 * The gateway trial of test/acceptance/task-20.test.ts, for as long as you like:
 *   SEALTRAIL_KILLS=500 npx vitest run --config vitest.long.config.ts gateway
 */
import { expect, test } from 'vitest';
import { runGatewayTrial } from '../support/gateway-trial.ts';

const KILLS_PER_ROUND = 40;

const kills = Number(process.env['SEALTRAIL_KILLS'] ?? 200);
const seed = Number(process.env['SEALTRAIL_SEED'] ?? Date.now() % 2 ** 31);

test(`${kills} kills of gateways, agents and nats-server: every acked event is in the store, once`, async () => {
  let done = 0;
  for (let round = 0; done < kills; round++) {
    const report = await runGatewayTrial({
      kills: Math.min(KILLS_PER_ROUND, kills - done),
      seed: seed + round,
      say: (line) => console.log(`gateway: ${line}`),
    });
    done += report.kills.gateway + report.kills.agent + report.kills.nats;
    console.log(`gateway: round ${round + 1}: ${JSON.stringify(report)}`);
  }
  expect(done).toBe(kills);
});
