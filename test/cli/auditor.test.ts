/** An auditor is granted and revoked by command, and what the auditor asks is in the trail, sealed. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { noteAccess } from '../../auditor/access.ts';
import type { Asked } from '../../auditor/answer.ts';
import { runCli, type Ran } from '../support/agent-process.ts';
import { openTrail, draft, type Trail } from '../acceptance/trail.ts';

const PASSWORD = 'correct horse battery';
let trail: Trail;
let owner: pg.Client;

const auditor = (...args: string[]): Promise<Ran> =>
  runCli(
    [
      'auditor',
      ...args,
      '--data-dir',
      trail.agent.dir,
      ...(args[0] === 'list' ? [] : ['--by', 'ada', '--reason', 'SOC 2']),
    ],
    {
      env: { SEALTRAIL_AUDITOR_PASSWORD: PASSWORD },
    },
  );

interface Own {
  readonly action: string;
  readonly outcome: string;
  readonly tenant_id: string;
  readonly actor_id: string;
  readonly resource_id: string;
  readonly payload: { readonly metadata: { readonly [name: string]: unknown } };
}
const eventsOf = async (like: string): Promise<readonly Own[]> =>
  (
    await owner.query<Own>(
      `SELECT action, outcome, tenant_id, actor_id, resource_id, payload FROM audit.events WHERE action LIKE $1 ORDER BY occurred_at, seq`,
      [like],
    )
  ).rows;

beforeAll(async () => {
  trail = await openTrail();
  await trail.audit.record(draft());
  const globex = await trail.openAudit({ tenant: 'globex' });
  await globex.record(draft());
  owner = await trail.connect('owner');
});
afterAll(() => trail[Symbol.asyncDispose]());

async function connectAs(login: string): Promise<pg.Client> {
  const url = new URL(await trail.agent.databaseUrl('auditor'));
  [url.username, url.password] = [login, PASSWORD];
  const client = new pg.Client({ connectionString: url.href, pipeline: true });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

test('a grant makes the login, is on record, and is listed', async () => {
  const granted = await auditor('grant', 'alice', '--tenant', 'acme');
  expect(granted).toMatchObject({ code: 0, stdout: 'alice  sees acme\n', stderr: '' });
  const alice = await connectAs('alice');
  const seen = await alice.query('SELECT DISTINCT tenant_id FROM audit.events');
  expect(seen.rows).toEqual([{ tenant_id: 'acme' }]);
  await alice.end();
  const listed = await auditor('list');
  expect([listed.code, listed.stdout]).toEqual([0, expect.stringContaining('alice  sees acme')]);
  await trail.agent.delivered();
  expect(await eventsOf('auditor.%')).toMatchObject([
    {
      action: 'auditor.granted',
      outcome: 'success',
      actor_id: 'ada',
      resource_id: 'alice',
      payload: { metadata: { tenants: ['acme'], reason: 'SOC 2' } },
    },
  ]);
  expect(JSON.stringify(await eventsOf('auditor.%'))).not.toContain(PASSWORD);
});

test('a grant that is refused is on record as a failure', async () => {
  const refused = await auditor('grant', 'sealtrail_owner', '--tenant', 'acme');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('has a use for')]);
  await owner.query('SELECT 1');
  const admin = await trail.connect('admin');
  await admin.query('CREATE ROLE eve LOGIN IN ROLE sealtrail_writer');
  const eve = await auditor('grant', 'eve', '--tenant', 'acme', '--no-password');
  expect([eve.code, eve.stderr]).toEqual([
    1,
    expect.stringContaining('member of sealtrail_writer'),
  ]);
  await trail.agent.delivered();
  expect(
    (await eventsOf('auditor.%')).map(({ resource_id, outcome }) => [resource_id, outcome]),
  ).toEqual([
    ['alice', 'success'],
    ['eve', 'success'],
    ['eve', 'failure'],
  ]);
});

/** Events of several streams have no other order than their times. */
function nextMillisecond(): void {
  for (const begun = Date.now(); Date.now() === begun;);
}

test('what an auditor asks, and what is refused, becomes a sealed event of the tenant asked about, once', async () => {
  const asked = (tenant: string): Asked => ({
    ...{
      question: 'actor-activity',
      tenant,
      timeZone: 'Europe/Berlin',
      parameters: { actor: 'u-17' },
    },
    ...{ since: '2026-11-01T00:00:00Z', until: '2026-12-01T00:00:00Z' },
  });
  const alice = await connectAs('alice');
  expect(await noteAccess(alice, asked('acme'))).toMatchObject({ ok: true });
  for (const tenant of ['globex', 'guessed-name']) {
    nextMillisecond();
    expect(await noteAccess(alice, asked(tenant))).toMatchObject({ error: { kind: 'forbidden' } });
  }
  nextMillisecond();
  // Too deep for an event: its digest stands for it.
  const deep = `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`;
  await alice.query(`SELECT audit.note_access('deep', 'acme', 'infinity', NULL, $1)`, [deep]);
  await vi.waitFor(async () => expect(await eventsOf('trail.%')).toHaveLength(4), {
    timeout: 60_000,
    interval: 100,
  });
  const common = {
    actor_id: 'alice',
    payload: {
      metadata: {
        question: 'actor-activity',
        parameters: { actor: 'u-17', time_zone: 'Europe/Berlin' },
        since: '2026-11-01T00:00:00.000Z',
      },
    },
  };
  expect(await eventsOf('trail.%')).toMatchObject([
    { ...common, action: 'trail.read', outcome: 'success', tenant_id: 'acme', resource_id: 'acme' },
    {
      ...common,
      action: 'trail.read_refused',
      outcome: 'denied',
      tenant_id: 'globex',
      resource_id: 'globex',
    },
    // Nobody makes a stream by guessing a name.
    {
      ...common,
      action: 'trail.read_refused',
      tenant_id: 'sealtrail',
      resource_id: 'guessed-name',
    },
    {
      action: 'trail.read',
      payload: {
        metadata: { question: 'deep', parameters_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      },
    },
  ]);
  await trail.agent.delivered();
  // Whoever carries them settles that after they are in the trail, and may stand still in between.
  await expect
    .poll(async () => (await owner.query('SELECT FROM audit.access_pending')).rowCount)
    .toBe(0);
  expect((await runCli(['verify', trail.agent.dir])).code).toBe(0);
  // Carried again, as after a crash between ledger and store, it still counts once.
  const admin = await trail.connect('admin');
  await admin.query('INSERT INTO audit.access_pending SELECT access_id FROM audit.access_log');
  await vi.waitFor(
    async () => {
      const again = await owner.query(`SELECT FROM audit.records WHERE action LIKE 'trail.%'`);
      expect(again.rowCount).toBe(8);
    },
    { timeout: 60_000, interval: 100 },
  );
  expect(await eventsOf('trail.%')).toHaveLength(4);
  await alice.end();
});

test('a revocation ends what the login has open, and is on record', async () => {
  const alice = await connectAs('alice');
  const revoked = await auditor('revoke', 'alice', '--drop');
  expect(revoked).toMatchObject({
    code: 0,
    stdout: 'alice  sees no more acme; 1 sessions ended\n',
  });
  await expect(alice.query('SELECT 1')).rejects.toThrow();
  await expect(connectAs('alice')).rejects.toThrow();
  await trail.agent.delivered();
  expect((await eventsOf('auditor.revoked'))[0]).toMatchObject({
    resource_id: 'alice',
    payload: { metadata: { drop: true } },
  });
});

test('without an agent nothing is granted, for the trail would not know', async () => {
  const url = await trail.agent.databaseUrl('admin');
  const refused = await runCli([
    'auditor',
    'grant',
    'zoe',
    '--tenant',
    'acme',
    '--no-password',
    '--reason',
    'x',
    '--store',
    url,
    '--data-dir',
    '/nonexistent',
  ]);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('no agent runs')]);
  const made = await owner.query(`SELECT FROM pg_roles WHERE rolname = 'zoe'`);
  expect(made.rowCount).toBe(0);
});
