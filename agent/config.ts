/**
 * Loads the configuration: text -> value with places -> references -> form -> defaults -> checks.
 * Everything that can be known to be wrong is said here, with its line, before anything starts.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Config } from '../schemas/config.ts';
import { codeOf, err, ok, type Result } from '../schemas/result.ts';
import { findDuplicateKey } from '../schemas/json-check.ts';
import { parseVocabulary, type Vocabulary } from '../schemas/vocabulary.ts';
import { checkAnchors } from './config-anchors.ts';
import {
  checkListeners,
  checkPipeline,
  checkRetention,
  checkSizes,
  checkTrustedKeys,
  type CheckContext,
} from './config-checks.ts';
import { completeConfig } from './config-complete.ts';
import { checkExporters } from './config-exporter-checks.ts';
import { checkForm, type ConfigForm } from './config-form.ts';
import { resolveReferences, type Resolved } from './config-references.ts';
import {
  parseSource,
  type ConfigFault,
  type ConfigSource,
  type FieldFault,
} from './config-source.ts';
import { checkTenants } from './config-tenant-checks.ts';

export type { ConfigFault } from './config-source.ts';

const CHECKS: readonly ((context: CheckContext) => readonly FieldFault[])[] = [
  checkPipeline,
  checkTenants,
  checkRetention,
  checkListeners,
  checkTrustedKeys,
  checkSizes,
  checkExporters,
  checkAnchors,
];

/**
 * Reads, checks and completes a configuration file. Lists every fault it can find, by line; one
 * fault with line 0 says that the file cannot be read at all.
 */
export async function loadConfig(
  path: string,
  env: NodeJS.ProcessEnv,
): Promise<Result<Config, readonly ConfigFault[]>> {
  const text = await readText(path);
  if (!text.ok) return text;
  const source = parseSource(text.value);
  if (!source.ok) return source;
  const resolved = resolveReferences(source.value.value, { env, dir: dirname(resolve(path)) });
  const form = checkForm(resolved);
  if (resolved.faults.length > 0 || !form.ok) {
    const faulty = new Set(resolved.faults.map(({ field }) => field));
    // What a reference could not yield is no second fault.
    const ofForm = form.ok ? [] : form.error.filter(({ field }) => !faulty.has(field));
    return err(placeAll([...resolved.faults, ...ofForm], source.value));
  }
  const config = completeConfig(form.value, path);
  const faults = await checkMeaning(form.value, config, resolved);
  return faults.length === 0 ? ok(config) : err(placeAll(faults, source.value));
}

/** Reads and checks a vocabulary file, JSON or YAML; it holds no references. */
export async function loadVocabularyFile(
  path: string,
): Promise<Result<Vocabulary, readonly ConfigFault[]>> {
  const text = await readText(path);
  if (!text.ok) return text;
  const flawless = readFlawlessJson(text.value);
  if (flawless !== null) return ok(flawless);
  const source = parseSource(text.value);
  if (!source.ok) return source;
  const parsed = parseVocabulary(source.value.value);
  return parsed.ok ? parsed : err(placeAll(parsed.error, source.value));
}

/** Every command reads the vocabulary: without faults to place, JSON.parse takes a hundredth of the time. */
function readFlawlessJson(text: string): Vocabulary | null {
  try {
    const parsed = parseVocabulary(JSON.parse(text));
    return parsed.ok && findDuplicateKey(text) === null ? parsed.value : null;
  } catch {
    // YAML, or broken JSON, whose line the other parser knows.
    return null;
  }
}

async function checkMeaning(
  form: ConfigForm,
  config: Config,
  { texts }: Resolved,
): Promise<readonly FieldFault[]> {
  const file = config.agent.vocabulary_file;
  const field = '/agent/vocabulary_file';
  const vocabulary = await loadVocabularyFile(file);
  const context: CheckContext = {
    form,
    config,
    vocabulary: vocabulary.ok ? vocabulary.value : null,
    shown: (pointer, value) => texts.get(pointer) ?? value,
  };
  const faults = CHECKS.flatMap((check) => check(context));
  const first = vocabulary.ok ? undefined : vocabulary.error[0];
  if (first === undefined) return faults;
  const shown = context.shown(field, form.agent?.vocabulary_file ?? file);
  const place = first.line === 0 ? '' : `:${first.line}:${first.column}: ${first.field}`;
  return [...faults, { field, message: `${shown}${place} ${first.message}` }];
}

/** More than a hundred thousand tenants; at the wrong file a parser would be for minutes. */
const TEXT_LENGTH_MAX = 4 * 1024 * 1024;

async function readText(path: string): Promise<Result<string, readonly ConfigFault[]>> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= TEXT_LENGTH_MAX) return ok(text);
    const message = `is ${text.length} characters long, and ${TEXT_LENGTH_MAX} are the limit; is it the right file?`;
    return err([{ line: 0, column: 0, field: '', message }]);
  } catch (error) {
    const message = `cannot be read (${codeOf(error)}); \`sealtrail init\` writes one to start from`;
    return err([{ line: 0, column: 0, field: '', message }]);
  }
}

function placeAll(faults: readonly FieldFault[], source: ConfigSource): readonly ConfigFault[] {
  return faults
    .map(source.place)
    .toSorted((one, other) => one.line - other.line || one.column - other.column);
}
