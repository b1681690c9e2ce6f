/** Changes of the store that the trail must know of before they are in force: who may read it, and what is held. */
import type { Command } from 'commander';
import type { ClientBase } from 'pg';
import type { RecordedOperation } from '../agent/ports.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { DatabaseAddress } from '../store/connection.ts';
import { DATA_DIR_HELP, DATA_DIR_OPTION, defaultDataDir } from './options.ts';
import { recordOperation, STORE_HELP, STORE_OPTION, withStore } from './store-access.ts';

/** What the commands on the store have alike. */
export interface StoreOptions {
  readonly dataDir: string;
  readonly store?: string;
  readonly json?: boolean;
}

/** Adds them. */
export function addStoreOptions(command: Command): Command {
  return command
    .option(DATA_DIR_OPTION, DATA_DIR_HELP, defaultDataDir())
    .option(STORE_OPTION, STORE_HELP)
    .option('--json', 'print JSON');
}

/** `code`: what the process ends with. */
export type Outcome<T> = Result<T, { readonly code: 1 | 2; readonly message: string }>;

export interface RecordedChange<T> {
  readonly url: DatabaseAddress;
  readonly dataDir: string;
  readonly operation: {
    readonly action: string;
    readonly by: string;
    readonly resource: { readonly type: string; readonly id: string };
    readonly metadata: object;
  };
  /** Privileges before the event: it rejects where the login may not change what is to be changed. */
  readonly check: (client: ClientBase) => Promise<unknown>;
  /** What was recorded is without what must not be kept. */
  readonly write: (client: ClientBase, recorded: RecordedOperation) => Promise<Result<T, string>>;
}

/** The event first, so that nothing is in force that the trail does not know; what fails then is an event too. */
export async function changeRecorded<T>({
  url,
  dataDir,
  operation,
  check,
  write,
}: RecordedChange<T>): Promise<Outcome<T>> {
  const done = await withStore<Result<T, string>>(url, async (client) => {
    await check(client);
    const recorded = await recordOperation(dataDir, { ...operation, outcome: 'success' });
    if (!recorded.ok) return recorded;
    const written = await tryWrite(() => write(client, recorded.value));
    if (written.ok) return ok(written);
    const corrected = await recordOperation(dataDir, { ...operation, outcome: 'failure' });
    if (corrected.ok) return ok(written);
    return ok(
      err(
        `${written.error}; the trail says that it was done, and that it was not could not be recorded: ${corrected.error}`,
      ),
    );
  });
  if (!done.ok) return err({ code: 2, message: done.error });
  return done.value.ok ? done.value : err({ code: 1, message: done.value.error });
}

async function tryWrite<T>(write: () => Promise<Result<T, string>>): Promise<Result<T, string>> {
  try {
    return await write();
  } catch (error) {
    return err(`the store refused: ${messageOf(error)}`);
  }
}
