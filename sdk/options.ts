/**
 * The options of createAudit, and what stands in for those left out. Everything that can be
 * wrong with them is found here, at start, not at the first event.
 */
import { join } from 'node:path';
import { parseRedactionKey } from '../redaction/redaction.ts';
import { AuditError, AuditErrorCode } from './errors.ts';
import type { AuditFailure } from './failure.ts';
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
  /** Tenant of events that name none. Default: `default`. */
  readonly tenant?: string;
  /** Wall clock, milliseconds since the epoch. Default: Date.now. */
  readonly clock?: { nowMs(): number };
  /** How long record() waits for the ack. Default 10,000; at least 1. */
  readonly timeoutMs?: number;
  /** Bound of events not yet acked. Default 100,000. */
  readonly queueEventsMax?: number;
  /**
   * What record() does at the bound. `wait` (default): as many callers again stand in line,
   * up to timeoutMs; `refuse`: rejects at once with `queue_full`. Neither drops an event.
   */
  readonly whenFull?: 'wait' | 'refuse';
  /** Told of each failure, besides the rejection of record(). Default: none. */
  readonly onAuditFailure?: (failure: AuditFailure) => void;
}

export interface ResolvedOptions {
  readonly socketPath: string;
  readonly redactionKey: Uint8Array;
  readonly timeoutMs: number;
  /** Events held at most, callers in line included. */
  readonly eventsMax: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_QUEUE_EVENTS_MAX = 100_000;
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Fills in defaults from the environment.
 * @throws AuditError `options_invalid`, `redaction_key_missing`, `redaction_key_invalid`.
 */
export function resolveOptions(options: AuditOptions, env: NodeJS.ProcessEnv): ResolvedOptions {
  if (typeof options !== 'object' || options === null) throw invalid('options', 'an object');
  if (typeof options.service !== 'string' || options.service === '') {
    throw invalid('service', 'the name of the application');
  }
  if (options.vocabulary === undefined || options.vocabulary === null) {
    throw invalid('vocabulary', 'the path of a JSON file, or its parsed value');
  }
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  if (!Number.isFinite(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMER_MS_MAX) {
    throw invalid('timeoutMs', 'a number of milliseconds from 1');
  }
  const queueEventsMax = options.queueEventsMax ?? DEFAULT_QUEUE_EVENTS_MAX;
  if (!Number.isSafeInteger(queueEventsMax) || queueEventsMax < 1) {
    throw invalid('queueEventsMax', 'an integer from 1');
  }
  return {
    redactionKey: redactionKeyOf(options, env),
    socketPath: options.socketPath ?? defaultSocketPath(env),
    timeoutMs,
    eventsMax: options.whenFull === 'refuse' ? queueEventsMax : queueEventsMax * 2,
  };
}

function invalid(option: string, wanted: string): AuditError {
  return new AuditError(AuditErrorCode.optionsInvalid, `createAudit: ${option} must be ${wanted}`, {
    hint: 'See the options in the README of @sealtrail/sdk.',
  });
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
