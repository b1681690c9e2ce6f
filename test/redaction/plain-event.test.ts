import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { benchDraft } from '../../bench/event.ts';
import type { PlainEvent } from '../../redaction/plain-event.ts';
import { createRedactor } from '../../redaction/redaction.ts';
import { canonicalEvent, eventIdOf } from '../../schemas/canonical-event.ts';
import { canonicalize, parseJson } from '../../schemas/canonical.ts';
import { checkEvent } from '../../schemas/event-check.ts';
import type { AuditEvent, Json } from '../../schemas/event.ts';
import { findDuplicateKey } from '../../schemas/json-check.ts';
import { eventsOf } from '../support/event-arbitraries.ts';
import { makeEvent } from '../support/events.ts';
import { anySecret, PLACES } from '../support/secrets.ts';

const redactor = createRedactor({ masterKey: Buffer.alloc(32, 1), sensitiveKeys: ['shoeSize'] });

function readPlain(text: string): PlainEvent | null {
  // Among others, as in a frame.
  const bytes = Buffer.from(`{}\n${text}\n{}\n`);
  return redactor.readPlain(bytes, 3, bytes.length - 4);
}

/** What the longer way makes of a text: the event as it is sealed; null for a refusal. */
function readWhole(text: string): { readonly event: AuditEvent; readonly sealed: string } | null {
  let value: Json;
  try {
    value = parseJson(text);
  } catch {
    return null;
  }
  const checked = checkEvent(value);
  if (!checked.ok || findDuplicateKey(text) !== null) return null;
  return { event: checked.value, sealed: canonicalize(redactor.redactEvent(checked.value)) };
}

/** A plain event MUST come out of the longer way as it is. */
function expectSameAsWhole(text: string): boolean {
  const plain = readPlain(text);
  if (plain === null) return false;
  // Admission looks these up; a form that is unknown is none that it takes.
  const isKnown =
    /^customer\.read$/.test(plain.action) &&
    ['data_access', 'authentication', 'audit_trail'].includes(plain.category) &&
    ['acme', 'globex', 'sealtrail'].includes(plain.tenant);
  if (!isKnown) return false;
  const whole = readWhole(text);
  expect(whole?.sealed).toBe(text);
  const event = whole?.event;
  expect(plain).toMatchObject({
    action: event?.event.action,
    category: event?.event.category,
    tenant: event?.resource.tenant_id,
  });
  expect(eventIdOf(plain)).toBe(event?.event_id);
  expect(plain.chainAt - plain.start).toBe(canonicalEvent(text).chainAt);
  return true;
}

const ordinary = (n: number): AuditEvent => {
  const draft = benchDraft(n);
  return makeEvent({
    actor: { ...draft.actor, on_behalf_of: null } as AuditEvent['actor'],
    metadata: draft.metadata ?? {},
    event: {
      action: 'customer.read',
      category: 'data_access',
      outcome: 'success',
      time: '2026-03-31T10:00:00.000Z',
    },
  });
};

test('ordinary events are plain', () => {
  for (let n = 0; n < 2_000; n++) expect(expectSameAsWhole(canonicalize(ordinary(n)))).toBe(true);
});

const PLAIN_VALUES: readonly (readonly [string, Partial<AuditEvent>])[] = [
  [
    'everything optional',
    {
      actor: {
        type: 'admin',
        id: 'a@b.example',
        name: 'Ada',
        on_behalf_of: { type: 'user', id: 'u', name: 'Bob' },
        roles: ['ops', 'dba'],
        session_id: 's',
      },
      changes: ['email', 'status'],
      correlation: {
        request_id: 'r',
        span_id: '00f067aa0ba902b7',
        trace_id: '0af7651916cd43dd8448eb211c80319c',
        workflow_id: 'w',
      },
      resource: { type: 'customer', id: 'c', name: 'n', tenant_id: 'acme' },
    },
  ],
  [
    'everything null or empty',
    {
      actor: { type: 'user', id: 'a', name: 'n', on_behalf_of: null, roles: [] },
      changes: [],
      correlation: { request_id: null, trace_id: null },
      source: { ip: null, service: 's', service_version: '', user_agent: null },
    },
  ],
  [
    'an address of twelve digits',
    {
      source: {
        ip: '192.168.100.200',
        service: 's',
        service_version: null,
        user_agent: 'curl/8.1',
      },
    },
  ],
  [
    'metadata of every kind',
    {
      metadata: {
        a: [1, [], {}, -0.5, 1e-7, 99999999999],
        b: { c: { d: null } },
        e: true,
        f: false,
        g: '',
        h: 0,
      },
    },
  ],
  ['a note without a finding', { metadata: { note: 'looked at the order' } }],
];

test.each(PLAIN_VALUES)('%s is plain', (_, fields) => {
  expect(expectSameAsWhole(canonicalize(makeEvent({ ...ordinary(1), ...fields })))).toBe(true);
});

/** The same value with every text in printable ASCII; names that fall together keep one value. */
function toAscii(value: Json): Json {
  if (typeof value === 'string') return value.replace(/[^ !#-[\]-~]/gu, 'x').slice(0, 24);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toAscii);
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [String(toAscii(name)), toAscii(member as Json)]),
  );
}

test('what is taken for plain is what the longer way makes of it, for any event', () => {
  let plain = 0;
  fc.assert(
    fc.property(eventsOf(['customer.read']), (event) => {
      expectSameAsWhole(canonicalize(event));
      const { event: what, event_id } = event;
      const actor = toAscii({ ...event.actor } as Json) as unknown as AuditEvent['actor'];
      const resource = toAscii({ ...event.resource }) as unknown as AuditEvent['resource'];
      const metadata = toAscii(event.metadata) as AuditEvent['metadata'];
      const tame = { ...ordinary(1), event: what, event_id, actor, resource, metadata };
      if (expectSameAsWhole(canonicalize(tame))) plain += 1;
    }),
    { numRuns: 3_000 },
  );
  expect(plain).toBeGreaterThan(300);
});

test('an event with a secret in it is not plain, wherever it stands', () => {
  const planted = anySecret;
  fc.assert(
    fc.property(planted, fc.constantFrom(...PLACES), (secret, place) => {
      const event = place(secret.text, (metadata, over = {}) =>
        makeEvent({ ...ordinary(1), metadata, ...over }),
      );
      expectSameAsWhole(canonicalize(event));
    }),
    { numRuns: 5_000 },
  );
});

/** Pieces that a text is broken with. */
const shards = fc.oneof(
  fc.constantFrom(
    ...[
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      ' ',
      '\n',
      '0',
      '00',
      '-',
      '1e3',
      '.5',
      '9999999999999',
      'null',
      'true',
      '\\u0041',
      'é',
      '\ud83d\ude00',
      '\u0000',
      '\u007f',
    ],
    ...[
      '"origin":{"signal":"logs"},',
      ',"password":"x"',
      ',"z":1',
      ',"a":1',
      ',"__proto__":1',
      '"chain":{},',
      ',"shoe_size":44',
      ',"ssn":"x"',
      '{"":1}',
      '"roles":[],',
      '2026-02-30',
      '4111111111111111',
      '123-45-6789',
      'a@b.example',
      'password=x',
    ],
  ),
  { weight: 3, arbitrary: fc.constantFrom('a', 'b2', '7', '') },
  fc.string({ maxLength: 4 }),
);
const cuts = fc.array(
  fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), drop: fc.nat(3), shard: shards }),
  { minLength: 1, maxLength: 2 },
);

test('nor does a broken text pass for plain that the longer way would refuse or change', () => {
  const base = fc.oneof(
    fc.nat(999).map(ordinary),
    fc.constantFrom(...PLAIN_VALUES).map(([, fields]) => makeEvent({ ...ordinary(1), ...fields })),
  );
  let plain = 0;
  fc.assert(
    fc.property(base, cuts, (event, breaks) => {
      let text = canonicalize(event);
      for (const { at, drop, shard } of breaks) {
        const from = Math.floor(at * text.length);
        text = text.slice(0, from) + shard + text.slice(from + drop);
      }
      if (!text.includes('\n') && expectSameAsWhole(text.toWellFormed())) plain += 1;
    }),
    { numRuns: 20_000 },
  );
  // Some of them are events still.
  expect(plain).toBeGreaterThan(500);
});
