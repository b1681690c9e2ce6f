/**
 * A batch of which single records can turn out to be unacceptable: what is left keeps its index in the
 * batch as it was given, so that a peer that names the third of what it got is understood.
 */
import type { DeliveryRecord, DeliveryResult } from '../../ports.ts';
import { mapRecords, type DocumentFormat } from '../documents.ts';

export interface BatchItem {
  /** In the batch as it was given. */
  readonly index: number;
  readonly record: DeliveryRecord;
  /** Its document, without the newline. */
  readonly document: string;
}

export interface OpenBatch {
  /** What may still be taken, in order. */
  items(): readonly BatchItem[];
  /** Takes out the items at these places of `items()`. */
  reject(places: readonly { readonly at: number; readonly reason: string }[]): void;
  /** The result for the batch as it was given, with these places of `items()` to be sent again. */
  settle(retry?: readonly number[], reason?: string, retryAfterMs?: number): DeliveryResult;
  /**
   * The result when what is left failed as a whole: what was taken out stays so, and a batch of which
   * nothing was taken out is the failure itself.
   */
  settleFailure(result: DeliveryResult): DeliveryResult;
}

/** Maps a batch and opens it; a record that cannot be mapped is out already. */
export async function openBatch(
  records: readonly DeliveryRecord[],
  format: DocumentFormat,
): Promise<OpenBatch> {
  const { lines, poison: unmapped } = await mapRecords(records, format);
  const poison = [...unmapped];
  let items: readonly BatchItem[] = records.flatMap((record, index) => {
    const line = lines[index] ?? '';
    return line === '' ? [] : [{ index, record, document: line.trimEnd() }];
  });

  function settle(
    retry: readonly number[] = [],
    reason?: string,
    retryAfterMs?: number,
  ): DeliveryResult {
    return {
      kind: 'delivered',
      retry: retry.flatMap((at) => items[at]?.index ?? []),
      poison,
      ...(retry.length === 0 || reason === undefined ? {} : { reason }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    };
  }

  return {
    items: () => items,
    settle,
    reject: (places) => {
      const reasons = new Map(places.map(({ at, reason }) => [at, reason]));
      for (const [at, { index }] of items.entries()) {
        const reason = reasons.get(at);
        if (reason !== undefined) poison.push({ index, reason });
      }
      items = items.filter((_, at) => !reasons.has(at));
    },
    settleFailure: (result) => {
      if (poison.length === 0 || result.kind === 'delivered') return result;
      // Of a smaller batch than was given nobody can be asked to send halves; the rest goes again.
      const all = items.map((_, at) => at);
      return settle(all, result.reason, result.kind === 'failed' ? result.retryAfterMs : undefined);
    },
  };
}
