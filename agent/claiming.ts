/** Takes a data directory: one writer, its keys, and which of them signs. */
import { nodeFilesystem } from '../ledger/filesystem.ts';
import type { Config } from '../schemas/config.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { AgentIdentity } from './append/agent-event.ts';
import { windowsPath } from './key-files.ts';
import { openKeyRing, type KeyRing } from './key-ring.ts';
import { loadKeys, type AgentKeys } from './keys.ts';
import { lockDataDir } from './lock.ts';
import type { Logger } from './ports.ts';
import type { Stops } from './stops.ts';
import { VERSION } from './version.ts';

export interface Claimed {
  readonly agent: AgentIdentity;
  readonly keys: AgentKeys;
  readonly ring: KeyRing;
}

/** `loseLock` is called if the directory may be another process's later. */
export async function claimDataDir(
  config: Config,
  log: Logger,
  stops: Stops,
  loseLock: (reason: string) => void,
): Promise<Result<Claimed, string>> {
  await nodeFilesystem.makeDir(config.data_dir);
  const lock = await lockDataDir(config.data_dir, (reason) =>
    loseLock(`the lock of ${config.data_dir} was lost: ${reason}`),
  );
  if (!lock.ok) return err(lock.error.message);
  stops.add('lock', () => lock.value.release());
  const isKeyKnown = await nodeFilesystem.exists(windowsPath(config.data_dir));
  const keys = await loadKeys(config.keys, { isKeyKnown });
  if (!keys.ok) return err(keys.error.message);
  for (const complaint of keys.value.complaints) log.warn({}, complaint);
  const ring = await openRing(config, keys.value, log);
  if (!ring.ok) return ring;
  const { publicKey } = ring.value;
  const agent = {
    name: config.agent.name,
    version: VERSION,
    get publicKey() {
      return publicKey();
    },
  };
  return ok({ agent, keys: keys.value, ring: ring.value });
}

async function openRing(
  config: Config,
  keys: AgentKeys,
  log: Logger,
): Promise<Result<KeyRing, string>> {
  try {
    return await openKeyRing({
      dataDir: config.data_dir,
      agent: config.agent.name,
      config: config.keys,
      keys,
      filesystem: nodeFilesystem,
      warn: (message) => log.warn({}, message),
      nowMs: Date.now,
    });
  } catch (error) {
    return err(`cannot use the keys: ${messageOf(error)}`);
  }
}
