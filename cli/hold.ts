/** `sealtrail hold`: keep what a matter needs, whatever its retention says. */
import type { Command } from 'commander';
import type { ClientBase } from 'pg';
import { ulid } from 'ulid';
import { err, ok } from '../schemas/result.ts';
import {
  checkHoldAccess,
  liftHold,
  listHolds,
  placeHold,
  type Hold,
  type HoldFilter,
} from '../store/holds.ts';
import { findFilterFault } from './hold-filter.ts';
import {
  addStoreOptions,
  changeRecorded,
  type Outcome,
  type StoreOptions,
} from './recorded-change.ts';
import { BY_HELP, BY_OPTION, defaultBy, storeAddress, withStore } from './store-access.ts';
import { parseZonedTime } from './zoned-time.ts';

const ADD_EXAMPLES = `
Examples:
  $ sealtrail hold add M-2026-017 --reason 'Doe v. Acme' --tenant acme --actor u-17
  $ sealtrail hold add M-2026-018 --reason 'regulator, 26-4411' --tenant acme --resource-type account --from 2026-01-01 --to 2026-04-01

All that is named must fit; at least one must be. Event time counts for --from and --to. The running agent records the hold first, then it is in force.
Exit codes: 0 in force, 1 it is not, 2 no agent or no store answers.`;

const LIFT_EXAMPLES = `
Examples:
  $ sealtrail hold lift 01J9Z3K5M7Q8R9S0T1V2W3X4Y5 --reason 'settled'

What it held goes with the next purge, unless another hold covers it.
Exit codes: 0 lifted, 1 it is not, 2 no agent or no store answers.`;

const LIST_EXAMPLES = `
Examples:
  $ sealtrail hold list
  $ sealtrail hold list --matter M-2026-017 --json

Exit codes: 0 shown, 2 no store answers.`;

interface Shared extends StoreOptions {
  readonly by: string;
}

interface AddOptions extends Shared, Omit<HoldFilter, 'eventIds'> {
  readonly reason: string;
  readonly event?: readonly string[];
}

/** Adds the commands. */
export function addHoldCommand(program: Command): void {
  const hold = program.command('hold').description('legal holds: what no purge may take');
  shared(hold.command('add'))
    .description('place a hold for a matter')
    .argument('<matter>', 'what it is for, such as a case number')
    .requiredOption('--reason <text>', 'why, for those who will read it')
    .option('--tenant <id>', 'events of this tenant')
    .option('--actor <id>', 'done by, or on behalf of, this actor')
    .option('--action <name>', 'of this action')
    .option('--category <name>', 'of this category')
    .option('--resource-type <type>', 'on resources of this type')
    .option('--resource-id <id>', 'on this resource')
    .option('--from <time>', 'that happened at this time or later', parseZonedTime)
    .option('--to <time>', 'that happened before this time', parseZonedTime)
    .option('--event <id...>', 'with these event ids')
    .addHelpText('after', ADD_EXAMPLES)
    .action(async (matter: string, options: AddOptions) => {
      process.exitCode = report('add', await add(matter, options), options);
    });
  shared(hold.command('lift'))
    .description('lift a hold')
    .argument('<hold-id>', 'as `hold list` shows it')
    .requiredOption('--reason <text>', 'why, for those who will read it')
    .addHelpText('after', LIFT_EXAMPLES)
    .action(async (id: string, options: Shared & { readonly reason: string }) => {
      process.exitCode = report('lift', await lift(id, options), options);
    });
  shared(hold.command('list'))
    .description('list holds, the lifted ones too')
    .option('--matter <name>', 'only those of this matter')
    .addHelpText('after', LIST_EXAMPLES)
    .action(async (options: Shared & { readonly matter?: string }) => {
      process.exitCode = await list(options);
    });
}

function shared(command: Command): Command {
  return addStoreOptions(command).option(BY_OPTION, BY_HELP, defaultBy());
}

type Done = { readonly hold_id: string; readonly matter: string; readonly event_id: string };

async function add(matter: string, options: AddOptions): Promise<Outcome<Done>> {
  const { reason, by, tenant, actor, action, category, resourceType, resourceId, from, to } =
    options;
  const filter: HoldFilter = clean({
    ...{ tenant, actor, action, category, resourceType, resourceId, from, to },
    eventIds: options.event,
  });
  const fault = findFilterFault(filter);
  if (fault !== null) return err({ code: 1, message: fault });
  const hold_id = ulid();
  return change(options, 'hold.placed', { hold_id, matter, reason, filter }, (client, said) =>
    placeHold(client, {
      hold_id,
      matter: said.matter,
      reason: said.reason,
      filter,
      placed_by: by,
    }),
  );
}

async function lift(
  hold_id: string,
  options: Shared & { readonly reason: string },
): Promise<Outcome<Done>> {
  const { by, reason } = options;
  const found = await withStore(storeOf(options), async (client) => {
    const known = (await listHolds(client)).find((one) => one.hold_id === hold_id);
    if (known === undefined) return ok('there is no such hold; see `sealtrail hold list`');
    return ok(known.lifted === null ? known : `it was lifted at ${known.lifted.at}`);
  });
  if (!found.ok) return err({ code: 2, message: found.error });
  if (typeof found.value === 'string') return err({ code: 1, message: found.value });
  const { matter } = found.value;
  return change(options, 'hold.lifted', { hold_id, matter, reason }, (client, said) =>
    liftHold(client, { hold_id, reason: said.reason, by }),
  );
}

function change(
  options: Shared,
  action: 'hold.placed' | 'hold.lifted',
  metadata: {
    readonly hold_id: string;
    readonly matter: string;
    readonly reason: string;
    readonly filter?: HoldFilter;
  },
  write: (
    client: ClientBase,
    said: { readonly matter: string; readonly reason: string },
  ) => Promise<void>,
): Promise<Outcome<Done>> {
  const { by, dataDir } = options;
  const { hold_id, matter } = metadata;
  return changeRecorded({
    url: storeOf(options),
    dataDir,
    operation: { action, by, resource: { type: 'legal_hold', id: hold_id }, metadata },
    check: checkHoldAccess,
    write: async (client, { event_id, metadata: said }) => {
      // The agent has taken out what must not be kept.
      const recorded = said as unknown as typeof metadata;
      await write(client, { matter: recorded.matter, reason: recorded.reason });
      return ok({ hold_id, matter, event_id });
    },
  });
}

async function list(options: Shared & { readonly matter?: string }): Promise<number> {
  const found = await withStore(storeOf(options), async (client) =>
    ok(await listHolds(client, options.matter)),
  );
  if (!found.ok) {
    console.error(`hold list: ${found.error}`);
    return 2;
  }
  if (options.json === true) console.log(JSON.stringify(found.value, null, 2));
  else for (const one of found.value) console.log(describe(one));
  if (found.value.length === 0 && options.json !== true) console.log('no holds');
  return 0;
}

function describe({ hold_id, matter, filter, placed_by, placed_at, lifted }: Hold): string {
  const what = Object.entries(filter).map(([name, value]) => `${name}=${String(value)}`);
  const state = lifted === null ? 'holds' : `lifted ${lifted.at} by ${lifted.by}`;
  return `${hold_id}  ${matter}  ${what.join(' ')}  placed ${placed_at} by ${placed_by}, ${state}`;
}

function report(what: string, outcome: Outcome<Done>, { json }: Shared): number {
  if (!outcome.ok) {
    console.error(`hold ${what}: ${outcome.error.message}`);
    return outcome.error.code;
  }
  const { hold_id, matter, event_id } = outcome.value;
  if (json === true) console.log(JSON.stringify(outcome.value));
  else
    console.log(
      `${hold_id}  ${matter}  ${what === 'add' ? 'holds' : 'lifted'} (event ${event_id})`,
    );
  return 0;
}

function storeOf({ dataDir, store }: Shared): ReturnType<typeof storeAddress> {
  return storeAddress(dataDir, 'legal', store);
}

function clean<T extends object>(filter: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(
    Object.entries(filter).filter(([, value]) => value !== undefined),
  ) as never;
}
