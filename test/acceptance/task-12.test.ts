/** Task 12: an audit write that fails is never silent. */
import { readdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { expect } from 'vitest';
import { createAudit, type AuditFailure } from '../../sdk/index.ts';
import { startAgentProcess, VOCABULARY } from '../support/agent-process.ts';
import { startPostgres } from '../support/postgres.ts';
import { readRecords } from '../support/outcome.ts';
import { describeTask } from './criterion.ts';
import { expectDefence } from './documents.ts';
import { draft } from './trail.ts';

const ROOT = join(import.meta.dirname, '../..');

describeTask(12, (criterion) => {
  criterion(
    'sink down: a fail-closed action errors and its business change is not committed',
    async () => {
      await using server = await startBusiness();
      await using agent = await startAgentProcess({ exporters: {} });
      const options = {
        service: 'shop',
        vocabulary: VOCABULARY,
        socketPath: agent.socketPath,
        redactionKey: await agent.redactionKey(),
      };
      await using audit = createAudit({ ...options, timeoutMs: 60_000 });
      // Of those who must not be answered it waits less.
      await using hasty = createAudit({ ...options, timeoutMs: 500 });

      /** The change stands only if the record does. */
      async function deleteCustomer(id: string, by = audit): Promise<void> {
        await server.client.query('BEGIN');
        await server.client.query('DELETE FROM customers WHERE id = $1', [id]);
        try {
          await by.record(draft({ action: 'customer.delete', resource: { type: 'customer', id } }));
        } catch (error) {
          await server.client.query('ROLLBACK');
          throw error;
        }
        await server.client.query('COMMIT');
      }

      await deleteCustomer('c-1');
      expect(await server.customers()).toEqual(['c-2']);
      await agent.kill();
      await expect(deleteCustomer('c-2', hasty)).rejects.toMatchObject({
        code: 'agent_unavailable',
      });
      expect(await server.customers()).toEqual(['c-2']);
      await agent.start();
      await deleteCustomer('c-2');
      expect(await server.customers()).toEqual([]);
    },
  );

  criterion('no silent swallow around audit writes in the code', () => {
    const silent =
      /catch\s*(\([^)]*\))?\s*\{\s*(\/\/[^\n]*\s*|\/\*[^]*?\*\/\s*)*\}|\.catch\(\s*\(\w*\)\s*=>\s*(\{\s*\}|undefined|null|void 0)\s*\)/;
    const folders = ['sdk', 'agent', 'ledger', 'store', 'redaction', 'schemas', 'cli', 'examples'];
    const sources = folders.flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
        .map((name) => join(folder, name)),
    );
    const found = sources.filter((path) => silent.test(readFileSync(join(ROOT, path), 'utf8')));
    expect(sources.length).toBeGreaterThan(100);
    expect(found).toEqual([]);
    // The controls, and the rules that keep a promise from being dropped.
    // (Put together here, or this file would be one that swallows.)
    const swallows = ['{}', '(e) { /* later */ }'].map((rest) => `catch ${rest}`);
    for (const swallow of [...swallows, ['x.catch(', '() => undefined)'].join('')])
      expect(swallow).toMatch(silent);
    const rules = readFileSync(join(ROOT, 'eslint.config.js'), 'utf8');
    expect(rules).toMatch(/no-floating-promises': \['error'/);
    expect(rules).toMatch(/'no-empty': \['error', \{ allowEmptyCatch: false \}\]/);
  });

  criterion(
    'sink down: a fail-open action proceeds, is recorded as audit_failure, and alerts',
    async (say) => {
      await using agent = await startAgentProcess({ exporters: {} });
      const spoolDir = join(agent.dir, 'spool');
      const alerts: AuditFailure[] = [];
      await using audit = createAudit({
        service: 'shop',
        vocabulary: VOCABULARY,
        socketPath: agent.socketPath,
        redactionKey: await agent.redactionKey(),
        spool: { dir: spoolDir, afterMs: 100 },
        onAuditFailure: (failure) => alerts.push(failure),
      });
      const { outcome: _, ...login } = draft({ action: 'user.login' });
      const sessions: string[] = [];

      await agent.kill();
      const startedMs = performance.now();
      await audit.audited(login, () => sessions.push('s-1'));
      say(`the action went on after ${(performance.now() - startedMs).toFixed(0)} ms`);
      expect(sessions).toEqual(['s-1']);
      expect(alerts).toMatchObject([
        { action: 'user.login', spooled: true, error: { code: 'agent_unavailable' } },
      ]);
      const name = readdirSync(spoolDir).find((one) => one.startsWith('audit_failure-')) ?? '';
      const text = readFileSync(join(spoolDir, name), 'utf8');
      expect(JSON.parse(text)).toMatchObject({
        ...{ kind: 'audit_failure', action: 'user.login', event_id: alerts[0]?.event_id },
        ...{ fail_policy: 'fail_open', code: 'agent_unavailable', spooled: true },
      });
      expect(text).not.toContain(login.actor?.name);

      // And it is in the trail after all.
      await agent.start();
      await expect.poll(() => audit.stats().spool?.drained).toBe(1);
      const records = await readRecords(join(agent.dir, 'ledger'));
      const found = records.filter(({ event }) => event.event_id === alerts[0]?.event_id);
      expect(found).toHaveLength(1);
    },
  );

  criterion('it is defended, per action, why it fails closed or open', () => {
    const page = readFileSync(join(ROOT, 'docs/FAIL_POLICY.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z_.]+)` \| (open|closed) \| (.+) \|$/gm)];
    const defended = rows.map(([, action, policy]) => [action, `fail_${policy}`]);
    const { actions } = JSON.parse(readFileSync(VOCABULARY, 'utf8')) as {
      actions: { action: string; fail_policy: string }[];
    };
    const declared = actions.map(({ action, fail_policy }) => [action, fail_policy]);
    expect(declared.length).toBeGreaterThan(40);
    expect(defended.toSorted()).toEqual(declared.toSorted());
    for (const [, action, , why = ''] of rows)
      expect([action, why.split(' ').length >= 4]).toEqual([action, true]);
    expectDefence('docs/FAIL_POLICY.md', 'Per action', {
      says: [/refused for as long as auditing is down/, /takes power away/, /moves money/],
      names: ['config/vocabulary.json'],
    });
  });

  criterion('repeated failures flip the system to fail-closed', async (say) => {
    await using agent = await startAgentProcess({ exporters: {} });
    await using audit = createAudit({
      service: 'shop',
      vocabulary: VOCABULARY,
      socketPath: agent.socketPath,
      redactionKey: await agent.redactionKey(),
      spool: { dir: join(agent.dir, 'spool'), afterMs: 100 },
      // Nothing is let through before the end, however slow the machine.
      breaker: { failures: 5, forMs: 0, coolDownMs: 3_600_000 },
    });
    const { outcome: _, ...login } = draft({ action: 'user.login' });
    let sessions = 0;
    const enter = (): Promise<unknown> => audit.audited(login, () => (sessions += 1));

    await audit.record(draft());
    await agent.kill();
    for (let n = 0; n < 5; n++) await enter();
    // Fail-open until here; now nothing is let through, and nothing is begun.
    expect([sessions, audit.stats().breaker]).toEqual([5, 'open']);
    await expect(enter()).rejects.toMatchObject({ code: 'circuit_open', performed: 'no' });
    await expect(audit.record(draft())).rejects.toMatchObject({ code: 'circuit_open' });
    expect(sessions).toBe(5);

    await agent.start();
    await expect.poll(() => audit.stats().breaker).toBe('closed');
    await enter();
    expect(sessions).toBe(6);
    const { spooled = 0 } = audit.stats().spool ?? {};
    expect(spooled).toBeGreaterThanOrEqual(5);
    await expect.poll(() => audit.stats().spool?.drained).toBe(spooled);
    say('open after 5 failures in a row; closed by the ack of a spooled event, without a call');
  });

  criterion('a durable local buffer is drained when the sink recovers', async (say) => {
    await using server = await startBusiness();
    await using bridge = await openBridge(server.port);
    const { port } = bridge;
    const through = (url: string): string =>
      Object.assign(new URL(url), { port: String(port) }).href;
    await using agent = await startAgentProcess({
      exporters: {
        postgresql: {
          embedded: false,
          url: through(server.url('writer')),
          owner_url: through(server.url('owner')),
          retry: { initial_ms: 50, max_ms: 250 },
        },
      },
    });
    await using audit = createAudit({
      service: 'shop',
      vocabulary: VOCABULARY,
      socketPath: agent.socketPath,
      redactionKey: await agent.redactionKey(),
      timeoutMs: 60_000,
    });
    // The database is out of reach: every event is acked all the same, and waits on disk.
    const receipts = await Promise.all(Array.from({ length: 300 }, () => audit.record(draft())));
    await expect
      .poll(async () => (await agent.status()).sinks[0])
      .toMatchObject({ state: 'retrying', delivered_total: 0, last_error: expect.any(String) });
    await agent.kill();
    await agent.start();
    expect((await agent.status()).sinks[0]?.lag_records).toBeGreaterThanOrEqual(300);

    const opened = performance.now();
    bridge.open();
    await agent.delivered();
    say(
      `300 acked while the store was down, agent killed in between; drained ${(performance.now() - opened).toFixed(0)} ms after it came back`,
    );
    const stored = await server.store.query<{ event_id: string }>(
      `SELECT event_id FROM audit.events WHERE action = 'customer.export'`,
    );
    expect(stored.rows.map(({ event_id }) => event_id).toSorted()).toEqual(
      receipts.map(({ event_id }) => event_id).toSorted(),
    );
  });
});

/** A real server with the application's table in one database, and the store of record in another. */
async function startBusiness() {
  const server = await startPostgres();
  const store = new pg.Client(server.url('admin'));
  await store.connect();
  await store.query('CREATE DATABASE shop');
  const client = new pg.Client(
    Object.assign(new URL(server.url('admin')), { pathname: '/shop' }).href,
  );
  await client.connect();
  await client.query(
    `CREATE TABLE customers (id text); INSERT INTO customers VALUES ('c-1'), ('c-2')`,
  );
  return {
    url: server.url,
    port: server.port,
    client,
    store,
    customers: async (): Promise<string[]> => {
      const found = await client.query<{ id: string }>('SELECT id FROM customers ORDER BY id');
      return found.rows.map(({ id }) => id);
    },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await client.end();
      await store.end();
      await server.stop();
    },
  };
}

/** The way to the database, which lets nobody through until it is opened. */
async function openBridge(
  target: number,
): Promise<{ readonly port: number; open(): void } & AsyncDisposable> {
  const sockets: Socket[] = [];
  let isOpen = false;
  const server: Server = createServer((client) => {
    if (!isOpen) return void client.destroy();
    const database = connect(target, '127.0.0.1');
    sockets.push(client, database);
    for (const socket of [client, database]) socket.on('error', () => socket.destroy());
    client.pipe(database).pipe(client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    open: () => (isOpen = true),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
