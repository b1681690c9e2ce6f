/** How the vault is: keys past their day, keys that should be gone, erasures that the trail does not know of. */
import type { Client } from 'pg';
import { pendingErasures, type Erasure } from '../store/vault/erasures.ts';
import { listKeyVersions, type KeyVersion } from '../store/vault/key-versions.ts';
import type { VaultKey } from '../redaction/subjects/vault-keys.ts';

export interface VaultStatus {
  readonly ok: boolean;
  readonly subjects: number;
  readonly keys: readonly {
    readonly version: string;
    readonly state: 'in use' | 'retiring' | 'destroyed';
    readonly subjects: number;
    readonly created_at: string;
    readonly expires_at: string;
    readonly destroyed_at: string | null;
  }[];
  readonly erasures_without_event: readonly {
    readonly event_id: string;
    readonly token: string;
    readonly tenant: string;
    readonly erased_at: string;
  }[];
  /** What somebody has to do something about; empty where all is well. */
  readonly findings: readonly string[];
}

/** Asks the vault; `keys` are those of the key file, where it is at hand. */
export async function readVaultStatus(
  client: Client,
  keys: readonly VaultKey[],
  nowMs: number,
): Promise<VaultStatus> {
  const versions = await listKeyVersions(client);
  const pending = await pendingErasures(client);
  const findings = [
    ...versions.flatMap((one) => findingsOf(one, keys, nowMs)),
    ...pending.map(
      ({ token }) => `${token} was erased, and its event is not in the trail: run sealtrail erase`,
    ),
  ];
  return {
    ok: findings.length === 0,
    subjects: versions.reduce((sum, one) => sum + one.subjects, 0),
    keys: versions.map((one, index) => ({
      version: one.version,
      state: one.destroyedAt !== null ? 'destroyed' : index === 0 ? 'in use' : 'retiring',
      subjects: one.subjects,
      created_at: one.createdAt.toISOString(),
      expires_at: one.expiresAt.toISOString(),
      destroyed_at: one.destroyedAt?.toISOString() ?? null,
    })),
    erasures_without_event: pending.map(pendingOf),
    findings,
  };
}

function findingsOf(one: KeyVersion, keys: readonly VaultKey[], nowMs: number): string[] {
  if (one.destroyedAt !== null)
    return keys.some(({ version }) => version === one.version)
      ? [`${one.version} is destroyed, and still in the key file: run sealtrail vault destroy-key`]
      : [];
  if (one.expiresAt.getTime() > nowMs) return [];
  return [
    `${one.version} has expired: backups of erased people can still be read with it; rotate and destroy it`,
  ];
}

function pendingOf({ eventId, token, tenant, erasedAt }: Erasure) {
  return { event_id: eventId, token, tenant, erased_at: erasedAt.toISOString() };
}

/** For people. */
export function describeStatus(status: VaultStatus): string {
  const keys = status.keys.map(
    ({ version, state, subjects, expires_at, destroyed_at }) =>
      `  ${version.padEnd(5)}${state.padEnd(11)}${String(subjects).padStart(8)} people  ` +
      (destroyed_at === null
        ? `until ${expires_at.slice(0, 10)}`
        : `on ${destroyed_at.slice(0, 10)}`),
  );
  const findings = status.findings.map((finding) => `! ${finding}`);
  return [`${status.subjects} people; keys:`, ...keys, ...findings].join('\n');
}
