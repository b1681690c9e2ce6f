/** `sealtrail erase`, `subject` and `vault` as programs, and what a crash between deletion and event leaves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openActs } from '../../cli/subject-acts.ts';
import { createVaultKey, formatVaultKeys } from '../../redaction/subjects/vault-keys.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { liftHold, placeHold, type HoldFilter } from '../../store/holds.ts';
import { createPostgresStore } from '../../store/postgres.ts';
import type { Store } from '../../store/store.ts';
import { pendingErasures } from '../../store/vault/erasures.ts';
import { readSubject } from '../../store/vault/subjects.ts';
import { startAgentPeer } from '../support/agent-peer.ts';
import {
  CLI,
  runCli,
  startAgentProcess,
  VOCABULARY,
  type AgentProcess,
  type Ran,
} from '../support/agent-process.ts';
import { eventually } from '../support/outbox.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createPurgeableStream } from '../support/purging.ts';
import { openVault, type TestVault } from '../support/vault.ts';

let server: TestPostgres;
let store: Store;
let vault: TestVault;
let agent: AgentProcess;

beforeAll(async () => {
  server = await startPostgres();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  expect(await store.migrate()).toMatchObject({ ok: true });
  vault = await openVault(server.url('admin'));
  agent = await startAgentProcess({ exporters: {} });
});
afterAll(async () => {
  await agent[Symbol.asyncDispose]();
  await vault[Symbol.asyncDispose]();
  await store.close();
  await server.stop();
});

const tokensOf = async (identity: string): Promise<readonly string[]> => {
  const subjects = await vault.openSubjects();
  return subjects.tokensOf(
    (['actor', 'subject'] as const).map((purpose) => ({ tenant: 'acme', purpose, identity })),
  );
};
const env = (role: 'eraser' | 'resolver' | 'owner') => ({
  SEALTRAIL_VAULT_URL: vault.url(role),
  SEALTRAIL_VAULT_KEY_FILE: vault.keyFile,
  SEALTRAIL_DATA_DIR: agent.dir,
});
const ERASE = ['erase', '--tenant', 'acme', '--reason', 'DSR-1', '--by', 'dpo'];
const erase = (args: readonly string[], input = ''): Promise<Ran> =>
  runCli([...ERASE, ...args], { env: env('eraser'), input });

/** Events of erasures in the ledger, by token. */
async function erasuresOf(tokens: readonly string[]): Promise<readonly SealedRecord[]> {
  const ledger = await readFile(join(agent.dir, 'ledger', `${'0'.repeat(20)}.ndjson`), 'utf8');
  return ledger
    .split('\n')
    .filter((line) => line.includes('"action":"subject.erase"'))
    .map((line) => JSON.parse(line) as SealedRecord)
    .filter(({ event }) => tokens.includes(event.resource.id));
}

test('killed between deletion and event, it leaves what status flags and the next run ends', async () => {
  const tokens = await tokensOf('alice@example.org');
  const [token = ''] = tokens;
  // An agent that takes the event and never answers.
  let received = 0;
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-deaf-'));
  const onBatch = (): Promise<never> => {
    received += 1;
    return new Promise<never>(() => undefined);
  };
  const deaf = await startAgentPeer({ onBatch }, join(dir, 'sealtrail.sock'));
  const child = spawn(
    process.execPath,
    [
      ...[CLI, ...ERASE, '--subject', token, '--vocabulary', VOCABULARY],
      '--store',
      server.url('legal'),
    ],
    {
      env: {
        ...process.env,
        ...env('eraser'),
        SEALTRAIL_DATA_DIR: dir,
        SEALTRAIL_REDACTION_KEY: await agent.redactionKey(),
      },
      stdio: 'ignore',
    },
  );
  await eventually(async () => received > 0 || child.exitCode !== null, 'the event to be sent');
  expect(child.exitCode).toBeNull();
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  await deaf.close();
  await rm(dir, { recursive: true, force: true });

  expect(await readSubject(vault.admin, token)).toBeNull();
  const [pending] = await pendingErasures(vault.admin);
  expect(pending).toMatchObject({ token, recordedAt: null });
  const status = await runCli(['vault', 'status'], { env: env('owner') });
  expect([status.code, status.stdout]).toEqual([1, expect.stringContaining(token)]);
  expect(await erasuresOf(tokens)).toEqual([]);

  const again = await erase(['--subject', token]);
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('was erased before')]);
  const events = await erasuresOf(tokens);
  expect(events.map(({ event }) => event.event_id)).toEqual([pending?.eventId]);
  expect(events[0]?.event.event.time).toBe(pending?.erasedAt.toISOString());
  expect((await runCli(['vault', 'status'], { env: env('owner') })).code).toBe(0);
  // And a third one does nothing any more.
  expect((await erase(['--subject', token])).code).toBe(0);
  expect(await erasuresOf(tokens)).toHaveLength(1);
});

test('erases nothing of which there could be no record', async () => {
  const [token = ''] = await tokensOf('bob@example.org');
  const nowhere = { ...env('eraser'), SEALTRAIL_DATA_DIR: join(agent.dir, 'nowhere') };
  const refused = await runCli([...ERASE, '--subject', token], { env: nowhere });
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('no agent runs')]);
  expect(await readSubject(vault.admin, token)).not.toBeNull();
});

test('a person is erased in all parts or in one, in one tenant, and named by nothing that is printed', async () => {
  const [actor = '', subject = ''] = await tokensOf('carol@example.org');
  const wrong = [
    [['--subject', actor, '--identity'], 2],
    [['--identity', '--reason', 'carol@example.org'], 2],
    [['--subject', actor, '--tenant', 'globex'], 1],
  ] as const;
  for (const [args, code] of wrong)
    expect([args, (await erase(args, 'carol@example.org\n')).code]).toEqual([args, code]);
  const one = await erase(['--identity', '--purpose', 'subject', '--json'], 'Carol@Example.org\n');
  expect(JSON.parse(one.stdout)).toMatchObject({ erased: [subject], erased_before: [] });
  const rest = await erase(['--identity', 'carol@example.org']);
  expect(rest.stdout).toMatch(new RegExp(`^${actor} erased\n.*until.*\\d{4}-\\d\\d-\\d\\d`));
  const nobody = await erase(['--identity'], 'carol@example.org');
  expect([nobody.code, nobody.stderr + nobody.stdout]).toEqual([
    1,
    expect.not.stringMatching(/carol/),
  ]);
  expect(await erasuresOf([actor, subject])).toHaveLength(2);
});

test('nobody is erased whom a legal hold needs, the refusal names the matter and is on record; lifted, they go', async () => {
  const [actor = '', subject = ''] = await tokensOf('held@example.org');
  await createPurgeableStream(store).store([
    { actor: 'u-1', metadata: { approved_by: subject } },
    { actor: 'u-2', resourceId: 'c-9' },
  ]);
  const legal = new pg.Client(server.url('legal'));
  await legal.connect();
  const hold = async (filter: HoldFilter): Promise<string> => {
    const hold_id = ulid();
    await placeHold(legal, { hold_id, matter: 'M-7', reason: 'r', filter, placed_by: 'ada' });
    return hold_id;
  };
  const eraseHeld = (...args: readonly string[]): Promise<Ran> =>
    erase(['--identity', '--store', server.url('legal'), ...args], 'held@example.org\n');
  // A record that names the person, deep inside; then the person, of whom there is no record.
  const needs: readonly [HoldFilter, string][] = [
    [{ tenant: 'acme', actor: 'u-1' }, subject],
    [{ actor }, actor],
  ];
  for (const [filter, held] of needs) {
    const id = await hold(filter);
    const refused = await eraseHeld();
    expect([refused.code, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain(`legal hold for M-7 needs to know who ${held} is`);
    for (const token of [actor, subject])
      expect(await readSubject(vault.admin, token)).not.toBeNull();
    const [event] = await erasuresOf([held]);
    expect(event?.event).toMatchObject({
      event: { outcome: 'denied' },
      metadata: { matters: ['M-7'] },
    });
    await liftHold(legal, { hold_id: id, reason: 'settled', by: 'ada' });
  }
  await hold({ tenant: 'globex' });
  await hold({ tenant: 'acme', actor: 'u-2' });
  // Who may not look at holds cannot tell that there are none.
  const blind = await eraseHeld('--store', server.url('auditor'));
  expect([blind.code, blind.stderr]).toEqual([2, expect.stringContaining('permission denied')]);
  expect((await eraseHeld()).code).toBe(0);
  expect(await readSubject(vault.admin, subject)).toBeNull();
  await legal.end();
});

test('an old key file is refused: it would not find everybody, and would be rotated past others', async () => {
  const old = join(agent.dir, 'old.keys');
  await writeFile(old, formatVaultKeys([createVaultKey('v1')], 'administrator'));
  const [token = ''] = await tokensOf('late@example.org');
  const refused = await erase(['--identity', '--keys', old], 'late@example.org');
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('another key')]);
  expect(await readSubject(vault.admin, token)).not.toBeNull();
  const before = await readFile(old, 'utf8');
  await writeFile(old, before.replace('v1', 'v7'));
  for (const args of [['rotate-key'], ['destroy-key', 'v1']]) {
    const done = await runCli(['vault', ...args, '--keys', old], { env: env('owner') });
    expect([done.code, done.stderr]).toEqual([2, expect.stringContaining('lacks v1')]);
  }
  expect(await readFile(old, 'utf8')).toBe(before.replace('v1', 'v7'));
});

test('no reason that names a person goes on record', async () => {
  const acts = { by: 'dpo', tenant: 'acme', dataDir: agent.dir };
  for (const reason of ['Alice Cooper wrote', 'a@b.example', 'user=alice', 'tel +49 151 23456789'])
    for (const action of ['subject.erase', 'subject.resolve'] as const)
      expect(await openActs({ ...acts, reason }, action), reason).toMatchObject({ ok: false });
  const [token = ''] = await tokensOf('reason@example.org');
  const erased = await erase(['--subject', token, '--reason', 'a@b.example']);
  const resolve = ['subject', 'resolve', token, '--reason', 'a@b.example'];
  const resolved = await runCli(resolve, { env: env('resolver') });
  for (const { code, stdout, stderr } of [erased, resolved])
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining('no')]);
  expect(await readSubject(vault.admin, token)).not.toBeNull();
});

test('whoever resolves a token is on record first, and tokens are found for a person', async () => {
  const [actor = '', subject = ''] = await tokensOf('dora@example.org');
  const found = await runCli(['subject', 'tokens', '--tenant', 'acme'], {
    env: { ...env('resolver'), SEALTRAIL_VAULT_KEY_FILE: `${vault.keyFile}.application` },
    input: 'dora@example.org\n',
  });
  expect(found.stdout.trim().split('\n').sort()).toEqual([actor, subject].sort());
  const RESOLVE = ['subject', 'resolve', actor, '--reason', 'case 3', '--by', 'dpo'];
  const shown = await runCli([...RESOLVE, '--json'], { env: env('resolver') });
  expect(JSON.parse(shown.stdout)).toMatchObject({
    identity: 'dora@example.org',
    purpose: 'actor',
  });
  const unrecorded = await runCli([...RESOLVE, '--data-dir', join(agent.dir, 'nowhere')], {
    env: env('resolver'),
  });
  expect([unrecorded.code, unrecorded.stdout]).toEqual([2, '']);
  // An application's keys open nothing.
  const blind = await runCli([...RESOLVE, '--keys', `${vault.keyFile}.application`], {
    env: env('resolver'),
  });
  expect([blind.code, blind.stdout]).toEqual([2, '']);
});

test('vault init, rotate-key and destroy-key work from the command line', async () => {
  const owner = { env: env('owner') };
  const again = await runCli(['vault', 'init', '--url', vault.url('admin')], owner);
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('up to date')]);
  const rotated = await runCli(['vault', 'rotate-key', '--expires-days', '30'], owner);
  expect([rotated.code, rotated.stderr]).toEqual([0, '']);
  const destroyed = await runCli(['vault', 'destroy-key', 'v1'], owner);
  expect([destroyed.code, destroyed.stderr]).toEqual([0, '']);
  const status = await runCli(['vault', 'status', '--json'], owner);
  expect(JSON.parse(status.stdout)).toMatchObject({
    ok: true,
    keys: [
      { version: 'v2', state: 'in use' },
      { version: 'v1', state: 'destroyed', subjects: 0 },
    ],
  });
  const nowhere = await runCli(['vault', 'status', '--url', 'postgresql://127.0.0.1:1/x'], owner);
  expect(nowhere.code).toBe(2);
});
