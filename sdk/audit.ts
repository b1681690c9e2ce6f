/**
 * createAudit: the one way to record. record() does everything that concerns the event's content
 * within the caller's turn (draft.ts), then leaves the text to the send queue and its delivery.
 */
import { performance } from 'node:perf_hooks';
import { ulid } from 'ulid';
import { err, ok, type Result } from '../schemas/result.ts';
import { createAudited, type Audited, type Verdict } from './audited.ts';
import { createEntry, type QueueEntry, type RecordReceipt, type SpooledReceipt } from './batch.ts';
import { currentContext } from './context.ts';
import { createDeadlines } from './deadlines.ts';
import { createDelivery, type DeliveryCounts } from './delivery.ts';
import type { PreparedEvent } from './draft.ts';
import { AuditError, AuditErrorCode } from './errors.ts';
import type { EventDraft, PlainDraft } from './event-draft.ts';
import { createFailPolicies, type FailPolicyStats } from './fail-policy.ts';
import { asAuditError, decideTimeoutError } from './failure.ts';
import { checkExempt, resolveOptions } from './options.ts';
import type { AuditOptions, SpoolingAuditOptions } from './options.ts';
import { openPreparedDoor } from './prepared.ts';
import { actionOf, clockOf, createPreparerOf } from './preparing.ts';
import { createSendQueue } from './send-queue.ts';
import { createTokenization } from './subjects/tokenization.ts';
import { loadVocabulary } from './vocabulary-source.ts';

/** What an Audit has done so far. */
export interface AuditStats extends Readonly<DeliveryCounts>, FailPolicyStats {
  readonly connected: boolean;
  /** Events not yet acked or refused. */
  readonly pending: number;
  /** Why the last connection ended; null while all is well. */
  readonly lastError: string | null;
}

/** R is what record() resolves to: a receipt, or with a spool perhaps a SpooledReceipt. */
export interface Audit<R = RecordReceipt> {
  /**
   * Records one event. Resolves once the agent has it redacted, chained and fsynced; rejects
   * with AuditError otherwise. An incomplete event is rejected before any I/O. Calls need not be
   * awaited one by one: what is recorded together travels together. With a spool, an event of a
   * fail-open action that is not acked in time resolves to a SpooledReceipt instead.
   */
  record(draft: EventDraft): Promise<R>;
  /** Performs a business action under the fail policy of its action, and records how it ended. */
  audited: Audited;
  /** Resolves once every record() made so far is answered, for good or bad. */
  flush(): Promise<void>;
  /** Takes no more events, waits for those under way (up to timeoutMs), and disconnects. */
  close(): Promise<void>;
  stats(): AuditStats;
  [Symbol.asyncDispose](): Promise<void>;
}

type Answer = RecordReceipt | SpooledReceipt;

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
export function createAudit(options: SpoolingAuditOptions): Audit<Answer>;
export function createAudit(options: AuditOptions): Audit;
export function createAudit(options: AuditOptions): Audit<Answer> {
  const resolved = resolveOptions(options, process.env);
  const vocabulary = loadVocabulary(options.vocabulary);
  checkExempt(resolved, vocabulary);
  const prepare = createPreparerOf(options, resolved, vocabulary);
  const sendQueue = createSendQueue(answer);
  const { socketPath, timeoutMs } = resolved;
  const spoolAfterMs = resolved.spool?.afterMs ?? timeoutMs;
  const deadlines = createDeadlines<QueueEntry>(expire);
  // All items of one watch wait equally long; with a spool, those of fail-open actions wait less.
  const early = resolved.spool === null ? deadlines : createDeadlines<QueueEntry>(expire);
  const [service, instance] = [options.service, ulid()];
  const policies = createFailPolicies({
    service,
    resolved,
    instance,
    hook: options.onAuditFailure,
  });
  const delivery = createDelivery(
    { socketPath, service, producer: instance, stallMs: timeoutMs },
    sendQueue,
    {
      onProgress() {
        deadlines.forgetSettled();
        if (early !== deadlines) early.forgetSettled();
      },
      isAwaited: () => deadlines.hasOpen() || (early !== deadlines && early.hasOpen()),
    },
  );
  const tokenization = createTokenization({
    subjects: options.subjects,
    tenant: resolved.tenant,
    vocabulary,
    nowMs: clockOf(options),
    check: prepare,
    onUnresolved: policies.unresolved,
  });
  let closing: Promise<void> | null = null;

  function record(draft: EventDraft, admitted?: Verdict): Promise<Answer> {
    // What waits for the vault while close() is called was handed in before.
    const closed = closedError();
    return tokenization.through(
      draft,
      (plain) => recordPlain(plain, closed ?? admitted),
      (error) => Promise.reject(policies.refuse(error, null)),
    );
  }

  function recordPlain(draft: PlainDraft, known?: Verdict | AuditError): Promise<Answer> {
    let event: PreparedEvent;
    try {
      event = prepare(draft);
    } catch (thrown) {
      return Promise.reject(policies.refuse(asAuditError(thrown), null));
    }
    const nowMs = performance.now();
    const verdict = known ?? policies.admit(nowMs, event.action);
    if (verdict instanceof AuditError) return Promise.reject(policies.refuse(verdict, event));
    const waitMs = event.fail_policy === 'fail_open' ? spoolAfterMs : timeoutMs;
    const kind = verdict === 'probe' ? 'probe' : 'recorded';
    return new Promise((resolve, reject) => {
      const answers = { resolve, reject };
      const entry = createEntry(event, nowMs + waitMs, kind, currentContext(), answers);
      const full = fullError();
      if (full === null) enqueue(entry);
      else policies.unsent(entry, full);
    });
  }

  /** Sends what the outbox has kept: it is safe there, so no fail policy concerns it. */
  function relay(event: PreparedEvent): Promise<Result<RecordReceipt, AuditError>> {
    const refused = closedError() ?? fullError();
    if (refused !== null) return Promise.resolve(err(refused));
    const deadlineMs = performance.now() + timeoutMs;
    return new Promise((resolve) => {
      const answers = {
        // What is relayed is never spooled.
        resolve: (receipt: Answer) => resolve(ok(receipt as RecordReceipt)),
        reject: (error: AuditError) => resolve(err(error)),
      };
      enqueue(createEntry(event, deadlineMs, 'relayed', currentContext(), answers));
    });
  }

  function enqueue(entry: QueueEntry): void {
    sendQueue.add(entry);
    const isEarly = entry.event.fail_policy === 'fail_open' && !entry.isRelayed;
    (isEarly ? early : deadlines).watch(entry);
    delivery.notify();
  }

  async function prepareLoudly(draft: EventDraft): Promise<PreparedEvent> {
    try {
      return await prepareMarked(draft);
    } catch (thrown) {
      throw policies.refuse(asAuditError(thrown), null);
    }
  }

  function prepareMarked(draft: EventDraft): Promise<PreparedEvent> {
    return tokenization.through(
      draft,
      async (plain) => prepare(plain),
      (error) => Promise.reject(error),
    );
  }

  /** Answers come in from a timer or the socket. */
  function answer(entry: QueueEntry, outcome: RecordReceipt | AuditError): void {
    entry.settled = true;
    if (outcome instanceof AuditError) {
      return entry.isRelayed ? entry.reject(outcome) : policies.failed(entry, outcome);
    }
    policies.acked();
    entry.resolve(outcome);
  }

  function closedError(): AuditError | null {
    return closing === null ? null : new AuditError(AuditErrorCode.closed, 'the audit is closed');
  }

  function fullError(): AuditError | null {
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
      isRelayed: entry.isRelayed,
      lastEnd: delivery.lastEnd(),
      timeoutMs:
        entry.event.fail_policy === 'fail_open' && !entry.isRelayed ? spoolAfterMs : timeoutMs,
      socketPath,
    });
    const sent = entry.state === 'sent';
    // What is kept in the spool or the outbox is sent from there, and from nowhere else.
    if (entry.isRelayed || policies.spools(entry)) sendQueue.withdraw(entry);
    else if (!sent) sendQueue.drop(entry);
    entry.settled = true;
    if (entry.isRelayed) entry.reject(error);
    else policies.expired(entry, error);
    if (sent) delivery.checkStall();
  }

  /** What would keep a record from being acked now, as far as that can be known without one. */
  async function objection(draft: EventDraft): Promise<AuditError | null> {
    try {
      await prepareMarked(draft);
    } catch (thrown) {
      return asAuditError(thrown);
    }
    const known = closedError() ?? fullError() ?? policies.objection();
    if (known !== null) return known;
    const connected = await delivery.probe(timeoutMs);
    const [lastEnd, putOffFor] = [delivery.lastEnd(), sendQueue.putOffFor()];
    if (connected && putOffFor === null) return null;
    const place = putOffFor === null ? 'queued' : 'put_off';
    const waited = { place, mayBeRecorded: false, isRelayed: false, putOffFor } as const;
    return decideTimeoutError({ ...waited, connected, lastEnd, timeoutMs, socketPath });
  }

  async function flush(): Promise<void> {
    await tokenization.whenIdle();
    await Promise.all([deadlines.whenSettled(), early.whenSettled()]);
    await policies.whenIdle();
  }

  /** Every deadline lies within timeoutMs, so this ends by then. */
  function close(): Promise<void> {
    closing ??= flush().then(() => {
      delivery.stop();
      deadlines.stop();
      early.stop();
      return policies.close();
    });
    return closing;
  }

  const audit: Audit<Answer> = {
    record: (draft) => record(draft),
    audited: createAudited({
      record,
      objection,
      admit: (action) => policies.admit(performance.now(), action),
      policyOf: (action) => vocabulary.actions.get(action)?.fail_policy,
      refuse: (error, { action }) => policies.refuse(error, actionOf(action, vocabulary)),
    }),
    flush,
    close,
    stats: () => ({
      ...delivery.counts(),
      ...policies.stats(),
      connected: delivery.isConnected(),
      pending: sendQueue.size(),
      lastError: delivery.lastEnd()?.message ?? null,
    }),
    [Symbol.asyncDispose]: close,
  };
  openPreparedDoor(audit, { prepare: prepareLoudly, send: relay });
  return audit;
}
