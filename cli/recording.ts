/** How a command records: through the SDK, into the agent of a data directory. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadVocabularyFile } from '../agent/config.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';
import { createAudit, type Audit } from '../sdk/index.ts';
import { askAgent } from './options.ts';

export interface RecordingOptions {
  readonly dataDir: string;
  /** `source.service` of the events. */
  readonly service: string;
  readonly tenant: string;
  /** Default: the running agent's. */
  readonly vocabulary?: string;
}

/**
 * An Audit on the agent of a data directory, with its vocabulary and its redaction key. `action` is one that
 * has to be in there.
 */
export async function openAudit(
  options: RecordingOptions,
  action?: string,
): Promise<Result<Audit, string>> {
  const vocabulary = await findVocabulary(options);
  if (!vocabulary.ok) return vocabulary;
  if (action !== undefined && !vocabulary.value.actions.has(action))
    return err(`the vocabulary has no action ${action}: copy it from config/vocabulary.json`);
  try {
    const redactionKey =
      process.env['SEALTRAIL_REDACTION_KEY'] ||
      (await readFile(join(options.dataDir, 'keys', 'redaction.key'), 'utf8')).trim();
    const audit = createAudit({
      service: options.service,
      tenant: options.tenant,
      vocabulary: { version: 1, actions: [...vocabulary.value.actions.values()] },
      socketPath: join(options.dataDir, 'sealtrail.sock'),
      redactionKey,
    });
    return ok(audit);
  } catch (error) {
    return err(messageOf(error));
  }
}

async function findVocabulary(options: RecordingOptions): Promise<Result<Vocabulary, string>> {
  let file = options.vocabulary;
  if (file === undefined) {
    const status = await askAgent(options.dataDir, 'GET', '/status');
    if (!status.ok) return status;
    const { value } = status;
    if (typeof value !== 'object' || value === null || !('vocabulary_file' in value))
      return err('the agent does not say where its vocabulary is; name it with --vocabulary');
    file = String(value.vocabulary_file);
  }
  const loaded = await loadVocabularyFile(file);
  if (loaded.ok) return loaded;
  const first = loaded.error[0];
  return err(`${file}:${first?.line ?? 1}: ${first?.field ?? ''} ${first?.message ?? ''}`);
}
