/**
 * The options of createAudit, and what stands in for those left out. Everything that can be
 * wrong with them is found here, at start, not at the first event.
 */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseRedactionKey } from '../redaction/redaction.ts';
import { messageOf } from '../schemas/result.ts';
import type { Vocabulary } from '../schemas/vocabulary.ts';
import { AuditError, AuditErrorCode } from './errors.ts';
import type { BreakerLimits } from './breaker.ts';
import type { AuditFailure } from './failure.ts';
import type { Subjects } from './subjects/subjects.ts';
import type { VocabularySource } from './vocabulary-source.ts';

export interface AuditOptions {
  /** Name of the application, as it appears in `source.service`. */
  readonly service: string;
  readonly serviceVersion?: string;
  /** The actions that may be recorded: path of a JSON file, or the parsed value. */
  readonly vocabulary: VocabularySource;
  /** Default: $SEALTRAIL_SOCKET, $SEALTRAIL_DATA_DIR/sealtrail.sock, ./data/sealtrail.sock. */
  readonly socketPath?: string;
  /** Hex, 32 bytes or more. Default: $SEALTRAIL_REDACTION_KEY. There is no other default. */
  readonly redactionKey?: string;
  /** Names of further members, in metadata, that are secret. */
  readonly sensitiveKeys?: readonly string[];
  /**
   * Tokens for people marked with subject() (`@sealtrail/sdk/subjects`). With it an e-mail address that is not
   * marked becomes a token in actor and resource as well.
   */
  readonly subjects?: Subjects;
  /** Tenant of events that name none. Default: `default`. */
  readonly tenant?: string;
  /** Wall clock, milliseconds since the epoch. Default: Date.now. */
  readonly clock?: { nowMs(): number };
  /** How long record() waits for the ack. Default 10,000; at least 1. */
  readonly timeoutMs?: number;
  /** Events not yet acked at most; beyond, record() rejects with `queue_full`. Default 100,000. */
  readonly queueEventsMax?: number;
  /** The same bound in bytes of event text. Default 64 MiB. */
  readonly queueBytesMax?: number;
  /** Told of each failure, besides the rejection of record(). Default: none. */
  readonly onAuditFailure?: (failure: AuditFailure) => void;
  /**
   * When audit writes count as broken down: after so many failures in a row (default 5) that lasted forMs
   * (default 60,000). Then every action is fail-closed, and one event may try each coolDownMs (5,000).
   * `exempt`: fail-open actions that take place all the same, since refusing them may cost a life.
   */
  readonly breaker?: Partial<BreakerLimits> & { readonly exempt?: readonly string[] };
}

/** Options of an Audit that spools; the type of what record() resolves to follows from them. */
export interface SpoolingAuditOptions extends AuditOptions {
  /** Keeps events of fail-open actions on this host's disk while the agent is away. */
  readonly spool: true | SpoolOptions;
}

export interface SpoolOptions {
  /** Default: $SEALTRAIL_SPOOL_DIR, $SEALTRAIL_DATA_DIR/spool, ./data/spool. Shared by processes. */
  readonly dir?: string;
  /** Bytes of events that wait, of one process; beyond, the breaker opens. Default 64 MiB. */
  readonly bytesMax?: number;
  /** How long a fail-open event waits for the ack before it is spooled. Default 1,000, or timeoutMs. */
  readonly afterMs?: number;
}

export interface SpoolLimits {
  readonly dir: string;
  readonly bytesMax: number;
  readonly afterMs: number;
}

export interface ResolvedOptions {
  readonly spool: SpoolLimits | null;
  readonly breaker: BreakerLimits;
  /** Actions that an open breaker does not refuse. */
  readonly exempt: ReadonlySet<string>;
  readonly socketPath: string;
  readonly tenant: string;
  readonly redactionKey: Uint8Array;
  readonly timeoutMs: number;
  readonly queueEventsMax: number;
  readonly queueBytesMax: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_QUEUE_EVENTS_MAX = 100_000;
const DEFAULT_QUEUE_BYTES_MAX: number = 64 * 1024 * 1024;
const DEFAULT_SPOOL_BYTES_MAX: number = 64 * 1024 * 1024;
const DEFAULT_SPOOL_AFTER_MS = 1000;
const DEFAULT_BREAKER: BreakerLimits = { failures: 5, forMs: 60_000, coolDownMs: 5000 };
const TIMER_MS_MAX = 2 ** 31 - 1;
/** sockaddr_un.sun_path on Linux, without its closing zero. */
const SOCKET_PATH_BYTES_MAX = 107;
/** As event.schema.json has it. */
const TENANT = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Fills in defaults from the environment.
 * @throws AuditError `options_invalid`, `redaction_key_missing`, `redaction_key_invalid`.
 */
export function resolveOptions(
  options: AuditOptions | SpoolingAuditOptions,
  env: NodeJS.ProcessEnv,
): ResolvedOptions {
  demand(typeof options === 'object' && options !== null, 'options', 'an object');
  const { service, serviceVersion = '', tenant = 'default', vocabulary } = options;
  const { timeoutMs = DEFAULT_TIMEOUT_MS, socketPath = defaultSocketPath(env) } = options;
  const { queueEventsMax = DEFAULT_QUEUE_EVENTS_MAX } = options;
  const { queueBytesMax = DEFAULT_QUEUE_BYTES_MAX } = options;
  demand(isText(service, 256) && service !== '', 'service', 'the name of the application');
  demand(isText(serviceVersion, 128), 'serviceVersion', 'a text of up to 128 characters');
  demand(isText(tenant, 128) && TENANT.test(tenant), 'tenant', 'letters, digits, ".", "_", "-"');
  demand(vocabulary, 'vocabulary', 'the path of a JSON file, or its parsed value');
  demand(timeoutMs >= 1 && timeoutMs <= TIMER_MS_MAX, 'timeoutMs', 'milliseconds, from 1');
  demand(isText(socketPath, 4096), 'socketPath', 'the path of a socket');
  const pathBytes = Buffer.byteLength(socketPath);
  demand(pathBytes <= SOCKET_PATH_BYTES_MAX, 'socketPath', 'short: at most 107 bytes');
  demand(isCount(queueEventsMax), 'queueEventsMax', 'an integer from 1');
  demand(isCount(queueBytesMax), 'queueBytesMax', 'an integer from 1');
  const { exempt = [], ...limits } = options.breaker ?? {};
  const breaker = { ...DEFAULT_BREAKER, ...limits };
  demand(isCount(breaker.failures), 'breaker.failures', 'an integer from 1');
  demand(breaker.forMs >= 0, 'breaker.forMs', 'milliseconds, from 0');
  demand(breaker.coolDownMs >= 1, 'breaker.coolDownMs', 'milliseconds, from 1');
  const redactionKey = redactionKeyOf(options, env);
  const spool = resolveSpool(options, env, timeoutMs);
  const bounds = { timeoutMs, queueEventsMax, queueBytesMax };
  return { redactionKey, socketPath, tenant, ...bounds, breaker, exempt: new Set(exempt), spool };
}

/**
 * An exemption that cannot hold is found at start: not in the emergency.
 * @throws AuditError `options_invalid`.
 */
export function checkExempt({ exempt }: ResolvedOptions, { actions }: Vocabulary): void {
  for (const action of exempt)
    demand(
      actions.get(action)?.fail_policy === 'fail_open',
      'breaker.exempt',
      'actions of the vocabulary that are fail_open',
    );
}

function resolveSpool(
  options: AuditOptions | SpoolingAuditOptions,
  env: NodeJS.ProcessEnv,
  timeoutMs: number,
): SpoolLimits | null {
  if (!('spool' in options) || options.spool === undefined) return null;
  const given: SpoolOptions = options.spool === true ? {} : options.spool;
  const dir =
    given.dir ?? (env['SEALTRAIL_SPOOL_DIR'] || join(env['SEALTRAIL_DATA_DIR'] || 'data', 'spool'));
  const { bytesMax = DEFAULT_SPOOL_BYTES_MAX } = given;
  const { afterMs = Math.min(DEFAULT_SPOOL_AFTER_MS, timeoutMs) } = given;
  demand(isText(dir, 4096) && dir !== '', 'spool.dir', 'the path of a folder');
  demand(isCount(bytesMax), 'spool.bytesMax', 'an integer from 1');
  demand(afterMs >= 1 && afterMs <= timeoutMs, 'spool.afterMs', 'milliseconds, up to timeoutMs');
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    accessSync(dir, constants.W_OK | constants.X_OK);
  } catch (thrown) {
    const message = `createAudit: the spool cannot be used: ${messageOf(thrown)}`;
    throw new AuditError(AuditErrorCode.optionsInvalid, message, {
      cause: thrown,
      hint: 'Give spool.dir, or SEALTRAIL_SPOOL_DIR: a folder that this process may write to.',
    });
  }
  return { dir, bytesMax, afterMs };
}

function demand(holds: unknown, option: string, wanted: string): void {
  if (holds) return;
  const message = `createAudit: ${option} must be ${wanted}`;
  throw new AuditError(AuditErrorCode.optionsInvalid, message, {
    hint: 'See the options in the README of @sealtrail/sdk.',
  });
}

function isText(value: unknown, lengthMax: number): boolean {
  return typeof value === 'string' && value.length <= lengthMax;
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function defaultSocketPath(env: NodeJS.ProcessEnv): string {
  if (env['SEALTRAIL_SOCKET']) return env['SEALTRAIL_SOCKET'];
  return join(env['SEALTRAIL_DATA_DIR'] || 'data', 'sealtrail.sock');
}

function redactionKeyOf(options: AuditOptions, env: NodeJS.ProcessEnv): Uint8Array {
  const text = options.redactionKey ?? env['SEALTRAIL_REDACTION_KEY'];
  if (text === undefined || text === '') {
    throw new AuditError(
      AuditErrorCode.redactionKeyMissing,
      'there is no redaction key, so no event can be recorded',
      {
        hint:
          "Set SEALTRAIL_REDACTION_KEY to the content of the agent's redaction key file " +
          '(hex, 32 bytes or more), or pass redactionKey.',
      },
    );
  }
  const key = parseRedactionKey(text);
  if (key.ok) return key.value;
  throw new AuditError(
    AuditErrorCode.redactionKeyInvalid,
    'the redaction key is not usable: it must be hex, 32 bytes or more',
    { hint: 'Generate one with: openssl rand -hex 32' },
  );
}
