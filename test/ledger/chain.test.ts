import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { findPlace, formatChain } from '../../ledger/chain.ts';
import { createRecordBatch } from '../../ledger/record-batch.ts';
import { GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import { canonicalEvent } from '../../schemas/canonical-event.ts';
import { splitRecord } from '../../ledger/frame.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { eventsOf } from '../support/event-arbitraries.ts';
import { makeEvent, makeRecord } from '../support/events.ts';

const { chain } = makeRecord().event;
const piece = fc.constantFrom('c', 'custodian', '"', '\\', '}', ']', ',', ':', '{"c":1}', ' ');
const batch = createRecordBatch();

/** The sealed event's text, cut out of the line that the batch makes of it. */
function insertChain(canonical: string, member: typeof chain): string {
  batch.clear();
  batch.add(canonicalEvent(canonical), formatChain(member), GENESIS_PREV_HASH);
  const line = Buffer.from(batch.bytes()).toString().trimEnd();
  return splitRecord(line)?.eventText ?? line;
}

/** Words made of what stands around the place of the member. */
const word = fc
  .array(piece, { minLength: 1, maxLength: 6 })
  .map((pieces) => pieces.join('').slice(0, 100));

test('the chain member stands in its sorted place, whatever the actor is called and may do', () => {
  const actor = fc.record(
    {
      type: fc.constant('user' as const),
      id: word,
      name: word,
      session_id: word,
      roles: fc.array(word, { maxLength: 4 }),
      on_behalf_of: fc.option(
        fc.record({ type: fc.constant('user' as const), id: word, name: word }),
      ),
    },
    { requiredKeys: ['type', 'id', 'name', 'on_behalf_of'] },
  );
  const changes = fc.option(fc.array(word, { maxLength: 3 }), { nil: undefined });
  fc.assert(
    fc.property(actor, changes, (who, names) => {
      const event = makeEvent({ actor: who, ...(names && { changes: names }) });
      const text = insertChain(canonicalize(event), chain);
      expect(text).toBe(canonicalize({ ...event, chain }));
      expect(findPlace(text)).toEqual({ stream: chain.stream, seq: chain.seq });
    }),
    { numRuns: 2_000 },
  );
});

test('inserting the chain gives the canonical text of the sealed event, for any event', () => {
  fc.assert(
    fc.property(eventsOf(['customer.read']), (event) => {
      const text = insertChain(canonicalize(event), chain);
      expect(text).toBe(canonicalize({ ...event, chain }));
      expect(findPlace(text)).toEqual({ stream: chain.stream, seq: chain.seq });
    }),
    { numRuns: 300 },
  );
});
