/** From the ledger's text to a record on its way to a sink: the hash checked, parsed when needed. */
import { hashRecord } from '../../ledger/chain.ts';
import type { RecordText } from '../../ledger/frame.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import type { DeliveryRecord } from '../ports.ts';

/**
 * Makes a record of its text; null when the text is not what was sealed. A sink that writes the
 * ledger's own bytes never parses; the others do so once.
 */
export function deliveryRecord(number: number, text: RecordText): DeliveryRecord | null {
  const { eventText, prev_hash, this_hash } = text;
  if (hashRecord(prev_hash, eventText) !== this_hash) return null;
  let event: SealedEvent | null = null;
  return {
    number,
    eventText,
    prev_hash,
    this_hash,
    get event(): SealedEvent {
      // The hash has just shown that this is what the agent sealed.
      event ??= JSON.parse(eventText) as SealedEvent;
      return event;
    },
  };
}
