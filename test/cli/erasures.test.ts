/** An erasure whose event the agent refuses, and `verify --store --vault`, which finds it: as programs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresStore } from '../../store/postgres.ts';
import type { Store } from '../../store/store.ts';
import { readSubject } from '../../store/vault/subjects.ts';
import { createSealer } from '../store/sealed.ts';
import { startAgentPeer, type AgentPeer } from '../support/agent-peer.ts';
import { runCli, VOCABULARY, type Ran } from '../support/agent-process.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { openVault, personOf, type TestVault } from '../support/vault.ts';

let server: TestPostgres;
let store: Store;
let vault: TestVault;
let dir = '';
let agent: AgentPeer;
let isRefusing = true;

beforeAll(async () => {
  server = await startPostgres();
  store = createPostgresStore({ url: server.url('writer'), ownerUrl: server.url('owner') });
  expect(await store.migrate()).toMatchObject({ ok: true });
  vault = await openVault(server.url('admin'));
  dir = await mkdtemp(join(tmpdir(), 'sealtrail-erasures-'));
  const refuse = () =>
    isRefusing ? ({ kind: 'unknown_tenant', message: 'no such tenant' } as const) : null;
  agent = await startAgentPeer({ refuse }, join(dir, 'sealtrail.sock'));
});
afterAll(async () => {
  await agent.close();
  await rm(dir, { recursive: true, force: true });
  await vault[Symbol.asyncDispose]();
  await store.close();
  await server.stop();
});

const erase = (token: string): Promise<Ran> =>
  runCli(
    [
      ...['erase', '--tenant', 'acme', '--reason', 'DSR-1', '--by', 'dpo', '--subject', token],
      ...['--vocabulary', VOCABULARY, '--store', server.url('legal')],
    ],
    {
      env: {
        SEALTRAIL_VAULT_URL: vault.url('eraser'),
        SEALTRAIL_VAULT_KEY_FILE: vault.keyFile,
        SEALTRAIL_DATA_DIR: dir,
        SEALTRAIL_REDACTION_KEY: '0b'.repeat(32),
      },
    },
  );
const verify = (vaultUrl = vault.url('resolver')): Promise<Ran> =>
  runCli(['verify', '--store', server.url('auditor'), '--vault', vaultUrl]);

test('an erasure whose event is refused is said not to be on record, found by verify --vault, and ended by the next run', async () => {
  const subjects = await vault.openSubjects();
  const [alice = '', bob = ''] = await subjects.tokensOf([
    personOf('alice@example.org'),
    personOf('bob@example.org'),
  ]);
  const sealer = createSealer();
  await store.appendRecords([sealer.seal({ receivedAt: '2026-01-01T00:00:00.000Z' })]);
  const untouched = await verify();
  expect([untouched.code, untouched.stdout]).toEqual([0, expect.stringContaining('intact')]);

  const refused = await erase(alice);
  expect([refused.code, refused.stderr]).toEqual([
    2,
    expect.stringMatching(`${alice} is erased, and that is not on record yet: .*Run it again`),
  ]);
  expect(await readSubject(vault.admin, alice)).toBeNull();
  // Nobody else goes while that is so.
  expect(await erase(bob)).toMatchObject({ code: 2, stderr: expect.stringContaining(alice) });
  expect(await readSubject(vault.admin, bob)).not.toBeNull();

  const broken = await verify();
  expect([broken.code, broken.stdout]).toEqual([
    1,
    expect.stringMatching(
      `BROKEN +erasure_without_event +vault.erasures:1[^]*${alice}[^]*BROKEN: 1 rec`,
    ),
  ]);
  isRefusing = false;
  expect(await erase(alice)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('was erased before'),
  });
  expect(agent.appended).toHaveLength(1);
  const { event_id } = JSON.parse(agent.appended[0]?.text ?? '') as { event_id: string };
  const of = { action: 'subject.erase', resourceType: 'subject', resourceId: alice };
  await store.appendRecords([sealer.seal({ ...of, event_id })]);
  expect(await verify()).toMatchObject({ code: 0, stdout: expect.stringContaining('intact') });
});

test('a vault that cannot be asked leaves "cannot tell", and one beside a ledger is refused', async () => {
  const asked = await verify(vault.url('writer'));
  expect([asked.code, asked.stdout]).toEqual([
    2,
    expect.stringMatching(/NOTE +the vault: permission denied for table erasures[^]*cannot tell: /),
  ]);
  const beside = await runCli(['verify', dir, '--vault', vault.url('resolver')]);
  expect([beside.code, beside.stderr]).toEqual([2, expect.stringContaining('--store')]);
});
