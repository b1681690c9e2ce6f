/**
 * The webhook sink: batches to an HTTPS endpoint of anybody's, signed so that the receiver knows who
 * sent them and when (HMAC-SHA256 over id, timestamp and body, with the headers of Standard Webhooks).
 * A 2xx confirms the batch; an answer may name records to be sent again or never (docs/SINKS.md).
 * At least once: `webhook-id` is the same for the same records, and each record has its `event_id`.
 */
import { createHash, createHmac } from 'node:crypto';
import type { WebhookExporterConfig } from '../../../schemas/exporter-config.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../ports.ts';
import type { DocumentFormat } from '../documents.ts';
import { memberOf, readJson } from '../../../schemas/untrusted-json.ts';
import { createHttpSender, failedBy } from './http.ts';
import { openBatch, type BatchItem } from './open-batch.ts';

const SECRET_PREFIX = 'whsec_';

/** Creates the sink; connects at the first batch. */
export function createWebhookSink(
  config: WebhookExporterConfig,
  format: DocumentFormat,
  nowMs: () => number,
): Sink {
  const { name } = config;
  const http = createHttpSender(config, config.headers, nowMs);
  const key = keyOf(config.secret);
  const isLines = config.encoding === 'ndjson';
  const contentType = isLines ? 'application/x-ndjson' : 'application/json';

  function formatBody(items: readonly BatchItem[]): string {
    const documents = items.map(({ document }) => document);
    return isLines
      ? documents.map((document) => `${document}\n`).join('')
      : `[${documents.join(',')}]`;
  }

  async function deliver(
    records: readonly DeliveryRecord[],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    const batch = await openBatch(records, format);
    // A 422 takes at least one record out, so this ends.
    while (batch.items().length > 0) {
      const items = batch.items();
      const body = formatBody(items);
      const headers = {
        'content-type': contentType,
        ...signWebhook(key, idOf(items), Math.floor(nowMs() / 1000), body),
      };
      const answer = await http.send({ path: '', headers, body }, signal);
      if (!answer.ok) return batch.settleFailure({ kind: 'failed', reason: answer.error });
      const { status, text, retryAfterMs } = answer.value;
      const said = readJson(text);
      const rejected = placesIn(memberOf(said, 'rejected'), items.length, status);
      if (status >= 200 && status < 300) {
        const retry = placesIn(memberOf(said, 'retry'), items.length, status);
        const again = retry.map(({ at }) => items[at]?.index ?? 0);
        batch.reject(rejected.filter(({ at }) => !retry.some((one) => one.at === at)));
        const left = batch.items().flatMap(({ index }, at) => (again.includes(index) ? [at] : []));
        return batch.settle(left, 'the receiver asks for them again', retryAfterMs);
      }
      if (status === 413)
        return batch.settleFailure({
          kind: 'too_large',
          reason: 'too large for the receiver (413)',
        });
      if (status !== 422) return batch.settleFailure(failedBy(answer.value));
      if (rejected.length === 0)
        return batch.settleFailure(failedBy(answer.value, 'answered 422 and names no record'));
      batch.reject(rejected);
    }
    return batch.settle();
  }

  return { name, deliver, close: () => http.close() };
}

/** Headers of Standard Webhooks for a body; the timestamp is in seconds since the epoch. */
export function signWebhook(
  key: Buffer,
  id: string,
  timestamp: number,
  body: string,
): Record<string, string> {
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  };
}

/** `whsec_` and base64, as Standard Webhooks has it; anything else is the key as it stands. */
function keyOf(secret: string): Buffer {
  return secret.startsWith(SECRET_PREFIX)
    ? Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64')
    : Buffer.from(secret, 'utf8');
}

/** The same for the same records in the same order, however often they are sent, and for no others. */
function idOf(items: readonly BatchItem[]): string {
  const hash = createHash('sha256');
  for (const { record } of items) hash.update(record.this_hash);
  return `msg_${hash.digest('hex').slice(0, 32)}`;
}

interface Place {
  readonly at: number;
  readonly reason: string;
}

/** Places that an answer names: numbers, or objects with `index` and perhaps a `code`. Each once. */
function placesIn(list: unknown, count: number, status: number): readonly Place[] {
  const places = new Map<number, Place>();
  for (const entry of Array.isArray(list) ? (list as readonly unknown[]) : []) {
    const at = typeof entry === 'number' ? entry : memberOf(entry, 'index');
    if (typeof at !== 'number' || !Number.isInteger(at) || at < 0 || at >= count) continue;
    const code = memberOf(entry, 'code');
    // Free text could quote the record.
    const word = typeof code === 'string' && /^[a-z0-9_]{1,64}$/.test(code) ? code : 'rejected';
    places.set(at, { at, reason: `${word} (${status})` });
  }
  return [...places.values()];
}
