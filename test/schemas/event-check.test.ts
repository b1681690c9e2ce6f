import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkEvent } from '../../schemas/event-check.ts';
import type { Json } from '../../schemas/event.ts';
import { eventsOf } from '../support/event-arbitraries.ts';
import { makeEvent } from '../support/events.ts';

/** The contract for other languages, compiled here and now; lengths in UTF-16 units, as said there. */
const schema: unknown = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../schemas/event.schema.json'), 'utf8'),
);
const matchesSchema = new Ajv2020({ unicode: false, allowUnionTypes: true }).compile(
  schema as object,
);

/** A copy with something else at one of its places, chosen by number. */
function spoil(value: Json, place: number, how: Spoiling): Json {
  const copy = structuredClone(value) as Record<string, Json>;
  const places: [Record<string, Json>, string][] = [];
  const visit = (object: Record<string, Json>): void => {
    for (const [name, member] of Object.entries(object)) {
      places.push([object, name]);
      if (typeof member === 'object' && member !== null) visit(member as Record<string, Json>);
    }
  };
  visit(copy);
  const [object, name] = places[place % places.length]!;
  if (how.kind === 'remove' && Array.isArray(object)) object.splice(Number(name), 1);
  else if (how.kind === 'remove') delete object[name];
  else if (how.kind === 'replace') object[name] = how.by;
  else object['unheard_of'] = how.by;
  return copy;
}

type Spoiling =
  { readonly kind: 'remove' } | { readonly kind: 'replace' | 'add'; readonly by: Json };

const odd = fc.constantFrom<Json>(
  ...[null, true, 0, -1, 1.5, '', 'x', 'UPPER', 'a.b', 'denied', [], ['x'], {}, { type: 'user' }],
  ...['x'.repeat(130), 'x'.repeat(600), 'x'.repeat(3000), '1.0', '2.0', '\u{1f512}'.repeat(300)],
  ...['2026-02-30T00:00:00.000Z', '2026-03-01T10:00:00Z', '0'.repeat(32), 'F'.repeat(32)],
);
const spoilings: fc.Arbitrary<Spoiling> = fc.oneof(
  fc.constant({ kind: 'remove' } as const),
  fc.record({ kind: fc.constantFrom('replace', 'add'), by: odd }),
);

test('checkEvent and the published JSON Schema judge one corpus alike', () => {
  const seen = { good: 0, bad: 0 };
  const events = eventsOf(['customer.export', 'user.login']) as fc.Arbitrary<unknown>;
  fc.assert(
    fc.property(events, fc.nat(), fc.array(spoilings, { maxLength: 2 }), (event, place, how) => {
      const value = how.reduce((all, one) => spoil(all, place, one), event as Json);
      const checked = checkEvent(value);
      if (matchesSchema(value)) {
        seen.good += 1;
        // The only thing here that JSON Schema cannot say: the 30th of February.
        if (!checked.ok) expect(checked.error.message).toContain('no date of the calendar');
      } else {
        seen.bad += 1;
        expect(checked.ok, JSON.stringify(matchesSchema.errors)).toBe(false);
      }
    }),
    { numRuns: 3000 },
  );
  expect(seen.good).toBeGreaterThan(500);
  expect(seen.bad).toBeGreaterThan(500);
});

test.each(['2024-02-29', '2026-01-31', '2026-04-30', '9999-12-31', '0001-01-01'])(
  'the %s is a day like any other',
  (day) => {
    const time = `${day}T23:59:59.999Z`;
    expect(checkEvent(makeEvent({ event: { ...makeEvent().event, time } })).ok).toBe(true);
  },
);

test('an event that passed is the very object, unchanged', () => {
  const event = makeEvent();
  expect(checkEvent(event)).toEqual({ ok: true, value: event });
  const checked = checkEvent(event);
  expect(checked.ok && checked.value).toBe(event);
});

const event = makeEvent();
const without = (name: keyof typeof event): object => {
  const { [name]: _, ...rest } = event;
  return rest;
};
let deep: Json = 1;
for (let level = 0; level < 20; level++) deep = { deep };

describe('a refusal has its kind and names the field', () => {
  test.each([
    ['no object', [], 'malformed', undefined],
    ['no event at all', null, 'malformed', undefined],
    ['no actor', without('actor'), 'schema_invalid', '/actor'],
    ['no metadata', without('metadata'), 'schema_invalid', '/metadata'],
    [
      'a later version',
      { ...event, schema_version: '2.0' },
      'unsupported_version',
      '/schema_version',
    ],
    ['__proto__', JSON.parse('{"__proto__":{}}'), 'forbidden_key', undefined],
    [
      '__proto__ inside metadata',
      { ...event, metadata: { a: JSON.parse('{"__proto__":1}') } },
      'forbidden_key',
      '/metadata/a',
    ],
    [
      'an unknown member',
      { ...event, actor: { ...event.actor, shoe_size: 45 } },
      'schema_invalid',
      '/actor/shoe_size',
    ],
    [
      'a free outcome',
      { ...event, event: { ...event.event, outcome: 'maybe' } },
      'schema_invalid',
      '/event/outcome',
    ],
    [
      'a day that is not in the calendar',
      { ...event, event: { ...event.event, time: '2026-02-30T00:00:00.000Z' } },
      'schema_invalid',
      '/event/time',
    ],
    [
      'a year that PostgreSQL has not',
      { ...event, event: { ...event.event, time: '0000-02-01T00:00:00.000Z' } },
      'schema_invalid',
      '/event/time',
    ],
    ['a depth bomb', { ...event, metadata: { deep } }, 'unsafe_json', undefined],
    [
      'a number that lost digits',
      { ...event, metadata: { n: 2 ** 53 } },
      'unsafe_json',
      '/metadata/n',
    ],
    ['a lone surrogate', { ...event, metadata: { s: '\ud800' } }, 'unsafe_json', '/metadata/s'],
    [
      'a lone surrogate in a fixed field',
      { ...event, resource: { ...event.resource, id: 'x\ud800' } },
      'unsafe_json',
      '/resource/id',
    ],
    ['U+0000', { ...event, metadata: { s: 'a\u0000' } }, 'unsafe_json', '/metadata/s'],
    [
      'a value that JSON has not',
      { ...event, metadata: { f: () => 1 } },
      'unsafe_json',
      '/metadata/f',
    ],
  ])('%s', (_, value, kind, field) => {
    const checked = checkEvent(value);
    expect(checked).toMatchObject({ ok: false, error: { kind } });
    if (!checked.ok && field !== undefined) expect(checked.error.field).toBe(field);
  });
});

test('a refusal never quotes the event', () => {
  const secret = 'hunter2-hunter2';
  const values = [
    { ...event, event: { ...event.event, outcome: secret } },
    { ...event, event: { ...event.event, action: secret } },
    { ...event, schema_version: secret },
    { ...event, metadata: { n: `${secret}\ud800` } },
  ];
  for (const value of values) {
    const checked = checkEvent(value);
    expect(checked.ok).toBe(false);
    expect(JSON.stringify(checked)).not.toContain(secret);
  }
});
