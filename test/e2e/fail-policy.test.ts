/** Fail policies with the real agent: it and the application are killed in turn, and nothing told is lost. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import { createAudit, type Audit } from '../../sdk/index.ts';
import {
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
} from '../support/agent-process.ts';
import { leaveSpool } from '../support/spooling.ts';

const SCRIPT = join(import.meta.dirname, '../support/producers/spooling.mjs');

interface App {
  readonly child: ChildProcess;
  count(what: 'acked' | 'spooled' | 'failed'): number;
  ids(): readonly string[];
}

async function startApp(agent: AgentProcess, name: string, spoolDir: string): Promise<App> {
  const log = join(agent.dir, `${name}.ndjson`);
  const options = { socketPath: agent.socketPath, vocabulary: VOCABULARY, service: name, log };
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify({ ...options, spoolDir })], {
    env: { ...process.env, SEALTRAIL_REDACTION_KEY: await agent.redactionKey() },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const notes = (): Record<string, string>[] =>
    !existsSync(log)
      ? []
      : readFileSync(log, 'utf8')
          .split('\n')
          .filter((line) => line.endsWith('}'))
          .map((line) => JSON.parse(line) as Record<string, string>);
  return {
    child,
    count: (what) => notes().filter((note) => what in note).length,
    ids: () => notes().flatMap(({ acked, spooled }) => acked ?? spooled ?? []),
  };
}

async function end(app: App, signal: NodeJS.Signals): Promise<void> {
  const exited = once(app.child, 'exit');
  app.child.kill(signal);
  await exited;
}

const eventually = { timeout: 40_000, interval: 50 };

test('kill -9 of the agent and of applications while they spool: every event told as acked or spooled is in the store, and seen once', async () => {
  await using agent = await startAgentProcess();
  const spoolDir = join(agent.dir, 'spool');
  const apps: App[] = [];
  for (let round = 0; round < 2; round++) {
    const [first, second] = [
      await startApp(agent, `app-${round}-a`, spoolDir),
      await startApp(agent, `app-${round}-b`, spoolDir),
    ];
    apps.push(first, second);
    await expect.poll(() => first.count('acked'), eventually).toBeGreaterThan(100);
    await agent.kill();
    for (const app of [first, second])
      await expect.poll(() => app.count('spooled'), eventually).toBeGreaterThan(100);
    // One dies while it spools. The other sees the agent come back, and dies while it drains, or is stopped later.
    await end(first, 'SIGKILL');
    await agent.start();
    if (round === 1) await end(second, 'SIGKILL');
  }
  await end(apps[1]!, 'SIGTERM');
  for (const app of apps) expect(app.count('failed')).toBe(0);

  // What the dead left behind is taken over by the next one, if nobody who lived on was faster; of this one for sure.
  const left = leaveSpool(spoolDir, 150);
  await using heir = createAudit({
    service: 'heir',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
    spool: { dir: spoolDir },
  });
  const waiting = (): string[] =>
    readdirSync(spoolDir, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /[0-9A-Z]{26}\/.*ndjson$/.test(name),
    );
  await expect.poll(waiting, eventually).toEqual([]);
  expect(heir.stats().spool?.drained).toBeGreaterThanOrEqual(150);

  await agent.delivered();
  const client = new pg.Client(await agent.databaseUrl('auditor'));
  await client.connect();
  const { rows } = await client.query<{ event_id: string; times: string }>(
    `SELECT event_id, count(*) AS times FROM audit.events WHERE tenant_id = 'acme' GROUP BY 1`,
  );
  await client.end();
  const told = [...left.ids, ...apps.flatMap((app) => app.ids())];
  const seen = new Set(rows.map(({ event_id }) => event_id));
  expect(told.filter((id) => !seen.has(id))).toEqual([]);
  expect(rows.filter(({ times }) => times !== '1')).toEqual([]);
  expect((await runCli(['verify', agent.dir])).code).toBe(0);
}, 600_000);

test('with the agent killed, a fail-closed action does not begin, a fail-open one does, and both are told', async () => {
  await using agent = await startAgentProcess({ exporters: {} });
  const alerts: string[] = [];
  const options = {
    service: 'shop',
    vocabulary: VOCABULARY,
    socketPath: agent.socketPath,
    redactionKey: await agent.redactionKey(),
  };
  // While the agent is there nothing hangs on how long it takes.
  await using patient = createAudit({ ...options, timeoutMs: 60_000 });
  await using audit = createAudit({
    ...options,
    timeoutMs: 3000,
    spool: { dir: join(agent.dir, 'spool'), afterMs: 50 },
    onAuditFailure: ({ action, spooled }) => alerts.push(`${action} ${spooled}`),
  });
  const actor = { type: 'user', id: 'u-1', name: 'Ada' } as const;
  const resource = { type: 'customer', id: 'c-1' };
  const done: string[] = [];
  const remove = (by: Audit<unknown>): Promise<unknown> =>
    by.audited({ action: 'customer.delete', actor, resource }, () => done.push('delete'));
  const login = (): Promise<unknown> =>
    audit.audited({ action: 'user.login', actor, resource }, () => done.push('login'));

  await remove(patient);
  await agent.kill();
  await expect(remove(audit)).rejects.toMatchObject({ code: 'agent_unavailable', performed: 'no' });
  await login();
  expect(done).toEqual(['delete', 'login']);
  expect(alerts).toEqual(['customer.delete false', 'user.login true']);
  await agent.start();
  await remove(patient);
  await expect.poll(() => audit.stats().spool?.drained, eventually).toBe(1);
  expect(done).toEqual(['delete', 'login', 'delete']);
  expect((await runCli(['verify', agent.dir])).code).toBe(0);
});
