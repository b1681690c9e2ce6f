/**
 * Configuration of a gateway: a file of its own, since of what an agent needs (receivers, keys, tenants,
 * vocabulary, ledger) a gateway has nothing. Read as the agent's is: references, form, defaults, checks.
 */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { NatsConnectionConfig, TlsClientConfig } from '../schemas/exporter-config.ts';
import { validate } from '../schemas/generated/gateway.js';
import { codeOf, err, ok, type Result } from '../schemas/result.ts';
import { clientTls, completeNats } from './config-complete.ts';
import { DATA_DIR_DEFAULT } from './config-defaults.ts';
import { checkNats } from './config-exporter-checks.ts';
import { findFormFaults } from './config-form.ts';
import { resolveReferences } from './config-references.ts';
import { parseSource, type ConfigFault, type FieldFault } from './config-source.ts';
import { isLoopback, parseEndpoint } from './endpoint.ts';

export interface GatewayConfig {
  readonly data_dir: string;
  readonly name: string;
  readonly nats: NatsConnectionConfig & {
    readonly stream: string;
    readonly subject_prefix: string;
    readonly consumer: string;
    readonly create_stream: boolean;
    readonly ack_wait_ms: number;
    readonly batch_records_max: number;
  };
  readonly postgresql: {
    readonly url: string;
    readonly owner_url?: string;
    readonly tls?: TlsClientConfig;
    readonly timeout_ms: number;
  };
  readonly telemetry: {
    readonly admin_endpoint: string;
    readonly log_level: 'debug' | 'info' | 'warn' | 'error';
  };
}

/** The file, after gateway.schema.json has passed it. */
interface GatewayForm {
  readonly data_dir?: string;
  readonly name?: string;
  readonly nats: Omit<Partial<GatewayConfig['nats']>, 'tls'> &
    Pick<NatsConnectionConfig, 'servers'> & { readonly tls?: Partial<TlsClientConfig> };
  readonly postgresql: Omit<GatewayConfig['postgresql'], 'tls' | 'timeout_ms'> & {
    readonly tls?: Partial<TlsClientConfig>;
    readonly timeout_ms?: number;
  };
  readonly telemetry?: Partial<GatewayConfig['telemetry']> | null;
}

const NATS_DEFAULTS = {
  stream: 'SEALTRAIL',
  subject_prefix: 'sealtrail',
  inbox_prefix: '_INBOX',
  consumer: 'gateway',
  create_stream: false,
  ack_wait_ms: 30_000,
  batch_records_max: 500,
} as const;
const TIMEOUT_MS_DEFAULT = 60_000;
const TELEMETRY_DEFAULTS = { admin_endpoint: '127.0.0.1:9465', log_level: 'info' } as const;

/** Reads, checks and completes the file; lists every fault it can find, by line. */
export async function loadGatewayConfig(
  path: string,
  env: NodeJS.ProcessEnv,
): Promise<Result<GatewayConfig, readonly ConfigFault[]>> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const message = `cannot be read (${codeOf(error)}); docs/GATEWAY.md has one to start from`;
    return err([{ line: 0, column: 0, field: '', message }]);
  }
  const source = parseSource(text);
  if (!source.ok) return source;
  const resolved = resolveReferences(source.value.value, { env, dir: dirname(resolve(path)) });
  const faults = [...resolved.faults, ...findFormFaults(resolved, validate)];
  if (faults.length > 0) return err(faults.map(source.value.place));
  const config = complete(resolved.value as GatewayForm);
  const wrong = [...checkNats(config.nats, '/nats'), ...checkAdmin(config)];
  return wrong.length === 0 ? ok(config) : err(wrong.map(source.value.place));
}

function complete(form: GatewayForm): GatewayConfig {
  const dataDir = resolve(form.data_dir ?? DATA_DIR_DEFAULT);
  const inData = (file: string): string => resolve(dataDir, file);
  const { tls, ...nats } = form.nats;
  const { tls: storeTls, ...postgresql } = form.postgresql;
  return {
    data_dir: dataDir,
    name: form.name ?? hostname(),
    nats: { ...NATS_DEFAULTS, ...nats, ...completeNats({ ...nats, ...(tls && { tls }) }, inData) },
    postgresql: { timeout_ms: TIMEOUT_MS_DEFAULT, ...postgresql, ...clientTls(storeTls, inData) },
    telemetry: { ...TELEMETRY_DEFAULTS, ...form.telemetry },
  };
}

function checkAdmin({ telemetry }: GatewayConfig): readonly FieldFault[] {
  const field = '/telemetry/admin_endpoint';
  const endpoint = parseEndpoint(telemetry.admin_endpoint);
  if (endpoint === null) return [{ field, message: 'must be host:port, such as 127.0.0.1:9465' }];
  if (isLoopback(endpoint.host)) return [];
  return [{ field, message: 'is reachable from other hosts; use 127.0.0.1' }];
}
