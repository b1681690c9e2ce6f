/** From one version of the vault's keys to the next, and the end of a version. Every step may be run again. */
import type { Client } from 'pg';
import { lookupOf, openIdentity, rewrap } from '../redaction/subjects/envelope.ts';
import { rawPublic } from '../redaction/subjects/hpke.ts';
import {
  createVaultKey,
  nextVersion,
  type VaultKey,
  type VaultKeyRing,
} from '../redaction/subjects/vault-keys.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import {
  addKeyVersion,
  destroyKeyVersion,
  listKeyVersions,
  moveSubjects,
  readLiveKeys,
  type Renew,
} from '../store/vault/key-versions.ts';
import { findKeyFault, readKeyFile, readKeysIfAny, writeKeyFiles } from './vault-files.ts';

export interface Rotated {
  readonly version: string;
  readonly moved: number;
}

/** The first version, where there is none yet. Null: there was one. */
export async function beginKeys(
  client: Client,
  path: string,
  days: number,
): Promise<Result<string | null, string>> {
  if ((await listKeyVersions(client)).length > 0) return ok(null);
  const kept = await readKeysIfAny(path);
  if (!kept.ok) return kept;
  return ok((await addVersion(client, path, kept.value, [], days)).version);
}

/** A new version; everybody moves to it. */
export async function rotateKeys(
  client: Client,
  path: string,
  days: number,
): Promise<Result<Rotated, string>> {
  const kept = await readKeyFile(path);
  if (!kept.ok) return kept;
  const fault = findKeyFault(kept.value, await readLiveKeys(client));
  if (fault !== null) return err(fault);
  const known = (await listKeyVersions(client)).map(({ version }) => version);
  const newest = await addVersion(client, path, kept.value, known, days);
  const ring: VaultKeyRing = [newest, ...kept.value.filter((key) => key !== newest)];
  return ok({
    version: newest.version,
    moved: await moveSubjects(client, newest.version, renewer(ring)),
  });
}

/** Moves whoever is left, and destroys the version: in the vault first, then in the files. */
export async function destroyKeys(
  client: Client,
  path: string,
  version: string,
): Promise<Result<Rotated, string>> {
  const ring = await readKeyFile(path);
  if (!ring.ok) return ring;
  const [newest] = ring.value;
  if (newest.version === version)
    return err(`${version} is the version in use; run \`sealtrail vault rotate-key\` first`);
  const known = await listKeyVersions(client);
  const fault = findKeyFault(ring.value, await readLiveKeys(client));
  if (fault !== null) return err(fault);
  if (!known.some((one) => one.version === version)) return err(`the vault has no key ${version}`);
  if (known.find((one) => one.version === newest.version) === undefined)
    return err(`the vault does not know ${newest.version} yet; run \`sealtrail vault rotate-key\``);
  let moved = 0;
  do moved += await moveSubjects(client, newest.version, renewer(ring.value));
  while (!(await destroyKeyVersion(client, version)));
  await writeKeyFiles(
    path,
    ring.value.filter((key) => key.version !== version),
  );
  return ok({ version, moved });
}

/** The file first: a crash after it leaves a key that the vault does not know, and that is taken up here. */
async function addVersion(
  client: Client,
  path: string,
  kept: readonly VaultKey[],
  known: readonly string[],
  days: number,
): Promise<VaultKey> {
  const prepared = kept.find((key) => key.privateKey !== null && !known.includes(key.version));
  const key = prepared ?? createVaultKey(nextVersion(kept));
  if (prepared === undefined) await writeKeyFiles(path, [key, ...kept]);
  await addKeyVersion(client, key.version, rawPublic(key.publicKey), days);
  return key;
}

function renewer(ring: VaultKeyRing): Renew {
  const [newest] = ring;
  return (subject) => {
    try {
      const identity = openIdentity(ring, subject, subject);
      const { wrappedKey } = rewrap(ring, newest, subject, subject);
      return { wrappedKey, lookup: lookupOf(newest, subject, identity) };
    } catch (cause) {
      // An application that was broken into can put such a row there, and must not keep an old key alive.
      const { token, tenant } = subject;
      const remedy = `sealtrail erase --subject ${token} --tenant ${tenant} takes it away`;
      throw new Error(`nobody can open what stands under ${token}: ${remedy}`, { cause });
    }
  };
}
