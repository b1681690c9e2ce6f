/**
 * Leaves of the anchor log. Whoever sees the log, a witness or another tenant's auditor, learns from them how
 * many streams there are and when they grow, and no name. Pure.
 *
 *   sealtrail/stream-head/v1\n<hex HMAC-SHA-256(stream key, origin)>\n<hex SHA-256(checkpoint text)>\n
 *   sealtrail/heartbeat/v1\n<time, RFC 3339 with milliseconds>\n
 *
 *   stream key = HMAC-SHA-256(blinding key, "sealtrail/stream-key/v1\n" || origin): the auditor of a tenant
 *   gets those of the tenant's streams, and finds their leaves.
 */
import { createHash, createHmac } from 'node:crypto';

/** The key by which an auditor knows the leaves of one stream. */
export function streamKey(blindingKey: Uint8Array, origin: string): Buffer {
  return createHmac('sha256', blindingKey).update(`sealtrail/stream-key/v1\n${origin}`).digest();
}

/** The leaf that puts a stream's checkpoint into the anchor log. */
export function formatStreamHead(key: Uint8Array, origin: string, checkpointText: string): string {
  const blinded = createHmac('sha256', key).update(origin).digest('hex');
  const hash = createHash('sha256').update(checkpointText).digest('hex');
  return `sealtrail/stream-head/v1\n${blinded}\n${hash}\n`;
}

/** The leaf that says when a round was. */
export function formatHeartbeat(nowMs: number): string {
  return `sealtrail/heartbeat/v1\n${new Date(nowMs).toISOString()}\n`;
}
