/**
 * Reading what the agent says: HELLO and ACK payloads, checked before anything is settled by
 * them. A peer that breaks the form costs a reconnect; it can never settle the wrong event.
 */
import { isChainHash } from '../schemas/brand.ts';
import { messageOf, err, ok, type Result } from '../schemas/result.ts';
import {
  BATCH_EVENTS_MAX,
  EVENT_BYTES_MAX,
  FRAME_BYTES_MAX,
  WIRE_VERSION,
  type Ack,
  type AgentHello,
} from '../schemas/wire.ts';

/** Parses a payload; the error names the fault and never quotes the bytes. */
export function parsePayload(payload: Uint8Array): Result<unknown, string> {
  try {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8');
    return ok(JSON.parse(text));
  } catch (thrown) {
    return err(
      `the agent sent no JSON: ${thrown instanceof SyntaxError ? 'syntax' : messageOf(thrown)}`,
    );
  }
}

/** Checks the agent's HELLO; limits beyond this build's own are cut to them. */
export function readAgentHello(value: unknown): Result<AgentHello, string> {
  if (!isObject(value)) return err('the HELLO is no object');
  if (value['version'] !== WIRE_VERSION) {
    return err(`the agent speaks protocol version ${String(value['version']).slice(0, 20)}`);
  }
  const frameBytes = value['frame_bytes_max'];
  const batchEvents = value['batch_events_max'];
  const eventBytes = value['event_bytes_max'];
  if (!isCount(frameBytes) || !isCount(batchEvents) || !isCount(eventBytes)) {
    return err('a limit in the HELLO is not a positive integer');
  }
  return ok({
    version: WIRE_VERSION,
    agent: String(value['agent']).slice(0, 256),
    software_version: String(value['software_version']).slice(0, 128),
    frame_bytes_max: Math.min(frameBytes, FRAME_BYTES_MAX),
    batch_events_max: Math.min(batchEvents, BATCH_EVENTS_MAX),
    event_bytes_max: Math.min(eventBytes, EVENT_BYTES_MAX),
  });
}

/** Checks an ACK against the batch it has to answer: one verdict for each event, none twice. */
export function readAck(value: unknown, batch: number, events: number): Result<Ack, string> {
  if (!isObject(value)) return err('an ACK is no object');
  if (value['batch'] !== batch) return err('an ACK names another batch than the next one');
  const streams = value['streams'];
  const receipts = value['receipts'];
  const rejected = value['rejected'];
  if (!Array.isArray(streams) || !streams.every((stream) => typeof stream === 'string')) {
    return err('an ACK lists no streams');
  }
  if (!Array.isArray(receipts) || receipts.length !== events) {
    return err('an ACK has not one receipt for each event');
  }
  if (!Array.isArray(rejected)) return err('an ACK has no list of rejections');
  const refused = new Set<number>();
  for (const rejection of rejected) {
    if (!isRejection(rejection, events) || refused.has(rejection.index)) {
      return err('a rejection has a wrong form');
    }
    refused.add(rejection.index);
  }
  for (let index = 0; index < events; index++) {
    const receipt: unknown = receipts[index];
    const valid = receipt === null ? refused.has(index) : isReceipt(receipt, streams.length);
    if (!valid || (receipt !== null && refused.has(index)))
      return err('a receipt has a wrong form');
  }
  return ok(value as unknown as Ack);
}

function isReceipt(value: unknown, streams: number): boolean {
  if (!Array.isArray(value) || (value.length !== 3 && value.length !== 4)) return false;
  const [stream, seq, hash, duplicate] = value as readonly unknown[];
  return (
    isIndex(stream, streams) &&
    isIndex(seq, Number.MAX_SAFE_INTEGER) &&
    isChainHash(hash) &&
    (value.length === 3 || duplicate === 1)
  );
}

function isRejection(value: unknown, events: number): value is { readonly index: number } {
  return (
    isObject(value) &&
    isIndex(value['index'], events) &&
    typeof value['kind'] === 'string' &&
    typeof value['message'] === 'string' &&
    (value['field'] === undefined || typeof value['field'] === 'string')
  );
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isIndex(value: unknown, length: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) < length;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}
