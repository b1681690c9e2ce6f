/**
 * Task 16: retention and legal hold. A real agent with its PostgreSQL, whose clock was eight years back
 * when it took the events, and the program itself, killed in the middle of the purge three times.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, vi } from 'vitest';
import type { StreamPlan } from '../../agent/retain/plan.ts';
import type { Config } from '../../schemas/config.ts';
import { REGIMES } from '../../schemas/regimes.ts';
import { CLI, runCli, startAgentProcess, type AgentProcess } from '../support/agent-process.ts';
import { customerRead, recordEvents } from '../support/record-one-event.ts';
import { describeTask } from './criterion.ts';

const CLOCK = join(import.meta.dirname, '../support/long-ago.mjs');
const TENANTS = ['acme', 'globex'];
const EVENTS = 700;

let agent: AgentProcess;
let admin: pg.Client;
let blocker: pg.Client;
/** What was seen after each kill: places of acme's stream done so far. */
const killedAt: number[] = [];
let holdId = '';

beforeAll(async () => {
  const env: NodeJS.ProcessEnv = { NODE_OPTIONS: `--import ${CLOCK}`, LONG_AGO_DAYS: '2922' };
  agent = await startAgentProcess({
    exporters: { postgresql: { embedded: true, port: 0 } },
    config: { checkpoints: { interval_ms: 20, anchor_interval_ms: 1_000 } },
    env,
  });
  for (const tenant of TENANTS)
    await recordEvents(
      agent,
      tenant,
      Array.from({ length: EVENTS }, (_, at) => customerRead(`c-${at}`, `u-${at}`)),
    );
  await agent.delivered(120_000);
  expect(await agent.stop()).toBe(0);
  // From here on it is today.
  delete env['NODE_OPTIONS'];
  await agent.start();
  await agent.delivered(120_000);
  [admin, blocker] = [await connect(), await connect()];

  const classes = ['retention', 'classes', '-c', agent.configFile];
  expect((await runCli(classes)).code, 'not in force yet').toBe(1);
  expect(await plan('acme')).toMatchObject({ expired: 0, size: 0, policy: null });
  expect((await runCli([...classes, '--apply', '--by', 'dpo'])).code).toBe(0);
  expect((await runCli(classes)).code).toBe(0);
  const placed = await run(
    'hold',
    'add',
    'M-7',
    '--reason',
    'Doe v. Acme',
    '--tenant',
    'acme',
    '--actor',
    'u-300',
    '--json',
  );
  holdId = (JSON.parse(placed) as { hold_id: string }).hold_id;
  await vi.waitFor(async () => expect((await plan('acme')).size).toBe(512), {
    timeout: 60_000,
    interval: 300,
  });

  // After the record, before it reaches the store.
  await killWhile('SELECT pg_advisory_lock(audit.retention_lock())', async () =>
    expect(await agentRecords('retention.purge')).toBe(1),
  );
  // Within the first step.
  await killWhile('BEGIN; LOCK audit.stubs', () => expectBlocked());
  // Between two steps.
  await killWhile(
    `BEGIN; SELECT FROM audit.records r JOIN audit.streams s USING (stream_id)
       WHERE s.tenant_id = 'acme' AND r.seq = 300 FOR UPDATE OF r;
     SELECT FROM audit.records r JOIN audit.streams s USING (stream_id)
       WHERE s.tenant_id = 'acme' AND r.seq = 256 FOR UPDATE OF r`,
    () => expectBlocked(),
  );
  await run('retention', 'purge');
}, 400_000);

afterAll(async () => {
  await admin.end();
  await blocker.end();
  await agent[Symbol.asyncDispose]();
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client(await agent.databaseUrl('admin'));
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Runs a command of the program that has to succeed. */
async function run(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli([...args, '--data-dir', agent.dir]);
  expect(code, stderr).toBe(0);
  return stdout;
}

async function plan(tenant: string): Promise<StreamPlan> {
  const plans = JSON.parse(await run('retention', 'plan', '--json')) as StreamPlan[];
  const found = plans.find((one) => one.tenant === tenant);
  if (found === undefined) throw new Error(`no stream of ${tenant}`);
  return found;
}

/** Starts a purge while something stands in its way, and kills it with -9 once it is there. */
async function killWhile(obstacle: string, isThere: () => Promise<void>): Promise<void> {
  await blocker.query(obstacle);
  const child = spawn(
    process.execPath,
    [CLI, 'retention', 'purge', '--batch', '256', '--data-dir', agent.dir],
    { stdio: 'ignore' },
  );
  await vi.waitFor(isThere, { timeout: 120_000, interval: 50 });
  child.kill('SIGKILL');
  await once(child, 'exit');
  // The host of both is gone, as it were: the server does not go on alone.
  await admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sealtrail_retention'`,
  );
  await blocker.query('SELECT pg_advisory_unlock_all(); ROLLBACK');
  await vi.waitFor(async () => expect(await blocked()).toBe(0), { timeout: 120_000, interval: 50 });
  const done = await admin.query<{ done_to: string }>(
    `SELECT done_to FROM audit.purges JOIN audit.streams USING (stream_id) WHERE tenant_id = 'acme'`,
  );
  killedAt.push(Number(done.rows[0]?.done_to ?? -1));
}

async function blocked(): Promise<number> {
  const found = await admin.query<{ n: string }>(
    `SELECT count(*) AS n FROM pg_stat_activity
     WHERE query LIKE '%audit.purge(%' AND usename = 'sealtrail_retention'`,
  );
  return Number(found.rows[0]?.n);
}

async function expectBlocked(): Promise<void> {
  const found = await admin.query(
    `SELECT FROM pg_stat_activity WHERE usename = 'sealtrail_retention' AND wait_event_type = 'Lock'`,
  );
  expect(found.rowCount).toBe(1);
}

/** How many records of an action the agent's ledger holds for acme. */
async function agentRecords(action: string): Promise<number> {
  const text = await readFile(join(agent.dir, 'ledger', `${'0'.repeat(20)}.ndjson`), 'utf8');
  return text
    .split('\n')
    .filter((line) => line.includes(`"action":"${action}"`) && line.includes('"tenant_id":"acme"'))
    .length;
}

async function actorsOf(tenant: string): Promise<readonly string[]> {
  const found = await admin.query<{ actor_id: string }>(
    `SELECT actor_id FROM audit.events WHERE tenant_id = $1 AND actor_id LIKE 'u-%' ORDER BY seq`,
    [tenant],
  );
  return found.rows.map(({ actor_id }) => actor_id);
}

const later = (from: number): string[] =>
  Array.from({ length: EVENTS - from }, (_, at) => `u-${from + at}`);

async function verify(): Promise<{ readonly verdict: string; readonly notes: readonly string[] }> {
  const { stdout } = await runCli([
    'verify',
    '--store',
    await agent.databaseUrl('auditor'),
    '--json',
  ]);
  return JSON.parse(stdout) as Awaited<ReturnType<typeof verify>>;
}

describeTask(16, (criterion) => {
  criterion('an expired event without hold is purged', async () => {
    // Seq 0 is the genesis, so that seq 512 is the event of u-511.
    expect(await actorsOf('globex')).toEqual(later(511));
  });

  criterion('an expired event under hold is kept', async () => {
    expect(await actorsOf('acme')).toEqual(['u-300', ...later(511)]);
    expect(await plan('acme')).toMatchObject({ size: 0, held: 1, matters: ['M-7'], stubs: 255 });
  });

  criterion('the purge is idempotent and resumes after a crash', async (say) => {
    say(`killed at ${killedAt.join(', ')} of 512`);
    expect(killedAt).toEqual([-1, -1, 256]);
    expect(await agentRecords('retention.purge'), 'recorded once').toBe(1);
    const counted = await admin.query(
      `SELECT tenant_id, purged::int, finished_at IS NOT NULL AS finished
       FROM audit.purges JOIN audit.streams USING (stream_id) ORDER BY 1`,
    );
    expect(counted.rows).toEqual([
      { tenant_id: 'acme', purged: 511, finished: true },
      { tenant_id: 'globex', purged: 512, finished: true },
    ]);
    expect(await run('retention', 'purge')).toContain('nothing is due');
    expect(await agentRecords('retention.purge')).toBe(1);
  });

  criterion('what remains after a purge still verifies', async () => {
    const verified = await verify();
    expect(verified.verdict, JSON.stringify(verified)).toBe('intact');
    expect(verified.notes.join('\n')).toContain('up to seq 511 were purged, 1 of them kept');
    // A later record is proven as before: the tree has not changed.
    const found = await admin.query<{ event_id: string }>(
      `SELECT event_id FROM audit.events WHERE tenant_id = 'globex' AND actor_id = 'u-600'`,
    );
    const proof = join(agent.dir, 'event.proof');
    await run('prove', found.rows[0]?.event_id ?? '', '--out', proof);
    const trust = join(agent.dir, 'trusted-keys.txt');
    await writeFile(trust, await run('keys', 'list'));
    const checked = await runCli(['check', proof, '--trust', trust]);
    expect(checked.code, checked.stderr).toBe(0);
    // Untouched it verifies; taken away without a record it does not.
    await admin.query('BEGIN; ALTER TABLE audit.records DISABLE TRIGGER USER');
    await admin.query(`DELETE FROM audit.records USING audit.streams s
      WHERE records.stream_id = s.stream_id AND s.tenant_id = 'globex' AND seq < 600; COMMIT`);
    expect((await verify()).verdict).toBe('broken');
  });

  criterion('lifting the hold lets the next purge remove it', async () => {
    await run('hold', 'lift', holdId, '--reason', 'settled');
    expect(await plan('acme')).toMatchObject({ size: 512, records: 1, held: 0 });
    expect(await run('retention', 'purge')).toContain('1 records before seq 512 purged');
    expect(await actorsOf('acme')).toEqual(later(511));
  });

  criterion('the purge is itself in the audit trail', async () => {
    await agent.delivered(120_000);
    const found = await admin.query(
      `SELECT action, actor_id, payload -> 'metadata' ->> 'records' AS records,
         payload -> 'metadata' ->> 'matter' AS matter, payload -> 'metadata' ->> 'kept' AS kept
       FROM audit.events WHERE action ~ '^(retention|hold)' AND tenant_id IN ('acme', 'sealtrail')
       ORDER BY received_at`,
    );
    expect(found.rows).toMatchObject([
      { action: 'retention.classes_set', actor_id: 'dpo' },
      { action: 'hold.placed', matter: 'M-7' },
      { action: 'retention.purge', records: '511', kept: '1' },
      { action: 'hold.lifted', matter: 'M-7' },
      { action: 'retention.purge', records: '1', kept: '0' },
    ]);
  });

  criterion('retention periods are mapped to at least two regimes', async () => {
    const shown = JSON.parse(
      (await runCli(['retention', 'classes', '-c', agent.configFile, '--json'])).stdout,
    ) as (Config['retention']['classes'][string] & { readonly class: string })[];
    const page = await readFile(join(import.meta.dirname, '../../docs/RETENTION.md'), 'utf8');
    for (const { name, days, source } of REGIMES) {
      const meant = shown.filter(({ regime }) => regime.startsWith(name));
      expect(meant.length, name).toBeGreaterThan(0);
      for (const one of meant) expect(one.days, name).toBeGreaterThanOrEqual(days);
      expect(page).toContain(source);
    }
    expect(REGIMES.map(({ name }) => name)).toEqual(['PCI DSS', 'HIPAA', 'SOX']);
  });
});
