/** Gathers each artefact. One that cannot be had is one that is not in order, and keeps none of the others back. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ClientBase } from 'pg';
import type { ArtefactName } from '../auditor/evidence/artefacts.ts';
import type { Artefact } from '../auditor/evidence/bundle.ts';
import {
  readAccess,
  readAuditors,
  readGuards,
  readPrivileges,
  readRetention,
  type State,
} from '../auditor/evidence/store-state.ts';
import { verifyLedger, type Verification } from '../ledger/verify.ts';
import type { Config } from '../schemas/config.ts';
import { messageOf, ok } from '../schemas/result.ts';
import type { DatabaseAddress } from '../store/connection.ts';
import { verifyStore } from '../store/verify-store.ts';
import { maskSecrets } from './evidence-mask.ts';
import { listKeys } from './keys-list.ts';
import { withStore } from './store-access.ts';
import { readKnownOf } from './verify-known.ts';

export interface Sources {
  readonly config: Config;
  readonly configFile: string;
  /** The store, as its owner. */
  readonly address: DatabaseAddress;
}

type Gather = (sources: Sources) => Promise<Artefact>;

const GATHER: Readonly<Record<ArtefactName, Gather>> = {
  privileges: fromStore(readPrivileges),
  guards: fromStore(readGuards),
  retention: fromStore(readRetention),
  auditors: fromStore(readAuditors),
  access: fromStore(readAccess),
  clock: fromStore(readClocks),
  ledger: async ({ config }) => {
    const known = await readKnownOf({}, config.data_dir);
    if (!known.ok) throw new Error(known.error);
    return judged(await verifyLedger(config.data_dir, { known: known.value, threads: 0 }));
  },
  store: async ({ address, config }) => {
    const url = typeof address === 'string' ? address : await address();
    const tls = tlsOf(config);
    return judged(await verifyStore({ url, ...(tls === undefined ? {} : { tls }) }));
  },
  keys: async ({ config }) => ({ content: await listKeys(config.data_dir), faults: [] }),
  configuration: async ({ config, configFile }) => ({
    content: maskSecrets(config, await readFile(configFile, 'utf8'), process.env),
    faults: [],
  }),
};

/** The artefacts of these names. */
export async function gatherEvidence(
  names: readonly ArtefactName[],
  sources: Sources,
): Promise<Readonly<Partial<Record<ArtefactName, Artefact>>>> {
  const gathered: [ArtefactName, Artefact][] = [];
  for (const name of names) gathered.push([name, await gather(name, sources)]);
  return Object.fromEntries(gathered);
}

async function gather(name: ArtefactName, sources: Sources): Promise<Artefact> {
  try {
    return await GATHER[name](sources);
  } catch (error) {
    return { content: null, faults: [`it could not be produced: ${messageOf(error)}`] };
  }
}

function fromStore(read: (client: ClientBase) => Promise<State>): Gather {
  return async ({ address, config }) => {
    const done = await withStore(address, async (client) => ok(await read(client)), tlsOf(config));
    if (!done.ok) throw new Error(done.error);
    return { content: done.value, faults: done.value.faults };
  };
}

function tlsOf({ exporters }: Config) {
  const store = exporters.find((exporter) => exporter.type === 'postgresql');
  return store?.type === 'postgresql' ? store.tls : undefined;
}

function judged(verification: Verification): Artefact {
  const { verdict, findings_total: count } = verification;
  const faults =
    verdict === 'intact' ? [] : [`the verdict is "${verdict}", with ${count} findings`];
  return { content: verification, faults };
}

/** A second is what a reader of two logs can bear. */
const APART_MS = 1_000;
const SYNCHRONISED = '/run/systemd/timesync/synchronized';

async function readClocks(client: ClientBase): Promise<State> {
  const before = Date.now();
  const { rows } = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  const after = Date.now();
  const store = rows[0]?.now.getTime() ?? NaN;
  const apart = Math.max(0, before - store, store - after);
  const isSynchronised = existsSync(SYNCHRONISED) || null;
  return {
    host: new Date(before).toISOString(),
    store: new Date(store).toISOString(),
    apart_ms: apart,
    // Null: systemd-timesyncd does not say; chrony and others are asked with their own tools.
    systemd_timesyncd_synchronised: isSynchronised,
    faults: apart > APART_MS ? [`the clocks of host and store are ${apart} ms apart`] : [],
  };
}
