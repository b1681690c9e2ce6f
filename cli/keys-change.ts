/**
 * Changes to an agent's keys: through its admin socket where it runs, and else by opening its directory as it would
 * itself. Where the root key is at hand the new keys note is signed in the same breath.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { loadConfig } from '../agent/config.ts';
import { windowsPath } from '../agent/key-files.ts';
import { printable, type PrintedReport } from '../agent/key-routes.ts';
import type { KeyReport } from '../agent/key-ports.ts';
import { nodeFilesystem } from '../ledger/filesystem.ts';
import type { Config } from '../schemas/config.ts';
import { assertNever, err, messageOf, ok, type Result } from '../schemas/result.ts';
import { formatFault } from './config-check.ts';
import { askAgent, defaultDataDir, isAgentThere } from './options.ts';
import { readIfThere, readRootKey, signKeysNote } from './root-key.ts';

export interface InitOptions {
  readonly config: string;
  readonly json?: boolean;
}

export interface ChangeOptions extends InitOptions {
  readonly dataDir?: string;
  readonly rootKey?: string;
  readonly note?: string;
  readonly previous?: string;
  readonly first?: boolean;
}

type Work = Change | (ChangeOptions & { readonly what: 'init' });
type Change = ChangeOptions &
  (
    | { readonly what: 'rotate' | 'prepare' }
    | { readonly what: 'revoke'; readonly key: string; readonly reason: string }
  );

/** Makes the keys of an agent that does not run. */
export async function initKeys(options: InitOptions): Promise<number> {
  const done = await offline({ ...options, what: 'init' });
  return done.ok ? tell('init', done.value, options) : fail('init', 2, done.error.message);
}

/** Rotates, prepares or revokes. */
export async function changeKeys(change: Change): Promise<number> {
  const root = change.rootKey === undefined ? null : await readRootKey(change.rootKey);
  if (root?.ok === false) return fail(change.what, 2, root.error);
  const signer = change.what === 'prepare' ? null : root;
  const dir = await dataDirOf(change);
  const path = resolve(change.note ?? join(dir, 'keys', 'keys.note'));
  const previous = signer === null ? ok(null) : await readPrevious(change, path);
  if (!previous.ok) return fail(change.what, 2, previous.error);
  const done = await run(change, dir);
  if (!done.ok) return fail(change.what, done.error.code, done.error.message);
  const { report, dataDir } = done.value;
  if (signer === null) return tell(change.what, { report, dataDir }, change);
  try {
    const text = await readFile(windowsPath(dataDir), 'utf8');
    const { value: before } = previous;
    const note = await signKeysNote({ text, root: signer.value, previous: before });
    if (!note.ok) return fail(change.what, 1, `the keys are changed; the note is ${note.error}`);
    await nodeFilesystem.replace(path, note.value);
  } catch (error) {
    return fail(
      change.what,
      1,
      `the keys are changed; the note is not signed: ${messageOf(error)}`,
    );
  }
  return tell(change.what, { report, dataDir, note: path }, change);
}

interface Failure {
  readonly code: 1 | 2;
  readonly message: string;
}

interface Done {
  readonly report: PrintedReport;
  readonly dataDir: string;
  readonly note?: string;
}

/**
 * The note that was signed last; null: this is the first, as was said. Asked for before anything is changed: a root that
 * signs without it would sign whatever a host that was taken over makes of its past.
 */
async function readPrevious(
  { previous, first = false }: Change,
  path: string,
): Promise<Result<string | null, string>> {
  const from = previous ?? path;
  try {
    const note = await readIfThere(from);
    if (note !== null)
      return first
        ? err(
            `--first: there is a keys note in ${from}, which the new one goes on from: leave it out`,
          )
        : ok(note);
  } catch (error) {
    return err(messageOf(error));
  }
  if (previous !== undefined)
    return err(
      `--previous: ${from} is not there: name the note that was signed last, or, where none was, say --first alone`,
    );
  if (first) return ok(null);
  return err(
    `there is no keys note in ${from}: name the one that was signed last with --previous, or say --first`,
  );
}

async function dataDirOf(change: Change): Promise<string> {
  const config = await loadConfig(change.config, process.env);
  return resolve(change.dataDir ?? (config.ok ? config.value.data_dir : defaultDataDir()));
}

async function run(change: Change, dataDir: string): Promise<Result<Done, Failure>> {
  if (!(await isAgentThere(dataDir))) return offline(change);
  const query =
    change.what === 'revoke'
      ? `?${new URLSearchParams({ key: change.key, reason: change.reason }).toString()}`
      : '';
  const answer = await askAgent(dataDir, 'POST', `/keys/${change.what}${query}`);
  if (!answer.ok) return err({ code: 1, message: answer.error });
  // The agent is of this build: its answer has this form.
  return ok({ report: answer.value as PrintedReport, dataDir });
}

/** Opens the directory of a stopped agent; the configuration says how. */
async function offline(change: Work): Promise<Result<Done, Failure>> {
  const { config: file, dataDir } = change;
  const config = await loadConfig(file, process.env);
  if (!config.ok) {
    const faults = config.error.map((fault) => formatFault(file, fault)).join('\n');
    const needed = 'no agent runs; to open its directory its configuration is needed, --config';
    return err({ code: 2, message: `${needed}:\n${faults}` });
  }
  const { data_dir } = config.value;
  if (dataDir !== undefined && resolve(dataDir) !== data_dir)
    return err({ code: 2, message: `${file} is of ${data_dir}, not of ${resolve(dataDir)}` });
  const done = await workOn(config.value, change);
  if (!done.ok) return err({ code: 1, message: done.error });
  return ok({ report: printable(done.value), dataDir: data_dir });
}

async function workOn(config: Config, change: Work): Promise<Result<KeyReport, string>> {
  const { createAppLog } = await import('../agent/observe/log.ts');
  const { workOffline, workOnKeys } = await import('../agent/offline.ts');
  const log = createAppLog({ level: 'warn', name: config.agent.name });
  switch (change.what) {
    case 'rotate':
      return workOffline(config, log, (ring, ports) => ring.rotate(ports));
    case 'revoke':
      return workOffline(config, log, (ring, ports) =>
        ring.revoke(change.key, change.reason, ports),
      );
    case 'prepare':
      return workOnKeys(config, log, (ring) => ring.prepare());
    case 'init':
      return workOnKeys(config, log, (ring) => ring.pin());
    default:
      return assertNever(change);
  }
}

function tell(what: string, { report, dataDir, note }: Done, { json }: InitOptions): number {
  const text = windowsPath(dataDir);
  if (json === true) {
    console.log(JSON.stringify({ ...report, text, note: note ?? null }, null, 2));
    return 0;
  }
  console.log(`signs    ${report.current}`);
  if (report.next !== null) console.log(`next     ${report.next}`);
  if (what === 'prepare') return 0;
  console.log(`windows  ${text}, number ${report.number}`);
  if (note !== undefined) console.log(`note     ${note}, signed`);
  else if (what !== 'init')
    console.log(
      'note     have the root sign the windows: `sealtrail keys sign-note`, on its machine',
    );
  return 0;
}

function fail(what: string, code: 1 | 2, message: string): number {
  console.error(`keys ${what}: ${message}`);
  return code;
}
