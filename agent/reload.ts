/**
 * The reload: reads the configuration again and takes up what can be taken up without losing anything.
 * A file with faults changes nothing. What was changed is itself an audit event, by names of sections.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../schemas/config.ts';
import { messageOf, type Result } from '../schemas/result.ts';
import type { Json } from '../schemas/event.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';
import type { Logger, ReloadReport } from './ports.ts';
import { planReload, type ReloadPlan } from './reload-plan.ts';

/** A configuration and the vocabulary it names, both checked. */
export interface Loaded {
  readonly config: Config;
  readonly vocabulary: Vocabulary;
}

/** Reads both again; the faults are for a person and quote no secret. */
export type Reread = () => Promise<Result<Loaded, readonly string[]>>;

export interface Reload {
  /** Takes up what it can. Reloads run one after the other; never rejects. */
  run(): Promise<ReloadReport>;
  /** Says what a reload would do, and does nothing. */
  preview(): Promise<ReloadReport>;
}

export interface ReloadOptions extends Loaded {
  readonly reread: Reread;
  /** Takes it up, whole or not at all; rejects in the latter case. */
  readonly apply: (to: Loaded, applied: readonly string[]) => Promise<void>;
  /** Writes the audit event; false when the ledger does not take it. */
  readonly record: (metadata: { readonly [name: string]: Json }) => Promise<boolean>;
  readonly log: Logger;
}

/** Creates the reload of an agent that runs with this configuration. */
export function createReload(options: ReloadOptions): Reload {
  const { reread, log } = options;
  let current: Loaded = options;
  let last: Promise<unknown> = Promise.resolve();

  async function plan(): Promise<Result<ReloadPlan & Loaded, readonly string[]>> {
    const read = await reread();
    if (!read.ok) return read;
    const { config, vocabulary } = read.value;
    const isOther = !isDeepStrictEqual(vocabulary, current.vocabulary);
    const planned = planReload(current.config, config, isOther);
    const isTaken = planned.applied.includes('vocabulary');
    return {
      ok: true,
      value: { ...planned, vocabulary: isTaken ? vocabulary : current.vocabulary },
    };
  }

  async function run(): Promise<ReloadReport> {
    const planned = await plan();
    if (!planned.ok) {
      for (const fault of planned.error) log.error({ component: 'reload', error: fault }, REFUSED);
      return refused(planned.error);
    }
    const { config, vocabulary, applied, needs_restart } = planned.value;
    try {
      if (applied.length > 0) await options.apply({ config, vocabulary }, applied);
    } catch (error) {
      const reason = messageOf(error);
      log.error({ component: 'reload', error: reason }, REFUSED);
      return refused([reason]);
    }
    current = { config, vocabulary };
    // On record before it is told: who reads the log may look for it.
    const said = { applied: [...applied], needs_restart: [...needs_restart] };
    const isRecorded = await options.record(said);
    const fields = { component: 'reload', applied: applied.join(', ') || 'nothing' };
    log.info(fields, 'the configuration was read again');
    if (needs_restart.length > 0) {
      const waiting = { component: 'reload', needs_restart: needs_restart.join(', ') };
      log.warn(waiting, 'these changes need a restart; what was in force stays');
    }
    if (!isRecorded)
      log.error({ component: 'reload' }, 'the ledger did not take the event of the reload');
    return { ok: true, faults: [], applied, needs_restart };
  }

  return {
    run: () => {
      const mine = last.then(run, run);
      last = mine;
      return mine;
    },
    preview: async () => {
      const planned = await plan();
      if (!planned.ok) return refused(planned.error);
      const { applied, needs_restart } = planned.value;
      return { ok: true, faults: [], applied, needs_restart };
    },
  };
}

const REFUSED = 'the configuration was not reloaded; what was in force stays';

function refused(faults: readonly string[]): ReloadReport {
  return { ok: false, faults, applied: [], needs_restart: [] };
}
