/**
 * Parsing of what a socket client says first, and of the header of its batches.
 */
import { parseJson } from '../../schemas/canonical.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import {
  BATCH_EVENTS_MAX,
  WIRE_VERSION,
  type BatchHeader,
  type ClientHello,
} from '../../schemas/wire.ts';

const PRODUCER = /^[0-9A-HJKMNP-TV-Z]{26}$/;
const REFUSED_MAX = 10_000;

/** Reads a HELLO payload. */
export function parseHello(payload: Uint8Array): Result<ClientHello, Refusal> {
  const value = parseObject(payload);
  if (value === null) return err(refusal('protocol_error', 'HELLO is no JSON object'));
  const { version, service, producer, refused = [] } = value;
  if (version !== WIRE_VERSION) {
    const message = `this agent speaks protocol version ${WIRE_VERSION}; use an SDK that does, or upgrade the agent`;
    return err(refusal('protocol_error', message, '/version'));
  }
  if (typeof service !== 'string' || service === '' || service.length > 256) {
    return err(
      refusal('protocol_error', 'HELLO needs `service`, a name of 1 to 256 characters', '/service'),
    );
  }
  if (typeof producer !== 'string' || !PRODUCER.test(producer)) {
    return err(refusal('protocol_error', 'HELLO needs `producer`, a ULID', '/producer'));
  }
  if (!Array.isArray(refused) || refused.length > REFUSED_MAX || !refused.every(isSeq)) {
    return err(refusal('protocol_error', '`refused` is a list of producer numbers', '/refused'));
  }
  return ok({ version, service, producer, refused });
}

/** Reads the first line of a BATCH payload. */
export function parseBatchHeader(line: string): Result<BatchHeader, Refusal> {
  const value = parseObject(Buffer.from(line));
  if (value === null)
    return err(refusal('protocol_error', 'the first line of a BATCH is no JSON object'));
  const { batch, first_seq } = value;
  if (!isSeq(batch))
    return err(refusal('protocol_error', 'BATCH needs `batch`, a number', '/batch'));
  if (!isSeq(first_seq) || first_seq > Number.MAX_SAFE_INTEGER - BATCH_EVENTS_MAX) {
    return err(
      refusal('protocol_error', 'BATCH needs `first_seq`, a producer number', '/first_seq'),
    );
  }
  return ok({ batch, first_seq });
}

function isSeq(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseObject(payload: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = parseJson(Buffer.from(payload).toString('utf8'));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    return Object.fromEntries(Object.entries(value));
  } catch {
    // Hostile bytes are expected here; the caller answers with a typed refusal.
    return null;
  }
}
