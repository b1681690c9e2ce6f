/** Events of every bad kind, and how each is to be refused. */
import { randomBytes } from 'node:crypto';
import { makeEvent } from './events.ts';

/** Event text with a member put in by hand, as no JSON library would write it. */
const spliced = (member: string): string =>
  JSON.stringify(makeEvent()).replace(/}$/, `,${member}}`);
const withMetadata = (json: string): string =>
  JSON.stringify(makeEvent({ metadata: { here: 0 } })).replace('{"here":0}', json);
const withField = (path: string, value: unknown): string => {
  const event = structuredClone(makeEvent()) as unknown as Record<string, Record<string, unknown>>;
  const [outer = '', inner] = path.split('.');
  if (inner === undefined) Object.assign(event, { [outer]: value });
  else Object.assign(event[outer]!, { [inner]: value });
  return JSON.stringify(event);
};

export type BadEvent = readonly [
  name: string,
  line: () => string | Uint8Array,
  kind: string,
  field: string | undefined,
  message: RegExp,
];

export const BAD_EVENTS: readonly BadEvent[] = [
  [
    'oversized',
    () => withMetadata(JSON.stringify({ text: 'x'.repeat(70_000) })),
    'too_large',
    undefined,
    /65536 bytes; shorten \/metadata/,
  ],
  [
    'oversized in bytes, not in characters',
    () => withMetadata(JSON.stringify({ text: '日'.repeat(30_000) })),
    'too_large',
    undefined,
    /shorten/,
  ],
  [
    'truncated',
    () => JSON.stringify(makeEvent()).slice(0, -20),
    'malformed',
    undefined,
    /no valid JSON/,
  ],
  [
    'binary',
    () => randomBytes(200).map((byte) => (byte === 0x0a ? 0xff : byte)),
    'malformed',
    undefined,
    /not valid UTF-8|no valid JSON/,
  ],
  ['an empty line', () => '', 'malformed', undefined, /no valid JSON/],
  ['a list', () => '[1,2]', 'malformed', undefined, /one JSON object/],
  ['null', () => 'null', 'malformed', undefined, /one JSON object/],
  [
    'a tenant nobody declared',
    () => withField('resource.tenant_id', 'evil'),
    'unknown_tenant',
    '/resource/tenant_id',
    /declare it below `tenants`/,
  ],
  [
    "the agent's own tenant",
    () => withField('resource.tenant_id', 'sealtrail'),
    'unknown_tenant',
    '/resource/tenant_id',
    /declare/,
  ],
  [
    'a future schema version',
    () => withField('schema_version', '2.0'),
    'unsupported_version',
    '/schema_version',
    /upgrade the agent, or send 1.0/,
  ],
  [
    'a schema version that is none',
    () => withField('schema_version', 1),
    'schema_invalid',
    '/schema_version',
    /must be/,
  ],
  [
    '__proto__',
    () => spliced('"__proto__":{"admin":true}'),
    'forbidden_key',
    undefined,
    /__proto__; remove it/,
  ],
  [
    '__proto__ deep inside',
    () => withMetadata('{"a":[{"__proto__":1}]}'),
    'forbidden_key',
    '/metadata/a/0',
    /__proto__; rename it/,
  ],
  [
    '__proto__, escaped',
    () => withMetadata('{"\\u005f_proto__":1}'),
    'forbidden_key',
    '/metadata',
    /__proto__/,
  ],
  [
    'a duplicate key',
    () => spliced('"actor":{"type":"user","id":"x","name":"x","on_behalf_of":null}'),
    'duplicate_key',
    undefined,
    /occurs twice.*send it once/,
  ],
  [
    'a duplicate key, escaped',
    () => withMetadata('{"a":1,"\\u0061":2}'),
    'duplicate_key',
    undefined,
    /occurs twice/,
  ],
  [
    'a lone surrogate',
    () => withMetadata('{"name":"\\ud800"}'),
    'unsafe_json',
    '/metadata/name',
    /lone surrogate; send well-formed/,
  ],
  [
    'a lone surrogate in a name',
    () => withMetadata('{"\\udc00":1}'),
    'unsafe_json',
    '/metadata',
    /lone surrogate/,
  ],
  [
    'a lone surrogate outside of metadata',
    () => withField('actor.name', 'a\ud800'),
    'unsafe_json',
    '/actor/name',
    /lone surrogate/,
  ],
  [
    'U+0000',
    () => withMetadata('{"name":"a\\u0000"}'),
    'unsafe_json',
    '/metadata/name',
    /U\+0000; remove it/,
  ],
  [
    '17 levels',
    () => withMetadata(`{"a":${'['.repeat(16)}${']'.repeat(16)}}`),
    'unsafe_json',
    `/metadata/a${'/0'.repeat(14)}`,
    /deeper than 16 levels; flatten/,
  ],
  [
    'a depth bomb',
    () => withMetadata(`{"a":${'['.repeat(32_000)}${']'.repeat(32_000)}}`),
    'unsafe_json',
    `/metadata/a${'/0'.repeat(14)}`,
    /deeper than 16/,
  ],
  [
    'an integer beyond 2^53',
    () => withMetadata('{"n":9007199254740993}'),
    'unsafe_json',
    '/metadata/n',
    /send it as a string/,
  ],
  [
    'a number beyond double',
    () => withMetadata('{"n":1e999}'),
    'unsafe_json',
    '/metadata/n',
    /finite|send it as a string/,
  ],
  [
    'a vocabulary miss',
    () => withField('event.action', 'customer.exprot'),
    'unknown_action',
    '/event/action',
    /not in the vocabulary; declare/,
  ],
  [
    "one of the agent's own actions",
    () => withField('event.action', 'ledger.genesis'),
    'unknown_action',
    '/event/action',
    /vocabulary/,
  ],
  [
    "a category that is not the action's",
    () => withField('event.category', 'authentication'),
    'schema_invalid',
    '/event/category',
    /must be data_access/,
  ],
  [
    'no actor',
    () => withField('actor', undefined),
    'schema_invalid',
    '/actor',
    /\/actor is missing/,
  ],
  [
    'an outcome of its own',
    () => withField('event.outcome', 'maybe'),
    'schema_invalid',
    '/event/outcome',
    /must be one of.*denied/,
  ],
  [
    'an event_id that is no ULID',
    () => withField('event_id', '42'),
    'schema_invalid',
    '/event_id',
    /pattern/,
  ],
  [
    'February 30th',
    () => withField('event.time', '2026-02-30T00:00:00.000Z'),
    'schema_invalid',
    '/event/time',
    /no date/,
  ],
  [
    'a chain of its own',
    () => withField('chain', { seq: 7 }),
    'schema_invalid',
    '/chain',
    /put free fields below \/metadata/,
  ],
  [
    'an origin of its own',
    () => withField('origin', { signal: 'audit', record_id: 'x' }),
    'schema_invalid',
    '/origin',
    /set by the agent; remove it/,
  ],
];
