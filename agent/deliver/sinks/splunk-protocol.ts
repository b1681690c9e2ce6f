/**
 * The protocol of Splunk's HTTP Event Collector: events out as JSON objects one after the other, one
 * answer with a code for the whole request back, and acknowledgements by number on a channel. Pure.
 * Codes: Splunk Enterprise, "Troubleshoot HTTP Event Collector", possible error codes.
 */
import type { SplunkExporterConfig } from '../../../schemas/exporter-config.ts';
import type { DeliveryResult } from '../../ports.ts';
import { memberOf, readJson } from '../../../schemas/untrusted-json.ts';
import { failedBy, type HttpAnswer } from './http.ts';
import type { BatchItem } from './open-batch.ts';

/** What the answer to events means. */
export type HecVerdict =
  /** Taken; with a number where the indexers will acknowledge it. */
  | { readonly kind: 'taken'; readonly ackId: number | null }
  /** An event is at fault: this one, or null for one of them; nothing else is known of the others. */
  | { readonly kind: 'invalid'; readonly at: number | null; readonly reason: string }
  | { readonly kind: 'refused'; readonly result: DeliveryResult };

/** Codes that speak of one event, and what they say. */
const OF_THE_EVENT: ReadonlyMap<number, string> = new Map([
  [6, 'invalid data format (code 6)'],
  [12, 'event field is required (code 12)'],
  [13, 'event field cannot be blank (code 13)'],
  [15, 'error in handling indexed fields (code 15)'],
]);

/** Codes that an operator ends, here or there. */
const OF_THE_SETTING: ReadonlyMap<number, string> = new Map([
  [1, 'the token is disabled (code 1)'],
  [2, 'no token was sent (code 2)'],
  [3, 'the authorization is not accepted (code 3)'],
  [4, 'the token is not known (code 4)'],
  [7, 'the index is not one that the token may write to (code 7)'],
  [8, 'internal server error (code 8)'],
  [9, 'the server is busy (code 9)'],
  [10, 'the channel is missing (code 10)'],
  [11, 'the channel is not accepted (code 11)'],
  [
    14,
    'the token has no indexer acknowledgement (code 14); switch it on, or set acknowledge: false',
  ],
  [23, 'the server is shutting down (code 23)'],
]);

/** The body of a request: an envelope an event, a line each. What tells repeats is indexed. */
export function formatEvents(items: readonly BatchItem[], config: SplunkExporterConfig): string {
  const { index, source, sourcetype, host } = config;
  return items
    .map(({ record, document }) => {
      const { event_id, event, resource } = record.event;
      const envelope = JSON.stringify({
        time: (Date.parse(event.time) / 1000).toFixed(3),
        ...(host === undefined ? {} : { host }),
        source,
        sourcetype,
        ...(index === undefined ? {} : { index }),
        fields: { event_id, tenant: resource.tenant_id },
      });
      return `${envelope.slice(0, -1)},"event":${document}}\n`;
    })
    .join('');
}

/** Reads the answer to `count` events. */
export function readEventAnswer(answer: HttpAnswer, count: number, acks: boolean): HecVerdict {
  const body = readJson(answer.text);
  const code = memberOf(body, 'code');
  const refused = (result: DeliveryResult): HecVerdict => ({ kind: 'refused', result });
  if (answer.status === 413)
    return refused({ kind: 'too_large', reason: 'too large for Splunk (413)' });
  if (answer.status === 200 && code === 0) {
    const ackId = memberOf(body, 'ackId');
    if (!acks) return { kind: 'taken', ackId: null };
    if (typeof ackId === 'number' && Number.isSafeInteger(ackId)) return { kind: 'taken', ackId };
    return refused(failedBy(answer, OF_THE_SETTING.get(14)));
  }
  if (answer.status === 200)
    return refused(failedBy(answer, 'the answer is not one of an HTTP Event Collector'));
  if (typeof code !== 'number') return refused(failedBy(answer));
  const reason = OF_THE_EVENT.get(code);
  const at = memberOf(body, 'invalid-event-number');
  if (answer.status === 400 && reason !== undefined)
    return { kind: 'invalid', at: isPlace(at, count) ? at : null, reason };
  return refused(failedBy(answer, OF_THE_SETTING.get(code)));
}

function isPlace(at: unknown, count: number): at is number {
  return typeof at === 'number' && Number.isInteger(at) && at >= 0 && at < count;
}

/** Whether the indexers have a request; an error says why that cannot be told. */
export function readAckAnswer(answer: HttpAnswer, ackId: number): boolean | DeliveryResult {
  const body = readJson(answer.text);
  const known = memberOf(memberOf(body, 'acks'), String(ackId));
  if (answer.status === 200 && typeof known === 'boolean') return known;
  if (answer.status === 200)
    return failedBy(answer, 'the answer does not tell whether the indexers have the events');
  const code = memberOf(body, 'code');
  return failedBy(answer, typeof code === 'number' ? OF_THE_SETTING.get(code) : undefined);
}
