/**
 * A producer's own sequence (`audit.sequence.*`): its number rises by one, its previous hash is the hash
 * we gave back for the record before, and nothing follows the end. A break is no reason to refuse an
 * event; it is answered, logged and counted. Kept in memory, for streams seen lately: after a restart
 * the first record of a stream is taken as it comes.
 */
import { AUDIT } from '../../schemas/otel-audit.ts';
import type { Receipt } from '../../schemas/record.ts';
import type { Logger, Meter } from '../ports.ts';
import type { ForeignEvent } from './otlp-map.ts';

/** Streams remembered. */
const STREAMS_MAX = 10_000;

interface Last {
  readonly number: bigint | null;
  readonly hash: string;
  readonly ended: boolean;
}

export interface SequenceWatch {
  /** Notes a record just sealed; returns what is wrong with its place, or null. */
  note(event: ForeignEvent, receipt: Receipt): string | null;
}

/** Creates a watch that knows no stream yet. */
export function createSequenceWatch(meter: Meter, log: Logger): SequenceWatch {
  const streams = new Map<string, Last>();

  return {
    note: (event, receipt) => {
      const { stream_id: stream, sequence_number: text } = event.origin;
      if (stream === undefined) return null;
      const key = `${event.resource.tenant_id}\n${stream}`;
      const number = text !== undefined && /^[0-9]{1,19}$/.test(text) ? BigInt(text) : null;
      const last = streams.get(key);
      const warning = last === undefined ? null : findBreak(last, number, event);
      streams.delete(key);
      const ended = event.metadata[AUDIT.sequenceEnd] === true || (last?.ended ?? false);
      streams.set(key, { number: number ?? last?.number ?? null, hash: receipt.this_hash, ended });
      if (streams.size > STREAMS_MAX) streams.delete(streams.keys().next().value ?? '');
      if (warning !== null) {
        meter.producerGap(1);
        const { stream: ours, seq } = receipt;
        log.warn({ stream: ours, seq, warning }, "a producer's audit sequence is broken");
      }
      return warning;
    },
  };
}

function findBreak(last: Last, number: bigint | null, event: ForeignEvent): string | null {
  if (last.ended) return `the stream had ended with ${AUDIT.sequenceEnd}`;
  if (number !== null && last.number !== null) {
    if (number <= last.number) return `${AUDIT.sequenceNumber} did not rise`;
    if (number > last.number + 1n) return `${AUDIT.sequenceNumber} skipped; records are missing`;
  }
  const claimed = event.origin.previous_hash;
  if (claimed === undefined || claimed.toLowerCase() === last.hash) return null;
  return `${AUDIT.previousHash} is not the integrity_hash of the record before`;
}
