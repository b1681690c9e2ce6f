/** Gathers each artefact. One that cannot be had is one that is not in order, and keeps none of the others back. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ClientBase } from 'pg';
import { AGENT_TENANT } from '../agent/append/agent-event.ts';
import { noteAccess } from '../auditor/access.ts';
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
import { err, messageOf, ok } from '../schemas/result.ts';
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
  const isOfStore = (name: ArtefactName): boolean => OF_THE_STORE.has(name);
  const unnoted = names.some(isOfStore) ? await noteReading(names, sources) : null;
  for (const name of names) {
    const isKept = unnoted !== null && isOfStore(name);
    gathered.push([name, isKept ? failed(unnoted) : await gather(name, sources)]);
  }
  return Object.fromEntries(gathered);
}

const OF_THE_STORE: ReadonlySet<ArtefactName> = new Set([
  ...(['privileges', 'guards', 'retention', 'auditors', 'access', 'clock', 'store'] as const),
]);

/** Puts on record that the store is looked through; null, or why that failed, and then nobody looks. */
async function noteReading(
  names: readonly ArtefactName[],
  { address, config }: Sources,
): Promise<string | null> {
  // Of no tenant alone: the agent's own is told.
  const asked = { question: 'evidence', tenant: AGENT_TENANT, since: null, until: null };
  const parameters = { artefacts: names.join(',') };
  const noted = await withStore(
    address,
    async (client) => {
      const said = await noteAccess(client, { ...asked, timeZone: 'UTC', parameters });
      return said.ok ? said : err(said.error.message);
    },
    tlsOf(config),
  );
  return noted.ok ? null : noted.error;
}

const failed = (reason: string): Artefact => ({
  content: null,
  faults: [`it could not be produced: ${reason}`],
});

async function gather(name: ArtefactName, sources: Sources): Promise<Artefact> {
  try {
    return await GATHER[name](sources);
  } catch (error) {
    return failed(messageOf(error));
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
