/** Agents, nats-server and gateways killed under load: nothing is lost, nothing is doubled. */
import { expect } from 'vitest';
import { testWhere } from '../support/host.ts';
import { hasNats } from '../support/nats.ts';
import { runGatewayTrial } from '../support/gateway-trial.ts';

testWhere(hasNats, 'the gateway trial needs nats-server')(
  '4 kills under load: every acked event is in the store, once, and every stream verifies',
  { timeout: 900_000 },
  async () => {
    const report = await runGatewayTrial({
      kills: 4,
      seed: Date.now() % 2 ** 31,
      say: console.log,
    });
    console.log(JSON.stringify(report));
    expect(report.kills).toEqual({ gateway: 2, agent: 1, nats: 1 });
    expect(report.acked).toBeGreaterThan(100);
  },
);
