/** The vault against those who should not: roles of the store, of the vault, old dumps and old keys. Real PostgreSQL. */
import { readFile, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { ulid } from 'ulid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { beginKeys, destroyKeys, rotateKeys } from '../../cli/vault-rotation.ts';
import { readVaultStatus } from '../../cli/vault-status.ts';
import { lookupOf, openIdentity } from '../../redaction/subjects/envelope.ts';
import {
  createVaultKey,
  formatVaultKeys,
  parseVaultKeys,
  type VaultKeyRing,
} from '../../redaction/subjects/vault-keys.ts';
import { applyMigrations, readMigrations } from '../../store/migrate.ts';
import { createVaultSchema } from '../../store/vault/schema.ts';
import {
  eraseSubject,
  findErasure,
  markRecorded,
  pendingErasures,
} from '../../store/vault/erasures.ts';
import { addKeyVersion, destroyKeyVersion } from '../../store/vault/key-versions.ts';
import { readSubject, readSubjects } from '../../store/vault/subjects.ts';
import { startPostgres, type TestPostgres, type TestRole } from '../support/postgres.ts';
import { openVault, type TestVault } from '../support/vault.ts';

let server: TestPostgres;
let vault: TestVault;

const person = (identity: string, purpose: 'actor' | 'subject' = 'actor') => ({
  tenant: 'acme',
  purpose,
  identity,
});
const tokenOf = async (identity: string, purpose?: 'actor' | 'subject'): Promise<string> =>
  (await (await vault.openSubjects()).tokensOf([person(identity, purpose)]))[0] ?? '';
const request = (token: string) => ({
  token,
  tenant: 'acme',
  eventId: ulid(),
  requestedBy: 'dpo',
  reason: 'DSR-1',
});
async function ringOf(path: string = vault.keyFile): Promise<VaultKeyRing> {
  const ring = parseVaultKeys(await readFile(path, 'utf8'));
  if (!ring.ok) throw new Error(ring.error);
  return ring.value;
}
/** In the vault's database, as a role of the store; or in the store's, as one of the vault. */
const elsewhere = (url: string, database: string): string =>
  Object.assign(new URL(url), { pathname: `/${database}` }).href;
async function attempt(url: string, sql: string): Promise<string> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(sql);
    return 'done';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    await client.end().catch(() => 'it never began');
  }
}
const DENIED = '42501';

beforeAll(async () => {
  server = await startPostgres();
  const store = new pg.Client(server.url('owner'));
  await store.connect();
  expect(await applyMigrations(store, await readMigrations())).toMatchObject({ ok: true });
  await store.end();
  vault = await openVault(server.url('admin'));
});
afterAll(async () => {
  await vault[Symbol.asyncDispose]();
  await server.stop();
});

describe('access', () => {
  test('no role of the store gets into the vault, and none of the vault reads the store', async () => {
    for (const role of ['owner', 'writer', 'auditor'] satisfies TestRole[])
      expect([role, await attempt(elsewhere(server.url(role), 'vault'), 'SELECT 1')]).toEqual([
        role,
        DENIED,
      ]);
    for (const role of ['owner', 'writer', 'resolver', 'eraser'] as const) {
      const store = elsewhere(vault.url(role), 'sealtrail');
      for (const table of ['audit.events', 'audit.records', 'audit.streams'])
        expect([role, await attempt(store, `SELECT * FROM ${table}`)]).toEqual([role, DENIED]);
    }
    expect(await attempt(vault.url('resolver'), 'SELECT * FROM vault.subjects')).toBe('done');
  });

  test('each role does its own part, and no other one', async () => {
    const token = await tokenOf('role@example.org');
    const erase = `SELECT vault.erase_subject('${token}', 'acme', '${ulid()}', 'x', 'y')`;
    const add = `SELECT vault.add_subject('${token}', 'acme', 'actor', 'v1', '', '', '{}', '{}')`;
    const refused = {
      writer: [
        'SELECT * FROM vault.subjects',
        'SELECT token FROM vault.lookups',
        'SELECT * FROM vault.erasures',
        'SELECT * FROM vault.key_versions',
        erase,
        `SELECT vault.mark_recorded('x')`,
      ],
      resolver: [
        add,
        erase,
        'DELETE FROM vault.subjects',
        'UPDATE vault.subjects SET purpose = purpose',
        'SELECT * FROM vault.lookups',
      ],
      eraser: [
        'SELECT identity FROM vault.subjects',
        'SELECT wrapped_key FROM vault.subjects',
        'SELECT * FROM vault.lookups',
        'DELETE FROM vault.erasures',
        'UPDATE vault.erasures SET reason = reason',
        add,
      ],
    } as const;
    for (const [role, statements] of Object.entries(refused))
      for (const sql of statements)
        expect([role, sql, await attempt(vault.url(role as 'writer'), sql)]).toEqual([
          role,
          sql,
          DENIED,
        ]);
    for (const role of ['writer', 'resolver', 'eraser'] as const)
      for (const sql of [
        'SET ROLE sealtrail_vault_owner',
        'CREATE TABLE vault.mine (a int)',
        'CREATE SCHEMA mine',
      ])
        expect([role, sql, await attempt(vault.url(role), sql)]).toEqual([role, sql, DENIED]);
    expect(await readSubject(vault.admin, token)).not.toBeNull();
  });

  test('the store is no place for a vault', async () => {
    const store = new pg.Client(server.url('admin'));
    await store.connect();
    await expect(createVaultSchema(store)).rejects.toThrow(/one of its own/);
    // And nothing of it was done.
    expect(await attempt(server.url('auditor'), 'SELECT * FROM audit.events')).toBe('done');
    await store.end();
  });
});

describe('erasure', () => {
  test('takes mapping and key, and leaves a note that is settled once', async () => {
    const token = await tokenOf('gone@example.org');
    const eraser = await vault.connect('eraser');
    expect(await eraseSubject(eraser, { ...request(token), tenant: 'globex' })).toBeNull();
    const erased = await eraseSubject(eraser, request(token));
    expect(erased).toMatchObject({ token, purpose: 'actor', keyVersion: 'v1', recordedAt: null });
    expect(await readSubject(vault.admin, token)).toBeNull();
    expect((await vault.dump()).split('\n').filter((row) => row.includes(token))).toHaveLength(1);
    // Nothing is left that a second run could take, and it may run.
    expect(await eraseSubject(eraser, request(token))).toBeNull();
    expect((await pendingErasures(eraser)).map((one) => one.token)).toEqual([token]);
    const status = await readVaultStatus(vault.admin, [], Date.now());
    expect(status).toMatchObject({ ok: false, erasures_without_event: [{ token }] });
    await markRecorded(eraser, erased?.eventId ?? '');
    expect(await pendingErasures(eraser)).toEqual([]);
    expect((await findErasure(eraser, token))?.recordedAt).toBeInstanceOf(Date);
    expect(await readVaultStatus(vault.admin, [], Date.now())).toMatchObject({ ok: true });
    expect(await tokenOf('gone@example.org')).not.toBe(token);
  });

  test('that fails halfway takes nothing', async () => {
    const token = await tokenOf('stays@example.org');
    const eraser = await vault.connect('eraser');
    await expect(eraseSubject(eraser, { ...request(token), eventId: 'none' })).rejects.toThrow();
    expect(await readSubject(vault.admin, token)).not.toBeNull();
    expect(await findErasure(eraser, token)).toBeNull();
  });

  test('while others add the same person leaves each of them a token', async () => {
    const eraser = await vault.connect('eraser');
    const subjects = await Promise.all([1, 2, 3].map(() => vault.openSubjects({ cacheMs: 0 })));
    for (let round = 0; round < 15; round++) {
      const tokens = await Promise.all(
        subjects.map(async (one) => (await one.tokensOf([person('busy@example.org')]))[0] ?? ''),
      );
      for (const token of tokens) expect(token).toMatch(/^sub_/);
      const again = subjects[0]?.tokensOf([person('busy@example.org')]);
      await Promise.all([again, eraseSubject(eraser, request(tokens[0] ?? ''))]);
    }
    for (const { eventId } of await pendingErasures(eraser)) await markRecorded(eraser, eventId);
  });
});

test('no old dump is read once its key version is destroyed, and no guess is confirmed', async () => {
  const identity = 'old.dump@example.org';
  const token = await tokenOf(identity);
  const oldApplication = await vault.applicationKeys();
  const oldRing = await ringOf();
  // The dump: what a backup has of him.
  const { rows: dump } = await vault.admin.query<{ lookup: string; token: string }>(
    `SELECT encode(lookup, 'hex') AS lookup, token FROM vault.lookups WHERE token = $1`,
    [token],
  );
  const [dumped] = await readSubjects(vault.admin, 'token = $1', [token]);
  if (dumped === undefined) throw new Error('the dump is empty');
  // As long as the key is there it is read, which is what has to end.
  expect(openIdentity(oldRing, dumped, dumped)).toBe(identity);
  const guess = (ring: VaultKeyRing): boolean =>
    ring.some((key) => lookupOf(key, person(identity), identity) === dump[0]?.lookup);
  expect(guess(oldRing)).toBe(true);

  const rotated = await rotateKeys(vault.admin, vault.keyFile, 90);
  expect(rotated).toMatchObject({ ok: true, value: { version: 'v2' } });
  expect(await readVaultStatus(vault.admin, await ringOf(), Date.now())).toMatchObject({
    ok: true,
    keys: [
      { version: 'v2', state: 'in use' },
      { version: 'v1', state: 'retiring', subjects: 0 },
    ],
  });
  // In the middle of it: one application has the new file, one the old one. One person, one token.
  const late = await vault.openSubjects({ keys: oldApplication });
  const early = await vault.openSubjects();
  const people = Array.from({ length: 20 }, (_, n) => person(`rotation-${n}@example.org`));
  const [one, two] = await Promise.all([late.tokensOf(people), early.tokensOf(people)]);
  expect(one).toEqual(two);
  expect(await early.tokensOf([person(identity)])).toEqual([token]);

  expect(await destroyKeys(vault.admin, vault.keyFile, 'v2')).toMatchObject({ ok: false });
  expect(await destroyKeys(vault.admin, vault.keyFile, 'v9')).toMatchObject({ ok: false });
  expect(await destroyKeys(vault.admin, vault.keyFile, 'v1')).toMatchObject({ ok: true });
  const ring = await ringOf();
  expect(ring.map(({ version }) => version)).toEqual(['v2']);
  for (const path of [vault.keyFile, `${vault.keyFile}.application`])
    expect(await readFile(path, 'utf8')).not.toContain('v1 ');
  expect(() => openIdentity(ring, dumped, dumped)).toThrow(/v1 is not here/);
  expect(guess(ring)).toBe(false);

  // The living are found and read as before; the application with the old file is told, and adds nobody.
  const fresh = await vault.openSubjects();
  expect(await fresh.tokensOf([person(identity), ...people])).toEqual([token, ...one]);
  const now = await readSubject(vault.admin, token);
  expect(now === null ? '' : openIdentity(ring, now, now)).toBe(identity);
  const outdated = await vault.openSubjects({ keys: oldApplication });
  await expect(outdated.tokensOf([person('nobody@example.org')])).rejects.toThrow(/v1.*destroyed/);
});

test('a version is destroyed only when nobody is sealed to it, and a rotation that died goes on', async () => {
  const [current] = await ringOf();
  await tokenOf('held@example.org');
  expect(await destroyKeyVersion(vault.admin, current.version)).toBe(false);
  expect(await readVaultStatus(vault.admin, await ringOf(), Date.now())).toMatchObject({
    ok: true,
  });
  // Dies after the file was written: the version is in there, and the vault does not know it. It is taken up.
  const before = await readFile(vault.keyFile, 'utf8');
  const next = createVaultKey('v3');
  await writeFile(vault.keyFile, formatVaultKeys([next], 'administrator') + before);
  expect(await destroyKeys(vault.admin, vault.keyFile, current.version)).toMatchObject({
    ok: false,
  });
  expect(await rotateKeys(vault.admin, vault.keyFile, 90)).toMatchObject({
    ok: true,
    value: { version: 'v3' },
  });
  expect(await destroyKeys(vault.admin, vault.keyFile, current.version)).toMatchObject({
    ok: true,
  });
  // Dies after the vault forgot it, and before the file did: told, and ended by another run.
  await writeFile(vault.keyFile, (await readFile(vault.keyFile, 'utf8')) + before);
  expect(await readVaultStatus(vault.admin, await ringOf(), Date.now())).toMatchObject({
    ok: false,
    findings: [expect.stringContaining('still in the key file')],
  });
  expect(await destroyKeys(vault.admin, vault.keyFile, current.version)).toMatchObject({
    ok: true,
  });
  expect((await ringOf()).map(({ version }) => version)).toEqual([next.version]);
  expect(await beginKeys(vault.admin, vault.keyFile, 90)).toEqual({ ok: true, value: null });
});

test('a version past its day is a finding, until it is destroyed', async () => {
  const nowMs = Date.now();
  await addKeyVersion(vault.admin, 'v90', Buffer.alloc(32, 9), 1);
  const status = (days: number) => readVaultStatus(vault.admin, [], nowMs + days * 86_400_000);
  expect(await status(0)).toMatchObject({ ok: true });
  const findings = (await status(2)).findings;
  expect(findings).toEqual([expect.stringContaining('v90 has expired')]);
  expect(await destroyKeyVersion(vault.admin, 'v90')).toBe(true);
  expect(await status(2)).toMatchObject({ ok: true });
});

test('its migrations are forward only, and of its own', async () => {
  expect(await createVaultSchema(vault.admin)).toEqual({ ok: true, value: { applied: [] } });
  await vault.admin.query(`UPDATE vault.schema_migrations SET checksum = 'other'`);
  expect(await createVaultSchema(vault.admin)).toMatchObject({ ok: false });
});
