/**
 * A BATCH frame from its bytes to admitted events, and what became of them back to an ACK.
 */
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import {
  BATCH_EVENTS_MAX,
  type Ack,
  type BatchHeader,
  type ReceiptTuple,
  type Rejection,
} from '../../schemas/wire.ts';
import type { Admission, AdmittedEvent, AppendOutcome, TenantAllowList } from '../ports.ts';
import { parseBatchHeader } from './hello.ts';

const NEWLINE = 0x0a;

/** The door that each event of a batch has to pass. */
interface Door {
  readonly admission: Admission;
  readonly allowed: TenantAllowList;
}

export interface Batch {
  readonly header: BatchHeader;
  readonly events: readonly Result<AdmittedEvent, Refusal>[];
}

/** Reads a BATCH payload; an error ends the connection. */
export function readBatch(payload: Uint8Array, door: Door): Result<Batch, Refusal> {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const endOfHeader = bytes.indexOf(NEWLINE);
  if (endOfHeader === -1)
    return err(refusal('protocol_error', 'a BATCH is a header line and event lines'));
  const header = parseBatchHeader(bytes.toString('utf8', 0, endOfHeader));
  if (!header.ok) return header;
  if (bytes.at(-1) !== NEWLINE) {
    return err(refusal('protocol_error', 'the last event of a BATCH must end with a newline'));
  }
  const ends = findLineEnds(bytes, endOfHeader + 1);
  if (ends === null) {
    const message = `a BATCH of more events than one may carry; the limit is ${BATCH_EVENTS_MAX}`;
    return err(refusal('protocol_error', message));
  }
  let at = endOfHeader + 1;
  const events = ends.map((end): Result<AdmittedEvent, Refusal> => {
    const start = at;
    at = end + 1;
    return door.admission.admitLine(bytes, start, end, door.allowed);
  });
  return ok({ header: header.value, events });
}

/** Where each line ends; null for too many, without counting them all: four million fit a frame. */
function findLineEnds(bytes: Buffer, start: number): number[] | null {
  const ends: number[] = [];
  for (let end = bytes.indexOf(NEWLINE, start); end !== -1; end = bytes.indexOf(NEWLINE, end + 1)) {
    if (ends.length === BATCH_EVENTS_MAX) return null;
    ends.push(end);
  }
  return ends;
}

/** Says what became of each event of a batch. */
export function formatAck(batch: number, outcomes: readonly AppendOutcome[]): Ack {
  const streams: string[] = [];
  const receipts: (ReceiptTuple | null)[] = [];
  const rejected: Rejection[] = [];
  for (let index = 0; index < outcomes.length; index++) {
    const outcome = outcomes[index];
    if (outcome === undefined || outcome.kind === 'refused') {
      receipts.push(null);
      if (outcome !== undefined) rejected.push({ index, ...outcome.refusal });
      continue;
    }
    const { stream, seq, this_hash } = outcome.receipt;
    let at = streams.lastIndexOf(stream);
    if (at === -1) at = streams.push(stream) - 1;
    receipts.push(outcome.kind === 'duplicate' ? [at, seq, this_hash, 1] : [at, seq, this_hash]);
  }
  return { batch, streams, receipts, rejected };
}
