/** The agent's configuration of the demonstration: a file in its data directory, with which an agent may go on. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig, loadVocabularyFile } from '../agent/config.ts';
import type { Config } from '../schemas/config.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';

export const CONFIG_FILE = 'sealtrail.yaml';

export interface DemoConfig {
  readonly path: string;
  readonly config: Config;
  readonly vocabulary: Vocabulary;
}

/** Writes the file and loads it as an agent does. Nothing listens beyond a socket and loopback. */
export async function writeConfig(
  dataDir: string,
  vocabularyFile: string,
): Promise<Result<DemoConfig, string>> {
  await mkdir(dataDir, { recursive: true });
  const path = join(dataDir, CONFIG_FILE);
  const files = ['ecs', 'ocsf'].map((format) => [
    `file/${format}`,
    { path: `siem/${format}.ndjson`, format },
  ]);
  const exporters = { postgresql: { embedded: true, port: 0 }, ...Object.fromEntries(files) };
  const form = {
    data_dir: dataDir,
    agent: { name: 'demo', vocabulary_file: vocabularyFile },
    receivers: { socket: { tenants: ['*'] } },
    processors: { redaction: {} },
    exporters,
    tenants: ['acme', 'globex', 'initech'].map((id) => ({ id })),
    service: {
      pipelines: {
        audit: {
          receivers: ['socket'],
          processors: ['redaction'],
          exporters: Object.keys(exporters),
        },
      },
      telemetry: { admin_endpoint: '127.0.0.1:0', log_level: 'warn' },
      shutdown_timeout_ms: 120_000,
    },
  };
  // JSON is YAML.
  await writeFile(path, `${JSON.stringify(form, null, 2)}\n`);
  const config = await loadConfig(path, {});
  if (!config.ok) return err(config.error.map(({ message }) => message).join('; '));
  const vocabulary = await loadVocabularyFile(vocabularyFile);
  if (!vocabulary.ok) return err(vocabulary.error.map(({ message }) => message).join('; '));
  return ok({ path, config: config.value, vocabulary: vocabulary.value });
}
