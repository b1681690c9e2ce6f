/**
 * The sink of the store of record: hands batches to the PostgreSQL store and tells the delivery
 * loop what came of each record. A fork is poison too, but one to look into: somebody else wrote
 * this place in the stream.
 */
import type { Store } from '../../../store/store.ts';
import type { DeliveryResult, Logger, Sink } from '../../ports.ts';

/** Creates the sink over a store, which it closes with itself. Idempotent per record. */
export function createPostgresqlSink(
  name: string,
  store: Store,
  log?: Pick<Logger, 'error'>,
): Sink {
  return {
    name,
    deliver: async (records, signal): Promise<DeliveryResult> => {
      const appended = await store.appendRecords(records, signal);
      if (!appended.ok) {
        const { kind, message } = appended.error;
        return { kind: 'failed', reason: `${kind}: ${message}` };
      }
      const { refused } = appended.value;
      const forks = refused.filter((one) => one.kind === 'fork');
      if (forks.length > 0)
        log?.error(
          { sink: name, forks: forks.length, first: forks[0]?.reason },
          'the store holds other records at these places of the stream: a fork',
        );
      return {
        kind: 'delivered',
        retry: [],
        poison: refused.map(({ index, reason }) => ({ index, reason })),
      };
    },
    close: () => store.close(),
  };
}
