/** The vault's keys: old dumps, rotations that died, rows that nobody can open. Real PostgreSQL. */
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { beginKeys, destroyKeys, rotateKeys } from '../../cli/vault-rotation.ts';
import { readVaultStatus } from '../../cli/vault-status.ts';
import { lookupOf, openIdentity } from '../../redaction/subjects/envelope.ts';
import { createSubjectToken } from '../../redaction/subjects/identity.ts';
import {
  createVaultKey,
  formatVaultKeys,
  type VaultKeyRing,
} from '../../redaction/subjects/vault-keys.ts';
import { eraseSubject, markRecorded } from '../../store/vault/erasures.ts';
import { addKeyVersion, destroyKeyVersion } from '../../store/vault/key-versions.ts';
import { readSubject, readSubjects } from '../../store/vault/subjects.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { eraseRequest, openVault, personOf, ringOf, type TestVault } from '../support/vault.ts';

let server: TestPostgres;
let vault: TestVault;

const tokenOf = async (identity: string): Promise<string> =>
  (await (await vault.openSubjects()).tokensOf([personOf(identity)]))[0] ?? '';

beforeAll(async () => {
  server = await startPostgres();
  vault = await openVault(server.url('admin'));
});
afterAll(async () => {
  await vault[Symbol.asyncDispose]();
  await server.stop();
});

test('no old dump is read once its key version is destroyed, and no guess is confirmed', async () => {
  const identity = 'old.dump@example.org';
  const token = await tokenOf(identity);
  const oldApplication = await vault.applicationKeys();
  const oldRing = await ringOf(vault.keyFile);
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
    ring.some((key) => lookupOf(key, personOf(identity), identity) === dump[0]?.lookup);
  expect(guess(oldRing)).toBe(true);

  const rotated = await rotateKeys(vault.admin, vault.keyFile, 90);
  expect(rotated).toMatchObject({ ok: true, value: { version: 'v2' } });
  expect(await readVaultStatus(vault.admin, await ringOf(vault.keyFile), Date.now())).toMatchObject(
    {
      ok: true,
      keys: [
        { version: 'v2', state: 'in use' },
        { version: 'v1', state: 'retiring', subjects: 0 },
      ],
    },
  );
  // In the middle of it: one application has the new file, one the old one. One person, one token.
  const late = await vault.openSubjects({ keys: oldApplication });
  const early = await vault.openSubjects();
  const people = Array.from({ length: 20 }, (_, n) => personOf(`rotation-${n}@example.org`));
  const [one, two] = await Promise.all([late.tokensOf(people), early.tokensOf(people)]);
  expect(one).toEqual(two);
  expect(await early.tokensOf([personOf(identity)])).toEqual([token]);

  expect(await destroyKeys(vault.admin, vault.keyFile, 'v2')).toMatchObject({ ok: false });
  expect(await destroyKeys(vault.admin, vault.keyFile, 'v9')).toMatchObject({ ok: false });
  expect(await destroyKeys(vault.admin, vault.keyFile, 'v1')).toMatchObject({ ok: true });
  const ring = await ringOf(vault.keyFile);
  expect(ring.map(({ version }) => version)).toEqual(['v2']);
  for (const path of [vault.keyFile, `${vault.keyFile}.application`])
    expect(await readFile(path, 'utf8')).not.toContain('v1 ');
  expect(() => openIdentity(ring, dumped, dumped)).toThrow(/v1 is not here/);
  expect(guess(ring)).toBe(false);

  // The living are found and read as before; the application with the old file is told, and adds nobody.
  const fresh = await vault.openSubjects();
  expect(await fresh.tokensOf([personOf(identity), ...people])).toEqual([token, ...one]);
  const now = await readSubject(vault.admin, token);
  expect(now === null ? '' : openIdentity(ring, now, now)).toBe(identity);
  const outdated = await vault.openSubjects({ keys: oldApplication });
  await expect(outdated.tokensOf([personOf('nobody@example.org')])).rejects.toThrow(
    /v1.*destroyed/,
  );
});

test('a version is destroyed only when nobody is sealed to it, and a rotation that died goes on', async () => {
  const [current] = await ringOf(vault.keyFile);
  await tokenOf('held@example.org');
  expect(await destroyKeyVersion(vault.admin, current.version)).toBe(false);
  expect(await readVaultStatus(vault.admin, await ringOf(vault.keyFile), Date.now())).toMatchObject(
    {
      ok: true,
    },
  );
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
  expect(await readVaultStatus(vault.admin, await ringOf(vault.keyFile), Date.now())).toMatchObject(
    {
      ok: false,
      findings: [expect.stringContaining('still in the key file')],
    },
  );
  expect(await destroyKeys(vault.admin, vault.keyFile, current.version)).toMatchObject({
    ok: true,
  });
  expect((await ringOf(vault.keyFile)).map(({ version }) => version)).toEqual([next.version]);
  expect(await beginKeys(vault.admin, vault.keyFile, 90)).toEqual({ ok: true, value: null });
});

test('a row that nobody can open keeps no key alive: the error says whom to erase', async () => {
  const [current] = await ringOf(vault.keyFile);
  const writer = await vault.connect('writer');
  const token = createSubjectToken();
  await writer.query('SELECT vault.add_subject($1, $2, $3, $4, $5, $6, $7, $8)', [
    ...[token, 'acme', 'actor', current.version, '00'.repeat(80), '00'.repeat(29)],
    ...[['22'.repeat(32)], [current.version]],
  ]);
  await expect(rotateKeys(vault.admin, vault.keyFile, 90)).rejects.toThrow(
    `sealtrail erase --subject ${token} --tenant acme`,
  );
  const eraser = await vault.connect('eraser');
  const erased = await eraseSubject(eraser, eraseRequest(token));
  await markRecorded(eraser, erased?.eventId ?? '');
  const [, before] = await ringOf(vault.keyFile);
  expect(await destroyKeys(vault.admin, vault.keyFile, before?.version ?? '')).toMatchObject({
    ok: true,
  });
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
