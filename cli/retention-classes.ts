/** `sealtrail retention classes`: the classes of the configuration, held against those in force. */
import { loadConfig } from '../agent/config.ts';
import type { Config } from '../schemas/config.ts';
import { ok } from '../schemas/result.ts';
import {
  findChanges,
  readClasses,
  setClasses,
  type StoredClass,
} from '../store/retention-policy.ts';
import { formatFault } from './config-check.ts';
import { ownerAddress, recordOperation, withStore } from './store-access.ts';

export interface ClassesOptions {
  readonly config: string;
  readonly apply?: boolean;
  readonly store?: string;
  readonly by: string;
  readonly json?: boolean;
}

/** Shows them, and with --apply sets them; the agent records that first. */
export async function runClasses(options: ClassesOptions): Promise<number> {
  const loaded = await loadConfig(options.config, process.env);
  if (!loaded.ok) {
    for (const fault of loaded.error) console.error(formatFault(options.config, fault));
    return 2;
  }
  const config = loaded.value;
  const address = ownerAddress(config, options.store);
  const changes = address.ok
    ? await withStore(address.value, async (client) => {
        const found = findChanges(config.retention.classes, await readClasses(client));
        if (options.apply !== true || found.length === 0) return ok(found);
        const recorded = await recordOperation(config.data_dir, operationOf(found, options.by));
        if (!recorded.ok) return recorded;
        await setClasses(client, found, options.by);
        return ok(found);
      })
    : address;
  if (!changes.ok) {
    console.error(`retention classes: ${changes.error}`);
    return 2;
  }
  print(config, changes.value, options);
  return changes.value.length === 0 || options.apply === true ? 0 : 1;
}

function operationOf(classes: readonly StoredClass[], by: string): object {
  return {
    ...{ action: 'retention.classes_set', outcome: 'success', by },
    resource: { type: 'retention_classes', id: classes.map((one) => one.class).join(', ') },
    metadata: { classes },
  };
}

function print(
  { retention }: Config,
  changes: readonly StoredClass[],
  options: ClassesOptions,
): void {
  const isChanged = (name: string): boolean => changes.some((one) => one.class === name);
  const rows = Object.entries(retention.classes).map(([name, { regime, days }]) => ({
    ...{ class: name, regime, days },
    in_force: options.apply === true || !isChanged(name),
  }));
  if (options.json === true) console.log(JSON.stringify(rows, null, 2));
  else
    for (const { class: name, regime, days, in_force } of rows)
      console.log(`${name}  ${days} days  ${regime}  ${in_force ? 'in force' : 'NOT in force'}`);
}
