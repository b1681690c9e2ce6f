/** The SDK's fast way to canonical text: what it writes and reads back as plain is what RFC 8785 says. */
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createRedactor } from '../../redaction/redaction.ts';
import { createEventWriter } from '../../sdk/event-text.ts';
import { checkEvent } from '../../schemas/event-check.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { eventsOf } from '../support/event-arbitraries.ts';
import { makeEvent, safeJson } from '../support/events.ts';

const { readPlain, redactEvent } = createRedactor({ masterKey: Buffer.alloc(32, 1) });
const propose = createEventWriter();

/** The text, where it would be sent as it is. */
function writePlain(event: AuditEvent): string | null {
  const proposed = propose(event);
  if (proposed === null) return null;
  const bytes = Buffer.from(`${proposed.text}\n`);
  const plain = readPlain(bytes, 0, bytes.length - 1);
  return plain?.strings === proposed.strings ? proposed.text : null;
}

/** Nothing else MUST be sent than what a check, redaction and an independent canonicalizer give. */
function expectCanonical(event: AuditEvent): boolean {
  const text = writePlain(event);
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
      expect(writePlain(makeEvent(fields[place]))).toBeNull();
    }),
  );
  expect(writePlain(makeEvent())).not.toBeNull();
});

it('leaves what is no JSON to the check, which says why', () => {
  for (const odd of [undefined, Symbol('s'), 1n, new Date(0), () => 1, Number.NaN, [undefined]]) {
    for (const event of [
      makeEvent({ metadata: { list: [odd] } as unknown as AuditEvent['metadata'] }),
      makeEvent({ actor: { type: 'user', id: odd, name: 'n', on_behalf_of: null } as never }),
    ]) {
      expect(writePlain(event)).toBeNull();
      expect(checkEvent(event)).toMatchObject({ ok: false });
    }
  }
});
