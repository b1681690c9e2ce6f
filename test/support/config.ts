/** Configuration files in a temporary folder, beside a vocabulary of one action. */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { loadConfig, type ConfigFault } from '../../agent/config.ts';
import type { Config } from '../../schemas/config.ts';
import type { Result } from '../../schemas/result.ts';
import { benchVocabulary } from '../../bench/vocabulary.ts';
import { makeTempDir } from './ledger.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Text of a file of the repository. */
export function repositoryText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The least that is valid: everything else is a default. */
export const LEAST = {
  receivers: { socket: { tenants: ['*'] } },
  exporters: {},
  tenants: [{ id: 'acme' }],
} as const;

export interface LoadOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Further files beside the configuration, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Loads a configuration: text as YAML, anything else as JSON, which YAML is a superset of. */
export async function load(
  config: unknown,
  options: LoadOptions = {},
): Promise<Result<Config, readonly ConfigFault[]>> {
  await using dir = await makeTempDir();
  const files = {
    'vocabulary.json': JSON.stringify(benchVocabulary),
    ...options.files,
    'sealtrail.yaml': typeof config === 'string' ? config : JSON.stringify(config),
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(dir.path, name)), { recursive: true });
    await writeFile(join(dir.path, name), text);
  }
  // Awaited here: the folder goes when this scope ends.
  return await loadConfig(join(dir.path, 'sealtrail.yaml'), options.env ?? {});
}

/** The configuration; throws its faults. */
export async function loaded(config: unknown, options?: LoadOptions): Promise<Config> {
  const result = await load(config, options);
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** The faults; none when it is valid. */
export async function faultsOf(
  config: unknown,
  options?: LoadOptions,
): Promise<readonly ConfigFault[]> {
  const result = await load(config, options);
  return result.ok ? [] : result.error;
}

/** The least that is valid, with `config` over it, has one fault exactly: at this field, with this in its message. */
export async function expectFault(config: object, field: string, message: string): Promise<void> {
  const faults = await faultsOf({ ...LEAST, ...config });
  expect(faults).toEqual([
    expect.objectContaining({ field, message: expect.stringContaining(message) }),
  ]);
}

/** The least that is valid stays so with `config` over it. */
export async function expectValid(config: object): Promise<void> {
  expect(await faultsOf({ ...LEAST, ...config })).toEqual([]);
}
