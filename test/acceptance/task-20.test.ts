/** Task 20: many tenants, no event dropped. */
import pg from 'pg';
import { expect } from 'vitest';
import { runCli } from '../support/agent-process.ts';
import { runGatewayTrial } from '../support/gateway-trial.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import { startPostgres } from '../support/postgres.ts';
import { createSealer } from '../store/sealed.ts';
import { describeTask } from './criterion.ts';

describeTask(20, (criterion) => {
  criterion('a consumer killed midway loses nothing and doubles nothing', async (say) => {
    const report = await runGatewayTrial({ kills: 4, seed: 20 });
    expect(report.acked).toBeGreaterThan(50);
    const { gateway, agent, nats } = report.kills;
    say(
      `${report.acked} acked, each once; killed: ${gateway} gateways, ${agent} agent, ${nats} nats-server`,
    );
  });

  criterion("a tenant's auditor reads that tenant only", async (say) => {
    const server = await startPostgres();
    const store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
    try {
      expect(await store.migrate()).toMatchObject({ ok: true });
      const [acme, globex] = [createSealer(undefined, 'acme'), createSealer(undefined, 'globex')];
      const records = [acme.seal(), globex.seal(), acme.seal(), globex.seal(), globex.seal()];
      expect(await store.appendRecords(records)).toMatchObject({ ok: true, value: { stored: 5 } });
      await asRole(server.url('admin'), (client) =>
        client.query(`CREATE ROLE acme_auditor LOGIN PASSWORD 'pw' IN ROLE sealtrail_auditor`),
      );
      await asRole(server.url('owner'), (client) =>
        client.query(`INSERT INTO audit.auditor_tenants VALUES ('acme_auditor', 'acme')`),
      );
      const url = new URL(server.url('auditor'));
      url.username = 'acme_auditor';
      url.password = 'pw';
      for (const view of ['audit.events', 'audit.sealed_records']) {
        const seen = await tenantsIn(url.href, view);
        expect(seen, view).toEqual(['acme', 'acme']);
        // The other tenant's rows are there, for one who may see them.
        expect(await tenantsIn(server.url('auditor'), view)).toHaveLength(5);
      }
      const verified = await runCli(['verify', '--store', url.href, '--json']);
      expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: 'intact', records: 2 });
      say('2 of 5 records seen, and verified by that login');
    } finally {
      await store.close();
      await server.stop();
    }
  });
});

async function asRole<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function tenantsIn(url: string, view: string): Promise<readonly string[]> {
  const { rows } = await asRole(url, (client) =>
    client.query<{ tenant_id: string }>(`SELECT tenant_id FROM ${view}`),
  );
  return rows.map(({ tenant_id }) => tenant_id);
}
