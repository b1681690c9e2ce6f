/**
 * The Elasticsearch sink: one `_bulk` request a batch into a data stream. Confirmed is what the answer
 * names as stored, item by item; anything less than a whole answer confirms nothing.
 */
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { ElasticsearchExporterConfig } from '../../../schemas/config.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../ports.ts';
import { parseRetryAfter } from '../backoff.ts';
import { mapRecords, type DocumentFormat } from '../documents.ts';
import {
  BULK_FILTER,
  formatCreate,
  parseBulkAnswer,
  summarizeVerdicts,
  type Verdict,
} from './bulk.ts';
import { createCluster, type Answer } from './cluster.ts';

const compress = promisify(gzip);

/** Creates the sink; connects at the first batch. */
export function createElasticsearchSink(
  config: ElasticsearchExporterConfig,
  format: DocumentFormat,
  nowMs: () => number,
): Sink {
  const { name } = config;
  const cluster = createCluster({
    endpoints: config.endpoints,
    ...(config.tls === undefined ? {} : { tls: config.tls }),
    timeoutMs: config.timeout_ms,
    nowMs,
  });
  const path = `/${encodeURIComponent(config.data_stream)}/_bulk?filter_path=${BULK_FILTER}`;
  const formatLine = config.format === 'ecs' ? format : stampLines(format);
  const headers = {
    'content-type': 'application/x-ndjson',
    ...authorizationOf(config),
    ...(config.gzip ? { 'content-encoding': 'gzip' } : {}),
  };

  async function deliver(
    records: readonly DeliveryRecord[],
    signal: AbortSignal,
  ): Promise<DeliveryResult> {
    const { lines, poison } = await mapRecords(records, formatLine);
    const sent = records.filter((_, index) => lines[index] !== '');
    const verdicts: Verdict[] = records.map(() => ({ kind: 'stored' }));
    for (const { index, reason } of poison) verdicts[index] = { kind: 'poison', reason };
    if (sent.length === 0) return summarizeVerdicts(verdicts);

    const text = records
      .map((record, index) => (lines[index] ? formatCreate(record, lines[index]) : ''))
      .join('');
    // The cheapest level already takes nine tenths off; a higher one would cost a core.
    const body = config.gzip ? await compress(text, { level: constants.Z_BEST_SPEED }) : text;
    const answer = await cluster.post({ path, headers, body }, signal);
    if (!answer.ok) return { kind: 'failed', reason: answer.error };
    const refused = judgeStatus(answer.value, nowMs());
    if (refused !== null) return refused;

    const ids = sent.map((record) => record.event.event_id);
    const items = parseBulkAnswer(answer.value.text, ids);
    if (!items.ok) return { kind: 'failed', reason: items.error };
    const each = items.value.values();
    return summarizeVerdicts(
      verdicts.map((verdict) =>
        verdict.kind === 'stored' ? (each.next().value ?? verdict) : verdict,
      ),
      retryAfterOf(answer.value, nowMs()),
    );
  }

  return { name, deliver, close: () => cluster.close() };
}

/** What the status of the answer as a whole says; null when its items are to be read. */
function judgeStatus(answer: Answer, nowMs: number): DeliveryResult | null {
  const { status } = answer;
  if (status === 200) return null;
  if (status === 413) return { kind: 'too_large', reason: 'too large for Elasticsearch (413)' };
  const retryAfterMs = retryAfterOf(answer, nowMs);
  return {
    kind: 'failed',
    reason: describeStatus(status),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function describeStatus(status: number): string {
  if (status >= 300 && status < 400)
    return `answered with a redirect (${status}), which is not followed`;
  if (status === 401) return 'api_key or password is not accepted (401)';
  if (status === 403) return 'the user may not write to the data stream (403)';
  if (status === 404) return 'there is no such data stream, and none is made by itself (404)';
  if (status === 429) return 'asks to send less (429)';
  return `answered ${status}`;
}

function retryAfterOf({ retryAfter }: Answer, nowMs: number): number | undefined {
  return parseRetryAfter(retryAfter, nowMs) ?? undefined;
}

function authorizationOf(config: ElasticsearchExporterConfig): Record<string, string> {
  const { api_key, username, password } = config;
  if (api_key !== undefined) return { authorization: `ApiKey ${api_key}` };
  if (username === undefined) return {};
  const pair = Buffer.from(`${username}:${password ?? ''}`).toString('base64');
  return { authorization: `Basic ${pair}` };
}

/** A data stream wants `@timestamp`, which OCSF does not have. */
function stampLines(format: DocumentFormat): DocumentFormat {
  return (record) =>
    `{"@timestamp":${JSON.stringify(record.event.event.time)},${format(record).slice(1)}`;
}
