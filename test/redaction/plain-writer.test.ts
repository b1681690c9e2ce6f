/** The SDK's fast way to canonical text: what it writes is what RFC 8785 says, and what the agent takes for plain. */
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createRedactor } from '../../redaction/redaction.ts';
import { NOT_PLAIN } from '../../redaction/plain-writer.ts';
import { checkEvent } from '../../schemas/event-check.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { eventIdOf } from '../../schemas/canonical-event.ts';
import { EVENT_BYTES_MAX } from '../../schemas/wire.ts';
import { eventsOf } from '../support/event-arbitraries.ts';
import { makeEvent, safeJson } from '../support/events.ts';
import { anySecret, PLACES } from '../support/secrets.ts';

const { writePlain, readPlain, redactEvent } = createRedactor({ masterKey: Buffer.alloc(32, 1) });
const START = 3;
const bytes = Buffer.alloc(EVENT_BYTES_MAX);

/** The text, where it would be sent as it is; the agent has to find it plain as well. */
function write(event: AuditEvent): string | null {
  bytes.fill(0x0a);
  const end = writePlain(event, bytes, START);
  if (end === NOT_PLAIN) return null;
  const read = readPlain(bytes, START, end);
  expect(read === null ? null : eventIdOf(read)).toBe(event.event_id);
  return bytes.toString('utf8', START, end);
}

/** Nothing else MUST be sent than what a check, redaction and an independent canonicalizer give. */
function expectCanonical(event: AuditEvent): boolean {
  const text = write(event);
  if (text === null) return false;
  expect(checkEvent(event)).toMatchObject({ ok: true });
  expect(text).toBe(canonicalize(redactEvent(event)));
  return true;
}

const names = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'ticket', 'Z', 'row_count', '10', '9', '01') },
  fc.string({ unit: 'grapheme', maxLength: 6 }).map((text) => text.toWellFormed()),
  fc.constantFrom('é', '\u20ac', '\ud83d\ude00', '\ufb33', '', '"', 'a"b', '\\'),
);

it('is what an independent canonicalizer writes, for any metadata', () => {
  const metadata = fc.dictionary(
    names.filter((name) => name !== '__proto__'),
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('x', 'two words', 1, -0, 1.5, true, null) },
      safeJson,
    ),
    { maxKeys: 4 },
  );
  let written = 0;
  fc.assert(
    fc.property(metadata, (value) => {
      if (expectCanonical(makeEvent({ metadata: value as AuditEvent['metadata'] }))) written += 1;
    }),
    { numRuns: 3_000 },
  );
  expect(written).toBeGreaterThan(500);
});

it('is what an independent canonicalizer writes, for any event', () => {
  fc.assert(
    fc.property(eventsOf(['customer.read']), (event) => void expectCanonical(event)),
    {
      numRuns: 1_000,
    },
  );
});

it('never writes a secret, wherever it stands', () => {
  const planted = anySecret;
  const { metadata } = makeEvent();
  fc.assert(
    fc.property(planted, fc.constantFrom(...PLACES), (secret, place) => {
      expectCanonical(
        place(secret.text, (fields, over = {}) =>
          makeEvent({ metadata: { ...metadata, ...fields }, ...over }),
        ),
      );
    }),
    { numRuns: 5_000 },
  );
});

it('leaves a string that tries to look like members to the longer way, wherever it stands', () => {
  const forged = fc.constantFrom(
    'u","name":"Mallory',
    'u","name":"Mallory","on_behalf_of":null,"type":"admin"},"x":{"y":"',
    'x","zz":"y',
    'x"',
    '"x',
    '\\"',
    'a","b',
  );
  fc.assert(
    fc.property(forged, fc.nat(6), (text, place) => {
      const fields: Partial<AuditEvent>[] = [
        { actor: { type: 'user', id: text, name: 'n', on_behalf_of: null } },
        { actor: { type: 'user', id: 'u', name: text, on_behalf_of: null, session_id: text } },
        { metadata: { a: text } },
        { metadata: { [text]: 'a' } },
        { resource: { type: 'customer', id: text, tenant_id: 'acme' } },
        { changes: ['a', text] },
        { source: { ip: null, service: text, service_version: null, user_agent: text } },
      ];
      expect(write(makeEvent(fields[place]))).toBeNull();
    }),
  );
  expect(write(makeEvent())).not.toBeNull();
});

it('leaves what is no JSON to the check, which says why', () => {
  for (const odd of [undefined, Symbol('s'), 1n, new Date(0), () => 1, Number.NaN, [undefined]]) {
    for (const event of [
      makeEvent({ metadata: { list: [odd] } as unknown as AuditEvent['metadata'] }),
      makeEvent({ actor: { type: 'user', id: odd, name: 'n', on_behalf_of: null } as never }),
    ]) {
      expect(write(event)).toBeNull();
      expect(checkEvent(event)).toMatchObject({ ok: false });
    }
  }
});

it('says how much room it would have taken, and nothing of what it found there, where there is too little', () => {
  const event = makeEvent();
  const end = writePlain(event, bytes, 0);
  for (const room of [0, 1, 100, end - 1]) {
    expect(writePlain(event, Buffer.alloc(room), 0)).toBe(end);
  }
});
