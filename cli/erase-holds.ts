/**
 * Whether a legal hold keeps a record of somebody who is to be erased. No record would go, but nobody could say any
 * more whom it is about. The holds are in the store of record, which knows tokens and no people.
 */
import { existsSync } from 'node:fs';
import type { AgentStatus } from '../agent/status-ports.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { embeddedHome } from '../store/embedded-address.ts';
import { mattersOf } from '../store/holds.ts';
import { askAgent } from './options.ts';
import { storeAddress, withStore } from './store-access.ts';

/** A token, and the matters that need to know who it is. */
export interface HeldSubject {
  readonly token: string;
  readonly matters: readonly string[];
}

/** Sinks that lead to a store of record, which may have holds. */
const TO_A_STORE: readonly string[] = ['postgresql', 'nats'];

/** Those of the tokens that a hold needs; an error where nobody can tell. */
export async function findMatters(
  of: { readonly dataDir: string; readonly store?: string; readonly tenant: string },
  tokens: readonly string[],
): Promise<Result<readonly HeldSubject[], string>> {
  const { dataDir, store, tenant } = of;
  if (tokens.length === 0) return ok([]);
  if (store === undefined && !existsSync(embeddedHome(dataDir))) {
    const asked = await askAgent(dataDir, 'GET', '/status');
    if (!asked.ok) return asked;
    const { sinks } = asked.value as AgentStatus;
    // Without a store there is nowhere to place a hold.
    return sinks.some(({ type }) => TO_A_STORE.includes(type))
      ? err('are there legal holds? Name the store with --store, as a member of sealtrail_legal')
      : ok([]);
  }
  const found = await withStore(storeAddress(dataDir, 'legal', store), async (client) =>
    ok(await mattersOf(client, tenant, tokens)),
  );
  if (!found.ok) return found;
  return ok(
    [...new Set(found.value.map(({ token }) => token))].map((token) => ({
      token,
      matters: found.value.filter((one) => one.token === token).map(({ matter }) => matter),
    })),
  );
}
