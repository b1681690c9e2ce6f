/** What a person who verifies has to hold the records against: keys, a policy, checkpoints, receipts. */
import { stat } from 'node:fs/promises';
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { readKnown, type NamedText } from '../agent/checkpoint/known.ts';
import { parsePolicy, type AnchorPolicy } from '../ledger/anchor-policy.ts';
import type { Trust } from '../ledger/trust.ts';
import type { Known } from '../ledger/verify/known.ts';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';
import { readTrust } from './trust-file.ts';

export interface KnownOptions {
  readonly trust?: string;
  readonly root?: string;
  readonly policy?: string;
  readonly checkpoints?: readonly string[];
  readonly receipts?: readonly string[];
}

/** Reads what was named, and the checkpoints that lie beside a ledger; null where there is nothing. */
export async function readKnownOf(
  options: KnownOptions,
  dataDir: string | null,
): Promise<Result<Known | null, string>> {
  try {
    let trust: Trust | null = null;
    if (options.trust !== undefined) {
      const read = await readTrust(options.trust, options.root);
      if (!read.ok) return read;
      trust = read.value;
    }
    const policy = options.policy === undefined ? ok(null) : await readPolicy(options.policy);
    if (!policy.ok) return policy;
    if (policy.value !== null && trust === null)
      return err(
        '--policy judges what anchors had of checkpoints: name the keys of their agent, --trust',
      );
    const given = options.checkpoints ?? [];
    const folders: string[] = [];
    const files: string[] = [];
    for (const path of given) ((await stat(path)).isDirectory() ? folders : files).push(path);
    if (folders.length > 1)
      return err('--checkpoints: one folder at most, and any number of files');
    const dir = await findFolder(folders[0] ?? null, dataDir);
    const receipts = options.receipts ?? [];
    if (dir === null && files.length + receipts.length === 0 && trust === null) return ok(null);
    const known = await readKnown({
      dir,
      files: await readFiles(files),
      receipts: await readFiles(receipts),
      trust,
      policy: policy.value,
    });
    return ok(known);
  } catch (error) {
    return err(messageOf(error));
  }
}

/** The folder that was named, or that of its data directory; else the one beside the ledger. */
async function findFolder(named: string | null, dataDir: string | null): Promise<string | null> {
  if (named !== null) {
    const below = join(named, 'checkpoints');
    return (await isFolder(below)) ? below : named;
  }
  if (dataDir === null) return null;
  const beside = resolve(
    dataDir,
    basename(resolve(dataDir)) === 'ledger' ? '..' : '.',
    'checkpoints',
  );
  return (await isFolder(beside)) ? beside : null;
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return false;
    throw error;
  }
}

async function readFiles(paths: readonly string[]): Promise<readonly NamedText[]> {
  return Promise.all(paths.map(async (name) => ({ name, text: await readFile(name, 'utf8') })));
}

export interface PolicyFile {
  readonly policy: AnchorPolicy;
  readonly path: string;
}

/** Reads a policy for anchors. */
export async function readPolicy(path: string): Promise<Result<PolicyFile, string>> {
  try {
    const policy = parsePolicy(await readFile(path, 'utf8'));
    return policy.ok ? ok({ policy: policy.value, path }) : err(`${path}: ${policy.error}`);
  } catch (error) {
    return err(messageOf(error));
  }
}
