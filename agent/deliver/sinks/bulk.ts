/**
 * The Elasticsearch `_bulk` protocol: NDJSON out, one verdict an item back. Pure. `create` with an
 * `_id` of its own makes delivery idempotent: what is there already answers 409. (A data stream
 * checks this in its current backing index; a repeat across a rollover is two documents, one event.id.)
 */
import { err, ok, type Result } from '../../../schemas/result.ts';
import type { DeliveryRecord, DeliveryResult } from '../../ports.ts';
import { memberOf, readJson } from '../../../schemas/untrusted-json.ts';

/** What is asked of the answer: no document, and of an error no more than is read, for each of a batch. */
export const BULK_FILTER: string = [
  '_id',
  'status',
  'result',
  'failure_store',
  'error.type',
  'error.reason',
]
  .map((path) => `items.create.${path}`)
  .join(',');

/**
 * `_id` of a record's document: an event_id counts once a tenant (docs/adr/0009), whose name has no colon.
 */
export function documentId({ event }: DeliveryRecord): string {
  return `${event.resource.tenant_id}:${event.event_id}`;
}

/** One action and its document; the line ends with a newline. */
export function formatCreate(record: DeliveryRecord, line: string): string {
  return `{"create":{"_id":${JSON.stringify(documentId(record))}}}\n${line}`;
}

export type Verdict =
  | { readonly kind: 'stored' }
  | { readonly kind: 'retry'; readonly reason: string }
  | { readonly kind: 'poison'; readonly reason: string };

/**
 * Reads the answer to `count` actions: one verdict each, in order. An error when the answer does not
 * speak of each of them: then none counts as stored.
 */
export function parseBulkAnswer(
  text: string,
  ids: readonly string[],
): Result<readonly Verdict[], string> {
  const items = memberOf(readJson(text), 'items');
  if (!Array.isArray(items)) return err('the answer is no _bulk answer');
  if (items.length !== ids.length) {
    return err(`the answer speaks of ${items.length} items, ${ids.length} were sent`);
  }
  const verdicts: Verdict[] = [];
  for (const [index, item] of items.entries()) {
    const create = memberOf(item, 'create');
    const status = memberOf(create, 'status');
    const diverted = findDiversion(create);
    // What went elsewhere has an id of its own there.
    if (typeof status !== 'number' || (diverted === null && memberOf(create, '_id') !== ids[index]))
      return err(`the answer does not say what became of item ${index}`);
    verdicts.push(diverted ?? decideItem(status, memberOf(create, 'error')));
  }
  return ok(verdicts);
}

/**
 * A success that no search of the data stream will show: a document that a mapping or a pipeline refuses goes into
 * the failure store where there is one (for logs-*-* since 9.2), and a pipeline may drop what it does not like.
 */
function findDiversion(create: unknown): Verdict | null {
  if (memberOf(create, 'failure_store') === 'used')
    return {
      kind: 'poison',
      reason: 'refused by a mapping or a pipeline, put into the failure store',
    };
  if (memberOf(create, 'result') === 'noop')
    return { kind: 'poison', reason: 'dropped by a pipeline of the cluster' };
  return null;
}

/** States of the cluster or of its rules, which an operator changes; the document is not at fault. */
const NOT_THE_DOCUMENT: ReadonlySet<number> = new Set([401, 403, 404, 408, 429]);
const CONFLICT = 409;

/** What the status of one item means. */
export function decideItem(status: number, error: unknown): Verdict {
  if ((status >= 200 && status < 300) || status === CONFLICT) return { kind: 'stored' };
  const reason = `${describeError(error)} (${status})`;
  const isRefused = status >= 400 && status < 500 && !NOT_THE_DOCUMENT.has(status);
  return { kind: isRefused ? 'poison' : 'retry', reason };
}

/**
 * Type of an error and the field it blames. The reason itself quotes values of the document, so only
 * a field's name in its known place is taken from it.
 */
function describeError(error: unknown): string {
  const type = memberOf(error, 'type');
  const reason = memberOf(error, 'reason');
  const name = typeof type === 'string' && /^[a-z0-9_]{1,80}$/.test(type) ? type : 'error';
  const field =
    typeof reason === 'string'
      ? /^(?:\[\d+:\d+\] )?failed to parse field \[([\w.@-]{1,200})\]/.exec(reason)?.[1]
      : undefined;
  return field === undefined ? name : `${name} at ${field}`;
}

/** Puts the verdicts of a batch together; all put off is a failure of the sink, not of records. */
export function summarizeVerdicts(
  verdicts: readonly Verdict[],
  retryAfterMs?: number,
): DeliveryResult {
  const retry: number[] = [];
  const poison: { index: number; reason: string }[] = [];
  let reason: string | undefined;
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict.kind === 'poison') poison.push({ index, reason: verdict.reason });
    if (verdict.kind !== 'retry') continue;
    retry.push(index);
    reason ??= verdict.reason;
  }
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (reason === undefined) return { kind: 'delivered', retry, poison };
  return retry.length === verdicts.length
    ? { kind: 'failed', reason, ...wait }
    : { kind: 'delivered', retry, poison, reason, ...wait };
}
