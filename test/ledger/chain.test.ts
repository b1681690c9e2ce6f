import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatChain } from '../../ledger/chain.ts';
import { createRecordBatch } from '../../ledger/record-batch.ts';
import { GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import { canonicalEvent } from '../../schemas/canonical-event.ts';
import { splitRecord } from '../../ledger/frame.ts';
import { createPlaceFinder } from '../../ledger/record-place.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { eventsOf } from '../support/event-arbitraries.ts';
import { makeEvent, makeRecord } from '../support/events.ts';

const { chain } = makeRecord().event;
const piece = fc.constantFrom('c', 'custodian', '"', '\\', '}', ']', ',', ':', '{"c":1}', ' ');
const batch = createRecordBatch();
const findPlace = createPlaceFinder();

/** The sealed event's text, cut out of the line that the batch makes of it, in which its place is found. */
function insertChain(canonical: string, member: typeof chain): string {
  batch.clear();
  const this_hash = batch.add(canonicalEvent(canonical), formatChain(member), GENESIS_PREV_HASH);
  const line = Buffer.from(batch.bytes()).subarray(0, -1);
  const { stream, seq } = member;
  expect(findPlace(line)).toEqual({ stream, seq, prev_hash: GENESIS_PREV_HASH, this_hash });
  return splitRecord(line.toString())?.eventText ?? '';
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
      expect(insertChain(canonicalize(event), chain)).toBe(canonicalize({ ...event, chain }));
    }),
    { numRuns: 2_000 },
  );
});

test('inserting the chain gives the canonical text of the sealed event, for any event', () => {
  fc.assert(
    fc.property(eventsOf(['customer.read']), (event) => {
      expect(insertChain(canonicalize(event), chain)).toBe(canonicalize({ ...event, chain }));
    }),
    { numRuns: 300 },
  );
});

test('a line that is no sealed record has no place', () => {
  batch.clear();
  batch.add(canonicalEvent(canonicalize(makeEvent())), formatChain(chain), GENESIS_PREV_HASH);
  const line = Buffer.from(batch.bytes()).subarray(0, -1).toString();
  const wrong = [
    '',
    'x'.repeat(500),
    line.slice(1, -1),
    line.slice(0, -1),
    `${line}\n`,
    line.replace('"chain"', '"chair"'),
    line.replace('"salt":"', '"salt":"g'),
    line.replace(/"this_hash":"./, '"this_hash":"G'),
    line.replace(/"prev_hash":"./, '"prev_hash":"A'),
    line.replace('"prev_hash"', '"last_hash"'),
    line.replace(/,"seq":\d+,"stream"/, ',"seq":,"stream"'),
    line.replace(/,"seq":\d+,"stream"/, ',"seq":-1,"stream"'),
    line.replace(/,"seq":\d+,"stream"/, `,"seq":${'1'.repeat(17)},"stream"`),
    line.replace('"stream":"', '"stream":"ä'),
    line.replace(/"stream":"[^"]*"/, '"stream":""'),
    line.replace('","v":', '","w":'),
  ];
  for (const text of wrong) expect(findPlace(Buffer.from(text)), text).toBe(null);
  expect(findPlace(Buffer.from(line))).toMatchObject({ stream: chain.stream, seq: chain.seq });
  // One whose name begins like the one before it is another stream.
  const longer = `${chain.stream}er`;
  const other = line.replace(`"${chain.stream}"`, `"${longer}"`);
  expect(findPlace(Buffer.from(other))).toMatchObject({ stream: longer });
  expect(findPlace(Buffer.from(line))).toMatchObject({ stream: chain.stream });
});
