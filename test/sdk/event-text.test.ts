/** The SDK's fast way to canonical text: byte for byte what RFC 8785 says, in whatever order members come. */
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AuditEvent } from '../../schemas/event.ts';
import { formatEvent } from '../../sdk/event-text.ts';
import { makeEvent, safeJson } from '../support/events.ts';

/** An event as draft.ts builds it: fixed members in canonical order. */
function inOrder(metadata: AuditEvent['metadata']): AuditEvent {
  const { actor, correlation, event, event_id, resource, schema_version, source } = makeEvent();
  const sorted = <T extends object>(object: T): T =>
    Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))) as T;
  return {
    actor: sorted(actor),
    correlation: sorted(correlation),
    event: sorted(event),
    event_id,
    metadata,
    resource: sorted(resource),
    schema_version,
    source: sorted(source),
  };
}

it('is what an independent canonicalizer writes, for any metadata', () => {
  const names = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 6 }).map((text) => text.toWellFormed()),
    fc.constantFrom('10', '9', '1', '01', 'é', '\u20ac', '\ud83d\ude00', '\ufb33', ''),
  );
  const metadata = fc.dictionary(
    names.filter((name) => name !== '__proto__'),
    safeJson,
    { maxKeys: 8 },
  );
  const property = fc.property(metadata, fc.boolean(), (value, ordered) => {
    const event = ordered
      ? inOrder(value as AuditEvent['metadata'])
      : makeEvent({ metadata: value as AuditEvent['metadata'] });
    expect(formatEvent(event)).toBe(canonicalize(event));
  });
  fc.assert(property, { seed: 20_262, numRuns: 500 });
});
