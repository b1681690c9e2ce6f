/**
 * createAudit: the one way to record. record() does everything that concerns the event's content
 * within the caller's turn (draft.ts), then leaves the text to the send queue and its delivery.
 */
import { performance } from 'node:perf_hooks';
import { ulid } from 'ulid';
import { createRedactor } from '../redaction/redaction.ts';
import { err, ok } from '../schemas/result.ts';
import type { QueueEntry, RecordReceipt } from './batch.ts';
import { currentContext, runInContext } from './context.ts';
import { createDeadlines } from './deadlines.ts';
import { createDelivery, type DeliveryCounts } from './delivery.ts';
import { createPreparer, type EventDraft, type PreparedEvent } from './draft.ts';
import { AuditError, AuditErrorCode } from './errors.ts';
import { createEventIds } from './event-id.ts';
import { asAuditError, decideTimeoutError, reportFailure, type AuditFailure } from './failure.ts';
import { resolveOptions, type AuditOptions, type ResolvedOptions } from './options.ts';
import { openPreparedDoor } from './prepared.ts';
import { createSendQueue } from './send-queue.ts';
import { loadVocabulary } from './vocabulary-source.ts';

/** What an Audit has done so far. */
export interface AuditStats extends Readonly<DeliveryCounts> {
  readonly connected: boolean;
  /** Events not yet acked or refused. */
  readonly pending: number;
  /** record() calls that were rejected, for whatever reason. */
  readonly failures: number;
  /** Why the last connection ended; null while all is well. */
  readonly lastError: string | null;
}

export interface Audit {
  /**
   * Records one event. Resolves once the agent has it redacted, chained and fsynced; rejects
   * with AuditError otherwise. An incomplete event is rejected before any I/O. Calls need not be
   * awaited one by one: what is recorded together travels together.
   */
  record(draft: EventDraft): Promise<RecordReceipt>;
  /** Resolves once every record() made so far is answered, for good or bad. */
  flush(): Promise<void>;
  /** Takes no more events, waits for those under way (up to timeoutMs), and disconnects. */
  close(): Promise<void>;
  stats(): AuditStats;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Creates an Audit.
 * @throws AuditError `redaction_key_missing`, `redaction_key_invalid`, `vocabulary_invalid`,
 * `options_invalid`.
 * @example
 * const audit = createAudit({ service: 'shop', vocabulary: 'config/vocabulary.json' });
 * await audit.record({
 *   action: 'customer.export',
 *   outcome: 'denied',
 *   actor: { type: 'user', id: 'u-17', name: 'Ada' },
 *   resource: { type: 'customer', id: 'c-4' },
 * });
 */
export function createAudit(options: AuditOptions): Audit {
  const resolved = resolveOptions(options, process.env);
  const prepare = createPreparerOf(options, resolved);
  const sendQueue = createSendQueue(answer);
  const deadlines = createDeadlines<QueueEntry>(expire);
  const { socketPath, timeoutMs } = resolved;
  const delivery = createDelivery(
    { socketPath, service: options.service, producer: ulid(), stallMs: timeoutMs },
    sendQueue,
    { onProgress: deadlines.forgetSettled, isAwaited: deadlines.hasOpen },
  );
  let failures = 0;
  let closing: Promise<void> | null = null;

  function fail(error: AuditError, event: Failing): AuditError {
    failures += 1;
    reportFailure(options.onAuditFailure, { error, ...event });
    return error;
  }

  function prepareLoudly(draft: EventDraft): PreparedEvent {
    try {
      return prepare(draft);
    } catch (thrown) {
      throw fail(asAuditError(thrown), UNPREPARED);
    }
  }

  function record(draft: EventDraft): Promise<RecordReceipt> {
    return new Promise((resolve, reject) => {
      const event = prepareLoudly(draft);
      enqueue(event, resolve, (error) => reject(fail(error, failingOf(event))));
    });
  }

  function enqueue(
    event: PreparedEvent,
    resolve: QueueEntry['resolve'],
    reject: QueueEntry['reject'],
  ): void {
    const refused = admit();
    if (refused !== null) return reject(refused);
    const entry: QueueEntry = {
      event,
      deadlineMs: performance.now() + timeoutMs,
      state: 'queued',
      mayBeRecorded: false,
      settled: false,
      putOffFor: null,
      context: currentContext(),
      resolve,
      reject,
    };
    sendQueue.add(entry);
    deadlines.watch(entry);
    delivery.notify();
  }

  function answer(entry: QueueEntry, outcome: RecordReceipt | AuditError): void {
    entry.settled = true;
    if (!(outcome instanceof AuditError)) return entry.resolve(outcome);
    // Answers come in from a timer or the socket; the hook logs for the request that recorded.
    runInContext(entry.context, () => entry.reject(outcome));
  }

  function admit(): AuditError | null {
    if (closing !== null) return new AuditError(AuditErrorCode.closed, 'the audit is closed');
    const [events, bytes] = [sendQueue.size(), sendQueue.bytes()];
    if (events < resolved.queueEventsMax && bytes < resolved.queueBytesMax) return null;
    const message = `${events} events (${bytes} bytes) wait for an ack, which is the bound`;
    return new AuditError(AuditErrorCode.queueFull, message, {
      hint: 'Is the agent running, and its disk fast enough? See queueEventsMax, queueBytesMax.',
    });
  }

  /** A caller has waited long enough. What was sent stays in the send queue: it may be recorded. */
  function expire(entry: QueueEntry): void {
    const error = decideTimeoutError({
      place: entry.state,
      mayBeRecorded: entry.mayBeRecorded,
      putOffFor: entry.putOffFor,
      connected: delivery.isConnected(),
      lastEnd: delivery.lastEnd(),
      timeoutMs,
      socketPath,
    });
    const sent = entry.state === 'sent';
    if (!sent) sendQueue.drop(entry);
    answer(entry, error);
    if (sent) delivery.checkStall();
  }

  /** Every deadline lies within timeoutMs, so this ends by then. */
  function close(): Promise<void> {
    closing ??= deadlines.whenSettled().then(() => {
      delivery.stop();
      deadlines.stop();
    });
    return closing;
  }

  const audit: Audit = {
    record,
    flush: deadlines.whenSettled,
    close,
    stats: () => ({
      ...delivery.counts(),
      connected: delivery.isConnected(),
      pending: sendQueue.size(),
      failures,
      lastError: delivery.lastEnd()?.message ?? null,
    }),
    [Symbol.asyncDispose]: close,
  };
  openPreparedDoor(audit, {
    prepare: prepareLoudly,
    send: (event) =>
      new Promise((resolve) =>
        enqueue(
          event,
          (receipt) => resolve(ok(receipt)),
          (error) => resolve(err(error)),
        ),
      ),
  });
  return audit;
}

type Failing = Omit<AuditFailure, 'error'>;

/** A draft that failed its checks: what it says is not to be trusted, so nothing of it is told. */
const UNPREPARED: Failing = { action: undefined, event_id: undefined, fail_policy: undefined };

function failingOf({ action, event_id, fail_policy }: PreparedEvent): Failing {
  return { action, event_id, fail_policy };
}

function createPreparerOf(
  options: AuditOptions,
  resolved: ResolvedOptions,
): (draft: EventDraft) => PreparedEvent {
  const redactor = createRedactor({
    masterKey: resolved.redactionKey,
    ...(options.sensitiveKeys === undefined ? {} : { sensitiveKeys: options.sensitiveKeys }),
  });
  return createPreparer({
    service: options.service,
    serviceVersion: options.serviceVersion ?? null,
    tenant: resolved.tenant,
    vocabulary: loadVocabulary(options.vocabulary),
    redactor,
    nextEventId: createEventIds(),
    nowMs: () => (options.clock === undefined ? Date.now() : options.clock.nowMs()),
  });
}
