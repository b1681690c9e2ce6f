/**
 * Sends one spool file to the agent, in order, over a connection of its own. The file names the producer
 * and its lines are the numbers, so a file that is sent again, by this process or by the next one, is
 * recognised by the agent event by event. Nothing here gives up: an event leaves the file by an ack or by
 * a refusal for good.
 */
import { ulid } from 'ulid';
import { createEntry, type QueueEntry } from './batch.ts';
import { createDelivery } from './delivery.ts';
import { AuditError } from './errors.ts';
import { createSendQueue } from './send-queue.ts';
import type { SpoolContents, SpooledEvent } from './spool-format.ts';

export interface DrainOptions {
  readonly socketPath: string;
  readonly service: string;
  readonly stallMs: number;
  /** The agent answered for an event. */
  readonly onAnswer: () => void;
}

export interface RefusedEvent {
  readonly event: SpooledEvent;
  readonly error: AuditError;
}

export interface DrainedFile {
  /** Refused for good. */
  readonly refused: readonly RefusedEvent[];
  /** The agent passed their numbers without recording them: to be sent under other numbers. */
  readonly again: readonly RefusedEvent[];
}

/** Whoever recorded it has been told that it is spooled. */
const UNAWAITED = { resolve: () => undefined, reject: () => undefined };

/** Sends all events of a file; null when `stop` came first. Waits for the agent as long as it takes. */
export function drainFile(
  contents: SpoolContents,
  options: DrainOptions,
  stop: AbortSignal,
): Promise<DrainedFile | null> {
  const { socketPath, service, stallMs } = options;
  const refused: RefusedEvent[] = [];
  const again: RefusedEvent[] = [];
  const producer = contents.producer ?? ulid();
  const eventOf = new Map<QueueEntry, SpooledEvent>();
  const sendQueue = createSendQueue((entry, outcome) => {
    entry.settled = true;
    const event = eventOf.get(entry);
    eventOf.delete(entry);
    options.onAnswer();
    if (!(outcome instanceof AuditError) || event === undefined) return;
    const isPassed = outcome.code === 'protocol_error' && outcome.recorded === 'no';
    (isPassed ? again : refused).push({ event, error: outcome });
  });

  return new Promise((resolve) => {
    const delivery = createDelivery({ socketPath, service, producer, stallMs }, sendQueue, {
      onProgress: () => {
        if (eventOf.size === 0) end({ refused, again });
      },
      // The events are on disk: they are no reason to keep the process alive.
      isAwaited: () => false,
    });
    const stalls = setInterval(() => delivery.checkStall(), stallMs);
    stalls.unref();
    const onStop = (): void => end(null);

    function end(drained: DrainedFile | null): void {
      clearInterval(stalls);
      stop.removeEventListener('abort', onStop);
      delivery.stop();
      resolve(drained);
    }

    if (stop.aborted) return end(null);
    stop.addEventListener('abort', onStop);
    if (contents.events.length === 0) return end({ refused, again });
    for (const event of contents.events) {
      const whole = { ...event, fail_policy: 'fail_open' } as const;
      const entry = createEntry(whole, Number.POSITIVE_INFINITY, 'recorded', {}, UNAWAITED);
      eventOf.set(entry, event);
      sendQueue.add(entry);
    }
    delivery.notify();
  });
}
