/**
 * Delivery: moves the send queue over a connection. It decides when to connect, when to send, when
 * to try again, and when a caller has waited long enough. Nothing leaves the send queue but by an
 * ack, a refusal, or a caller that was told.
 */
import { performance } from 'node:perf_hooks';
import { refusal } from '../schemas/refusal.ts';
import { FRAME_HEADER_BYTES, type AgentHello } from '../schemas/wire.ts';
import { decideBackoffMs } from './backoff.ts';
import { encodeBatch, type BatchLimits } from './batch.ts';
import { openConnection, type Connection, type ConnectionEnd } from './connection.ts';
import type { SendQueue } from './send-queue.ts';

/** Batches sent and not yet acked: enough to keep the agent's next group commit full. */
const IN_FLIGHT_BATCHES_MAX = 16;
/** Largest batch we build; one such batch is 0.3 ms of the agent's time or so. */
const BATCH_EVENTS = 256;
const BATCH_BYTES = 256 * 1024;
const HELLO_TIMEOUT_MS = 5000;
/** After so many connections ended by the agent over the same batch, the batch is given up. */
const HEAD_ERRORS_MAX = 5;
/** Room for the batch header line. */
const HEADER_BYTES = 128;

export interface DeliveryOptions {
  readonly socketPath: string;
  readonly service: string;
  readonly producer: string;
  /** A connection on which nothing is acked for so long is replaced. */
  readonly stallMs: number;
}

export interface DeliveryCounts {
  /** Connections opened after the first. */
  reconnects: number;
  /** Connections that the agent's answers, not the network, made us end. */
  protocolErrors: number;
  acked: number;
  refused: number;
}

export interface Delivery {
  /** The send queue has something new; sends it in this turn's microtask or the next turn. */
  notify(): void;
  /** Why the last connection ended; null while all is well. */
  lastEnd(): ConnectionEnd | null;
  isConnected(): boolean;
  /** Resolves with whether there is a connection on which the agent said HELLO, within this time. */
  probe(withinMs: number): Promise<boolean>;
  /** Replaces a connection that has stopped answering. */
  checkStall(): void;
  counts(): Readonly<DeliveryCounts>;
  /** Stops; what is still in the send queue stays there. */
  stop(): void;
}

/** Those who wait for answers. */
export interface Callers {
  /** Some were answered, or put off. */
  onProgress(): void;
  isAwaited(): boolean;
}

/** Creates the delivery of a send queue; connects when there is something to send. */
export function createDelivery(
  options: DeliveryOptions,
  sendQueue: SendQueue,
  callers: Callers,
): Delivery {
  const counts: DeliveryCounts = { reconnects: 0, protocolErrors: 0, acked: 0, refused: 0 };
  let connection: Connection | null = null;
  let limits: BatchLimits | null = null;
  let nextBatch = 1;
  let failures = 0;
  let connections = 0;
  let scheduled = false;
  let stopped = false;
  let timer: NodeJS.Timeout | null = null;
  let end: ConnectionEnd | null = null;
  let lastAckMs = 0;
  let held = true;
  const probes = new Set<(isConnected: boolean) => void>();
  let headErrors = { seq: -1, count: 0 };

  function notify(): void {
    if (stopped) return;
    hold();
    if (connection === null) return timer === null ? connectNow() : undefined;
    if (scheduled || limits === null || isFull()) return;
    scheduled = true;
    // Idle: what this turn records goes out at once. Busy: one batch a turn of the event loop.
    if (sendQueue.inFlightBatches() === 0) queueMicrotask(sendScheduled);
    else setImmediate(sendScheduled);
  }

  /** After a failure one batch goes ahead: an agent that takes nothing is not flooded with resends. */
  function isFull(): boolean {
    return sendQueue.inFlightBatches() >= (failures === 0 ? IN_FLIGHT_BATCHES_MAX : 1);
  }

  function sendScheduled(): void {
    scheduled = false;
    send();
  }

  function send(): void {
    while (connection !== null && limits !== null) {
      if (isFull()) return;
      if (sendQueue.mustTellRefused()) return tellRefused(connection);
      if (sendQueue.inFlightBatches() === 0) lastAckMs = performance.now();
      const batch = sendQueue.takeBatch(nextBatch, limits);
      if (batch === null) return;
      nextBatch += 1;
      connection.send(encodeBatch(batch));
    }
  }

  /** HELLO is the place to say it, so what is under way is awaited, and then a new one said. */
  function tellRefused(current: Connection): void {
    if (sendQueue.inFlightBatches() > 0) return;
    current.abort({ kind: 'lost', message: 'given up numbers are told in a new HELLO' });
  }

  /** The process stays alive for events under way, and for nothing else. */
  function hold(): void {
    const wanted = callers.isAwaited();
    if (wanted === held) return;
    held = wanted;
    connection?.hold(wanted);
    if (timer !== null) void (wanted ? timer.ref() : timer.unref());
  }

  function connectNow(): void {
    sendQueue.forgetWithdrawn();
    if (stopped || (sendQueue.size() === 0 && probes.size === 0)) return;
    connections += 1;
    if (connections > 1) counts.reconnects += 1;
    nextBatch = 1;
    lastAckMs = performance.now();
    const refused = sendQueue.tellRefused();
    connection = openConnection(
      { ...options, refused, helloTimeoutMs: HELLO_TIMEOUT_MS },
      { onReady, onAck, onEnd },
    );
    held = true;
    hold();
  }

  function onReady(agent: AgentHello): void {
    limits = {
      eventsMax: Math.min(BATCH_EVENTS, agent.batch_events_max),
      bytesMax: Math.min(BATCH_BYTES, agent.frame_bytes_max - FRAME_HEADER_BYTES - HEADER_BYTES),
    };
    for (const answer of [...probes]) answer(true);
    send();
  }

  function onAck(ack: unknown): string | null {
    const effect = sendQueue.applyAck(ack);
    if (!effect.ok) return effect.error;
    counts.acked += effect.value.accepted;
    counts.refused += effect.value.refused;
    lastAckMs = performance.now();
    if (effect.value.accepted + effect.value.refused > 0) {
      failures = 0;
      end = null;
    }
    if (sendQueue.isPaused()) resumeWhenDue();
    else if (sendQueue.hasWork()) notify();
    callers.onProgress();
    hold();
    return null;
  }

  /** What was put off waits for everything under way to be answered, then for the backoff. */
  function resumeWhenDue(): void {
    if (sendQueue.inFlightBatches() > 0 || timer !== null) return;
    afterBackoff(() => {
      sendQueue.resume();
      send();
    });
  }

  function onEnd(reason: ConnectionEnd): void {
    connection = null;
    limits = null;
    end = reason;
    sendQueue.disconnected();
    if (reason.kind === 'protocol') counts.protocolErrors += 1;
    if (reason.kind === 'refused') giveUpPoisonedHead(reason);
    callers.onProgress();
    afterBackoff(connectNow);
  }

  function afterBackoff(work: () => void): void {
    failures += 1;
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(
      () => {
        timer = null;
        work();
      },
      decideBackoffMs(failures, Math.random()),
    );
    held = true;
    hold();
  }

  /** A batch over which the agent ends every connection must not block those behind it. */
  function giveUpPoisonedHead(reason: ConnectionEnd): void {
    const head = sendQueue.resendHead();
    if (reason.refusalKind !== 'protocol_error' || head === null) return;
    // Before a batch was sent it was not about a batch: too many connections, another version.
    if (nextBatch === 1) return;
    headErrors = { seq: head, count: headErrors.seq === head ? headErrors.count + 1 : 1 };
    if (headErrors.count < HEAD_ERRORS_MAX) return;
    sendQueue.refuseHead(
      refusal('protocol_error', `the agent refuses this batch: ${reason.message}`),
    );
    failures = 0;
  }

  function probe(withinMs: number): Promise<boolean> {
    if (limits !== null || stopped) return Promise.resolve(limits !== null);
    return new Promise((resolve) => {
      const answer = (isConnected: boolean): void => {
        clearTimeout(deadline);
        probes.delete(answer);
        resolve(isConnected);
      };
      const deadline = setTimeout(answer, withinMs, false);
      probes.add(answer);
      if (connection === null && timer === null) connectNow();
    });
  }

  return {
    notify,
    probe,
    lastEnd: () => end,
    isConnected: () => limits !== null,
    checkStall() {
      const silentMs = performance.now() - lastAckMs;
      if (sendQueue.inFlightBatches() === 0 || silentMs < options.stallMs) return;
      connection?.abort({ kind: 'lost', message: `no ack for ${Math.round(silentMs)} ms` });
    },
    counts: () => counts,
    stop() {
      stopped = true;
      for (const answer of [...probes]) answer(false);
      if (timer !== null) clearTimeout(timer);
      connection?.close();
      connection = null;
      limits = null;
    },
  };
}
