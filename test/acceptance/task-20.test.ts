/** Task 20: many tenants, no event dropped. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import { createSealer } from '../store/sealed.ts';
import { CLI, runCli, startAgentProcess } from '../support/agent-process.ts';
import { startElasticsearch } from '../support/elasticsearch.ts';
import { startGoodClient } from '../support/good-client.ts';
import { runGatewayTrial } from '../support/gateway-trial.ts';
import { makeTempDir } from '../support/ledger.ts';
import { readRecords } from '../support/outcome.ts';
import { startPostgres } from '../support/postgres.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';

const ROOT = join(import.meta.dirname, '../..');
const EVENTS = 3_000;
/** What telemetry does, each to be named and answered. */
const SHORTCUTS = [
  'sampling',
  'load shedding',
  'ring buffer',
  'limit on retries',
  'overwrite the oldest',
  'deduplicate or aggregate',
  'fire and forget',
  'severity filters',
];

const PAGE = 'docs/OPERATIONS.md';
const PROOF = 'Prove that nothing was lost';
const LINES_MAX = 200;
const PROVEN = 25;

/** The commands of a section, as an operator would paste them. */
function commandsOf(heading: string): string {
  const page = readFileSync(join(ROOT, PAGE), 'utf8');
  const section = page.split(/^## /m).find((one) => one.startsWith(heading)) ?? '';
  return [...section.matchAll(/^```sh\n([^]*?)^```$/gm)].map((match) => match[1]).join('');
}

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

  criterion('a slow SIEM makes the pipeline buffer, not drop', async (say) => {
    await using siem = await startElasticsearch({ delayMs: 1_000 });
    await using agent = await startAgentProcess({
      exporters: { elasticsearch: { endpoints: [siem.url], batch_records_max: 10 } },
    });
    const client = await startGoodClient(agent, { inFlight: 32 });
    await client.reached(EVENTS);
    const { acked, failed } = await client.stop();
    expect(failed).toEqual([]);
    const buffered = (await agent.status()).sinks[0]?.lag_records ?? 0;
    expect(buffered, 'what the SIEM has not taken waits in the ledger').toBeGreaterThan(EVENTS / 2);
    expect(buffered + siem.documents.size).toBeGreaterThanOrEqual(acked.length);

    // Not even a crash of the agent empties the buffer.
    await agent.kill();
    await agent.start();
    delete siem.options.delayMs;
    await agent.delivered();
    const ids = (await readRecords(join(agent.dir, 'ledger'))).map(({ event }) => event.event_id);
    expect(ids).toEqual(expect.arrayContaining(acked.map(({ event_id }) => event_id)));
    expect(siem.eventIds().toSorted()).toEqual(ids.toSorted());
    say(`${buffered} of ${acked.length} events buffered, all of them delivered once`);
  });

  criterion('it is defended why every drop-the-event shortcut is forbidden', (say) => {
    const text = readFileSync(join(ROOT, 'docs/GUARANTEES.md'), 'utf8');
    const section = /^## Why nothing is dropped$([^]*?)^## /m.exec(text)?.[1] ?? '';
    const rows = section
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(2);
    for (const shortcut of SHORTCUTS) {
      const cells = rows.find((row) => row.split(' | ')[0]?.includes(shortcut))?.split(' | ');
      expect(cells, shortcut).toHaveLength(4);
      const [, why = '', instead = '', shown = ''] = cells ?? [];
      expect(why.length, `${shortcut}: why`).toBeGreaterThan(40);
      expect(instead.length, `${shortcut}: what happens instead`).toBeGreaterThan(20);
      // Each answer is held by tests that exist.
      const tests = [...shown.matchAll(/`(test\/[^`]+)`/g)].map((match) => match[1] ?? '');
      expect(tests.length, `${shortcut}: shown by`).toBeGreaterThan(0);
      for (const path of tests) expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
    expect(section).toContain('What gives way is time and availability');
    say(`${rows.length} shortcuts answered in docs/GUARANTEES.md`);
  });

  criterion(
    'one page for operators: back-pressure, tenant queries, proof of no loss',
    async (say) => {
      expect(readFileSync(join(ROOT, PAGE), 'utf8').split('\n').length).toBeLessThan(LINES_MAX);
      expectDefence(PAGE, 'How backpressure behaves', {
        says: [/stop reading/, /429/, /`queue_full`/, /disk is full/, /cursor/],
        names: ['agent/append/queue.ts', 'agent/deliver/loop.ts', 'sdk/options.ts'],
      });
      expectDefence(PAGE, "A tenant's auditor", {
        says: [
          /sealtrail auditor grant/,
          /sealtrail auditor revoke/,
          /row-level security/,
          /sealtrail verify --store/,
        ],
        names: ['store/migrations/0003_access.sql'],
      });
      expectDefence(PAGE, 'Add disk', { says: [/No restart/, /sealtrail verify/] });

      // Every command and option on the page is one that the program has.
      const page = readFileSync(join(ROOT, PAGE), 'utf8');
      const named = [
        ...page.matchAll(
          /\bsealtrail (agent|emit|verify|status|top|tap|init|dlq \w+|config \w+)((?: +(?:--?[a-z-]+|"[^"]*"|[A-Z]+|[0-9]+))*)/g,
        ),
      ];
      expect(named.length).toBeGreaterThan(15);
      for (const [, command = '', rest = ''] of named) {
        const { code, stdout } = await runCli([...command.split(' '), '--help']);
        expect(code, command).toBe(0);
        for (const [option] of rest.matchAll(/--[a-z-]+/g))
          expect(stdout, command).toContain(option);
      }

      // The proof is run as it stands there: it is silent over a sound trail, and names a record that is missing.
      await using agent = await startAgentProcess();
      await using work = await makeTempDir();
      const line = JSON.stringify({
        action: 'user.login',
        outcome: 'success',
        actor: { type: 'user', id: 'u', name: 'A' },
        resource: { type: 'session', id: 's' },
      });
      const { stdout: receipts } = await runCli(['emit', '--json', '--data-dir', agent.dir], {
        input: `${line}\n`.repeat(PROVEN),
      });
      await agent.delivered();
      await mkdir(join(work.path, 'bin'));
      await writeFile(
        join(work.path, 'bin/sealtrail'),
        `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`,
      );
      await chmod(join(work.path, 'bin/sealtrail'), 0o755);
      const auditor = await agent.databaseUrl('auditor');
      const prove = async (receiptLines: string): Promise<string> => {
        await writeFile(join(work.path, 'receipts.ndjson'), receiptLines);
        const env = {
          ...process.env,
          PATH: `${work.path}/bin:${process.env['PATH'] ?? ''}`,
          LC_ALL: 'C',
          SEALTRAIL_DATA_DIR: agent.dir,
          AUDITOR_URL: auditor,
        };
        const ran = spawnSync('bash', ['-euo', 'pipefail', '-c', commandsOf(PROOF)], {
          cwd: work.path,
          env,
          encoding: 'utf8',
          // With a socket there bash may take itself for a remote shell, and read the host's bashrc.
          stdio: ['ignore', 'pipe', 'pipe'],
        });
        expect(ran.stderr).toBe('');
        return ran.stdout;
      };
      expect(await prove(receipts)).toBe('verdict: intact\n');
      expect(existsSync(join(work.path, 'stored.txt'))).toBe(true);
      const lost = JSON.stringify({
        stream: 'sealtrail/test/0/0/standard',
        seq: 7,
        this_hash: 'f'.repeat(64),
      });
      expect(await prove(`${receipts}${lost}\n`)).toBe(
        `verdict: intact\n["sealtrail/test/0/0/standard",7,"${'f'.repeat(64)}"]\n`,
      );
      say(`the proof ran over ${PROVEN} receipts, ledger and store`);
    },
  );
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
