/** People in ids that are to be opaque: request, workflow, session. What is found goes, without a token. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../redaction/redaction.ts';
import { findPersonal, hasHint, isPersonal } from '../../redaction/personal.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { readHttpContext } from '../../sdk/http-context.ts';
import { eventWith, redactor, TEST_KEY } from './support.ts';
import { cpuMs } from '../support/cpu.ts';

function withId(id: string, place: 'request_id' | 'workflow_id' | 'session_id'): AuditEvent {
  const event = eventWith({});
  return place === 'session_id'
    ? { ...event, actor: { ...event.actor, session_id: id } }
    : { ...event, correlation: { ...event.correlation, [place]: id } };
}

/** The event as it comes out, by the fast way and by the long one. */
function pass(event: AuditEvent): string {
  const text = canonicalize(event);
  const bytes = Buffer.from(`${text}\n`);
  const slow = canonicalize(redactor.redactEvent(event));
  // Whoever is fast must have had nothing to redact.
  if (redactor.readPlain(bytes, 0, bytes.length - 1) !== null) expect(slow).toBe(text);
  const written = Buffer.alloc(bytes.length * 2);
  if (redactor.writePlain(event, written, 0) >= 0) expect(slow).toBe(text);
  expect(canonicalize(redactor.redactEvent(JSON.parse(slow) as AuditEvent))).toBe(slow);
  return slow;
}

const PLACES = ['request_id', 'workflow_id', 'session_id'] as const;
/** An id, and what must not be left of it. */
const PEOPLE: readonly (readonly [string, RegExp])[] = [
  ['alice@example.org', /alice|example/],
  ['req-42-alice%40example.org', /alice/],
  ['order/alice＠example.org/7', /alice/],
  ['ssn-078-05-1120', /078|1120/],
  ['078 05 1120', /1120/],
  ['DE89370400440532013000', /37040044/],
  ['+49 151 23456789', /151|23456789/],
  ['call-+1-555-867-5309', /867/],
  ['tel:0151/23456789', /23456789/],
  ['(555) 867-5309', /867/],
  ['555-867-5309', /867/],
  ['Alice Cooper', /Alice|Cooper/],
  ['export-Alice.Cooper-7', /Alice|Cooper/],
  ['Alice B. Cooper', /Alice|Cooper/],
  ['Zoë_Müller', /Zo|ller/],
  ['user=alice', /alice/],
  ['job;patient:cooper', /cooper/],
];

describe('a person in an id', () => {
  test.each(PEOPLE)('%s goes, and leaves no token', (id, left) => {
    for (const place of PLACES) {
      // The rest of the event has a name of its own.
      const event = withId(id, place);
      const before = canonicalize({ ...event, correlation: eventWith({}).correlation });
      expect(before).toBeTypeOf('string');
      const after = JSON.parse(pass(event)) as AuditEvent;
      const found = place === 'session_id' ? after.actor.session_id : after.correlation[place];
      expect(found).toMatch(/\[redacted:personal\]/);
      expect(found).not.toMatch(left);
      expect(found).not.toMatch(/tok_/);
    }
  });
});

test('ids of everyday form are left alone', () => {
  const hex = fc.stringMatching(/^[0-9a-f]{16,32}$/);
  const ids = fc.oneof(
    fc.uuid(),
    fc.ulid(),
    hex,
    fc.stringMatching(/^[A-Za-z0-9_-]{21}$/),
    fc.stringMatching(/^(req|run|job|sess)[-_][A-Za-z0-9]{8,20}$/),
    fc.constantFrom('session-sweep', 'order-fulfilment', 'nightly.export', 'gdpr_export', 'Root'),
    fc.stringMatching(/^(shop|billing)\/v[1-9]\/[a-z]{3,9}-[0-9]{3,8}$/),
    fc
      .date({ noInvalidDate: true, min: new Date('2000-01-01'), max: new Date('2040-01-01') })
      .map((date) => `batch-${date.toISOString().slice(0, 10)}`),
  );
  let touched = 0;
  const runs = 4_000;
  fc.assert(
    fc.property(ids, (id) => {
      if (redactor.redactEvent(withId(id, 'request_id')).correlation.request_id !== id)
        touched += 1;
    }),
    { numRuns: runs },
  );
  expect(touched / runs).toBeLessThan(0.001);
});

const PARTS = [
  ...[
    'Alf',
    'Bob',
    'x',
    'A',
    'e',
    '+',
    '4',
    '12',
    '345',
    '6789',
    ' ',
    '.',
    '-',
    '_',
    '/',
    '(',
    ')',
    '=',
  ],
  ...[
    ':',
    'user',
    'tel',
    'FAX',
    'Phone',
    'mobile',
    'msisdn',
    'cooper',
    'Q',
    '\t',
    '555-867-5309',
    '~',
  ],
];

test('the pass over the bytes lets nothing go in which the patterns find somebody', () => {
  const fromParts = fc
    .array(fc.constantFrom(...PARTS), { maxLength: 12 })
    .map((parts) => parts.join(''));
  const ascii = fc.string({ unit: 'binary-ascii', maxLength: 40 });
  const known = fc
    .tuple(ascii, fc.constantFrom(...PEOPLE.map(([id]) => id)), ascii)
    .map((parts) => parts.join('').replace(/[^\0-\x7f]/g, ''));
  let found = 0;
  fc.assert(
    fc.property(fc.oneof(fromParts, known, ascii), (text) => {
      const bytes = Buffer.from(`"${text}"`, 'latin1');
      const isFound = findPersonal(text).length > 0;
      if (isFound) found += 1;
      expect(isPersonal(bytes, 1, bytes.length - 1)).toBe(isFound);
    }),
    { numRuns: 20_000 },
  );
  expect(found).toBeGreaterThan(1_000);
});

test('of everyday ids nearly none needs the patterns', () => {
  const ids = [
    'req-01J9ZQ4W7Y8B6M2K3N5P0R1S2V',
    'sess_9f8e7d6c5b4a',
    'order-fulfilment',
    'job/7/export-42',
  ];
  for (const id of [...ids, '6f1c0d2e-8a3b-4c5d-9e7f-001122334455'])
    expect(hasHint(Buffer.from(id), 0, id.length)).toBe(false);
});

test('hostile ids cost linear time', () => {
  for (const part of ['A', 'Aa ', '+1', '5 ', 'tel:5', 'user:a', '(555', 'Aa.A'])
    for (const size of [256]) {
      const tookMs = cpuMs();
      pass(withId(part.repeat(size).slice(0, 256), 'request_id'));
      expect(tookMs()).toBeLessThan(1_000);
    }
});

test('a request id that names a person is replaced where it comes in, so that no log has it', () => {
  const idOf = (id: string): string =>
    readHttpContext({ headers: { 'x-request-id': id } }, {}).request_id;
  for (const id of [
    'alice@example.org',
    'alice.cooper',
    'Alice-Cooper',
    'user:alice',
    '+4915123456789',
  ])
    expect(idOf(id)).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
  for (const id of ['req-1', 'req-denied', 'a', '01J9ZQ4W7Y8B6M2K3N5P0R1S2V'])
    expect(idOf(id)).toBe(id);
});

test('e-mail addresses in actor and resource stay, unless people are in a vault: then they are tokens', () => {
  const strict = createRedactor({ masterKey: TEST_KEY, keepsEmails: false });
  const event = eventWith(
    {},
    { resource: { type: 'user', id: 'bob@example.org', tenant_id: 'acme' } },
  );
  expect(redactor.redactEvent(event)).toBe(event);
  const bytes = Buffer.from(`${canonicalize(event)}\n`);
  expect(redactor.readPlain(bytes, 0, bytes.length - 1)).not.toBeNull();
  expect(strict.readPlain(bytes, 0, bytes.length - 1)).toBeNull();
  expect(strict.writePlain(event, Buffer.alloc(4096), 0)).toBeLessThan(0);
  const { actor, resource } = strict.redactEvent(event);
  expect([actor.name, resource.id]).toEqual([
    expect.stringMatching(/^tok_/),
    expect.stringMatching(/^tok_/),
  ]);
});
