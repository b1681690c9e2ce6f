/**
 * What the shop reads from its environment. All of it has a default that fits an agent started
 * with `npm start` in the same folder.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Settings {
  /** SHOP_PORT; 0 takes a free one. */
  readonly port: number;
  readonly socketPath: string;
  readonly redactionKey: string;
  readonly vocabulary: string;
  /** SHOP_AUDIT_TIMEOUT_MS: how long a request waits for its audit record. */
  readonly auditTimeoutMs: number;
  /** SHOP_LOG; undefined: stdout. */
  readonly appLogFile: string | undefined;
  /** SHOP_TRACES; undefined: to OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly tracesFile: string | undefined;
}

/** Reads the settings; throws where there is no redaction key. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const dataDir = env['SEALTRAIL_DATA_DIR'] ?? 'data';
  const toCollector = env['OTEL_EXPORTER_OTLP_ENDPOINT'] !== undefined;
  const standardFile = toCollector ? undefined : join(dataDir, 'shop/traces.ndjson');
  return {
    port: Number(env['SHOP_PORT'] ?? 3000),
    socketPath: env['SEALTRAIL_SOCKET'] ?? join(dataDir, 'sealtrail.sock'),
    redactionKey: env['SEALTRAIL_REDACTION_KEY'] ?? readAgentsKey(dataDir),
    vocabulary: env['SHOP_VOCABULARY'] ?? 'config/vocabulary.json',
    // No longer than a web request waits for its database.
    auditTimeoutMs: Number(env['SHOP_AUDIT_TIMEOUT_MS'] ?? 3_000),
    appLogFile: env['SHOP_LOG'],
    tracesFile: env['SHOP_TRACES'] ?? standardFile,
  };
}

/** A convenience of the example: a real service gets the key from where its secrets are kept. */
function readAgentsKey(dataDir: string): string {
  const file = join(dataDir, 'keys/redaction.key');
  if (!existsSync(file)) {
    throw new Error(`no SEALTRAIL_REDACTION_KEY and no ${file}: start the agent first`);
  }
  console.error(`SEALTRAIL_REDACTION_KEY is not set: the shop uses the agent's key, ${file}`);
  return readFileSync(file, 'utf8').trim();
}
