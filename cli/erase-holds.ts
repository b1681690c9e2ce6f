/**
 * Whether a legal hold keeps a record of somebody who is to be erased. No record would go, but nobody could say any
 * more whom it is about. The holds are in the store of record, which knows tokens and no people.
 */
import { existsSync } from 'node:fs';
import type { AgentStatus } from '../agent/status-ports.ts';
import { err, type Result } from '../schemas/result.ts';
import { embeddedHome } from '../store/embedded-address.ts';
import { lockHolds, mattersOf } from '../store/holds.ts';
import { askAgent } from './options.ts';
import { storeAddress, withStore } from './store-access.ts';

/** A token, and the matters that need to know who it is. */
export interface HeldSubject {
  readonly token: string;
  readonly matters: readonly string[];
}

/** Sinks that lead to a store of record, which may have holds. */
const TO_A_STORE: readonly string[] = ['postgresql', 'nats'];

/**
 * Erases, or not: `then` is given those of the tokens that a hold needs, and until it is done no other hold is placed.
 * An error where nobody can tell which holds there are.
 */
export async function whileHoldsStand<T>(
  of: { readonly dataDir: string; readonly store?: string; readonly tenant: string },
  tokens: readonly string[],
  then: (held: readonly HeldSubject[]) => Promise<Result<T, string>>,
): Promise<Result<T, string>> {
  const { dataDir, store, tenant } = of;
  if (tokens.length === 0) return then([]);
  if (store === undefined && !existsSync(embeddedHome(dataDir))) {
    const asked = await askAgent(dataDir, 'GET', '/status');
    if (!asked.ok) return asked;
    const { sinks } = asked.value as AgentStatus;
    // Without a store there is nowhere to place a hold.
    return sinks.some(({ type }) => TO_A_STORE.includes(type))
      ? err('are there legal holds? Name the store with --store, as a member of sealtrail_legal')
      : then([]);
  }
  return withStore(storeAddress(dataDir, 'legal', store), async (client) => {
    await client.query('BEGIN');
    await lockHolds(client);
    const done = await then(bySubject(await mattersOf(client, tenant, tokens)));
    await client.query('COMMIT');
    return done;
  });
}

function bySubject(found: Awaited<ReturnType<typeof mattersOf>>): readonly HeldSubject[] {
  return [...new Set(found.map(({ token }) => token))].map((token) => ({
    token,
    matters: found.filter((one) => one.token === token).map(({ matter }) => matter),
  }));
}
