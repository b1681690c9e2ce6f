/**
 * The Elasticsearch sink: one `_bulk` request a batch into a data stream. Confirmed is what the answer
 * names as stored, item by item; anything less than a whole answer confirms nothing.
 */
import type { ElasticsearchExporterConfig } from '../../../schemas/exporter-config.ts';
import type { DeliveryRecord, DeliveryResult, Sink } from '../../ports.ts';
import { mapRecords, type DocumentFormat } from '../documents.ts';
import {
  BULK_FILTER,
  documentId,
  formatCreate,
  parseBulkAnswer,
  summarizeVerdicts,
  type Verdict,
} from './bulk.ts';
import { createHttpSender, failedBy, type HttpAnswer } from './http.ts';

/** Creates the sink; connects at the first batch. */
export function createElasticsearchSink(
  config: ElasticsearchExporterConfig,
  format: DocumentFormat,
  nowMs: () => number,
): Sink {
  const { name } = config;
  const http = createHttpSender(config, authorizationOf(config), nowMs);
  const path = `/${encodeURIComponent(config.data_stream)}/_bulk?filter_path=${BULK_FILTER}`;
  const formatLine = config.format === 'ecs' ? format : stampLines(format);
  const headers = { 'content-type': 'application/x-ndjson' };

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
    const answer = await http.send({ path, headers, body: text }, signal);
    if (!answer.ok) return { kind: 'failed', reason: answer.error };
    const refused = judgeStatus(answer.value);
    if (refused !== null) return refused;

    const items = parseBulkAnswer(answer.value.text, sent.map(documentId));
    if (!items.ok) return { kind: 'failed', reason: items.error };
    const each = items.value.values();
    return summarizeVerdicts(
      verdicts.map((verdict) =>
        verdict.kind === 'stored' ? (each.next().value ?? verdict) : verdict,
      ),
      answer.value.retryAfterMs,
    );
  }

  return { name, deliver, close: () => http.close() };
}

/** What the status of the answer as a whole says; null when its items are to be read. */
function judgeStatus(answer: HttpAnswer): DeliveryResult | null {
  const { status } = answer;
  if (status === 200) return null;
  if (status === 413) return { kind: 'too_large', reason: 'too large for Elasticsearch (413)' };
  return failedBy(answer, describeStatus(status));
}

function describeStatus(status: number): string | undefined {
  if (status === 401) return 'api_key or password is not accepted (401)';
  if (status === 403) return 'the user may not write to the data stream (403)';
  if (status === 404) return 'there is no such data stream, and none is made by itself (404)';
  return undefined;
}

/** Headers that say who sends; `setup` has other credentials for the same endpoints. */
export function authorizationOf(
  config: Pick<ElasticsearchExporterConfig, 'api_key' | 'username' | 'password'>,
): Record<string, string> {
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
