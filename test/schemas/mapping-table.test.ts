import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chainHash } from '../../schemas/brand.ts';
import { mapToEcs } from '../../schemas/ecs.ts';
import { fillTables, isHomeless, placesIn } from '../../schemas/mapping-doc.ts';
import { MAPPING_TABLE, type MappingRow } from '../../schemas/mapping-table.ts';
import { OCSF_CLASSES } from '../../schemas/ocsf-classes.ts';
import { mapToOcsf } from '../../schemas/ocsf.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import type { ActionDefinition } from '../../schemas/vocabulary.ts';
import { flatten } from '../support/ecs-check.ts';
import { makeEvent, makeRecord } from '../support/events.ts';

interface Case {
  readonly record: SealedRecord;
  readonly definition: ActionDefinition;
  readonly by: { readonly name: string; readonly version: string };
}

const bob = { type: 'user', id: 'u_bob', name: 'Bob' } as const;
const full = makeEvent({
  event_id: '01HV0000000000000000000000',
  actor: {
    type: 'user',
    id: 'u_alice',
    name: 'Alice',
    on_behalf_of: bob,
    session_id: 's-1',
    roles: ['support'],
  },
  correlation: {
    request_id: 'req-1',
    trace_id: '0af7651916cd43dd8448eb211c80319c',
    span_id: '00f067aa0ba902b7',
    workflow_id: 'w-1',
  },
  metadata: { role: 'auditor', user_id: 'u_carol', group: 'staff' },
  changes: ['email'],
  origin: { signal: 'audit', record_id: 'r-1' },
});
const resource = { type: 'customer', id: 'c_17', name: 'Customer 17', tenant_id: 'acme' };

/** One event of each kind that the mappings tell apart. */
const events = [
  { ...full, resource },
  { ...full, resource: { ...resource, type: 'user' } },
  { ...full, resource: { ...resource, type: 'role' } },
  { ...full, resource: { type: 'role', id: 'r_1', tenant_id: 'acme' } },
  { ...full, resource: { type: 'file', id: 'f_1', tenant_id: 'acme' } },
  { ...full, resource, actor: { ...full.actor, type: 'service' } as const },
  { ...full, resource, source: { ...full.source, ip: null } },
  { ...full, resource, source: { ...full.source, ip: '999.1.1.1' } },
  { ...full, resource, event: { ...full.event, outcome: 'denied' } as const },
];
/** Activities that a mapping treats in a way of their own, and an ordinary one. */
const ACTIVITIES = [1, 2, 7, 99];

/** Each of them in every OCSF class, with its documents. */
const cases = [...OCSF_CLASSES].flatMap(([class_uid, { activities }]) =>
  ACTIVITIES.filter((one) => activities.has(one)).flatMap((activity_id) =>
    events.map((event) => {
      const base: Case = {
        record: makeRecord(event),
        definition: {
          action: event.event.action,
          category: event.event.category,
          description: 'Anything.',
          sensitivity: 'medium',
          fail_policy: 'fail_closed',
          retention_class: 'standard',
          ocsf: { class_uid, activity_id },
          ecs: { category: ['iam'], type: ['user', 'change'] },
        },
        by: { name: 'edge-1', version: '0.1.0' },
      };
      return { base, before: mapped(base) };
    }),
  ),
);

function mapped({ record, definition, by }: Case): Record<'ecs' | 'ocsf', Map<string, unknown>> {
  return {
    ecs: flatten(mapToEcs(record, definition, by)),
    ocsf: flatten(mapToOcsf(record, definition, by)),
  };
}

/** New values where a made-up text would not do. */
const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  'event.time': ['2027-01-01T00:00:00.000Z'],
  'event.outcome': ['failure', 'denied'],
  'actor.type': ['admin', 'service'],
  'actor.roles': [['other']],
  'actor.on_behalf_of.type': ['service'],
  'source.ip': ['10.9.9.9', null, '999.9.9.9'],
  'correlation.trace_id': ['1'.repeat(32), null],
  metadata: [{ role: 'other', user_id: 'u_dave', group: 'others' }],
  changes: [['other']],
  origin: [{ signal: 'audit', record_id: 'r-2' }],
  'chain.seq': [8],
  'chain.received_at': ['2027-01-01T00:00:00.000Z'],
};

/** Another type of the same kind: whether it is an account or a role is another question. */
const SAME_KIND: Readonly<Record<string, string>> = { user: 'account', role: 'permission' };

/** The case with one field of ours changed. */
function change(base: Case, ours: string, value: unknown): Case {
  const { record, definition, by } = base;
  switch (ours) {
    case 'vocabulary: sensitivity':
      return { ...base, definition: { ...definition, sensitivity: 'critical' } };
    case 'vocabulary: ecs':
      return { ...base, definition: { ...definition, ecs: { category: ['web'], type: ['info'] } } };
    case 'vocabulary: ocsf':
      return { ...base, definition: { ...definition, ocsf: { class_uid: 6003, activity_id: 1 } } };
    case 'agent: name and version':
      return { ...base, by: { name: `${by.name}x`, version: `${by.version}x` } };
    case 'resource.type':
      return withField(base, ours, SAME_KIND[record.event.resource.type] ?? 'invoice');
    case 'prev_hash':
    case 'this_hash':
      return { ...base, record: { ...record, [ours]: chainHash('3'.repeat(64)) } };
    default:
      return withField(base, ours, value);
  }
}

function withField(base: Case, ours: string, value: unknown): Case {
  const event = replace(base.record.event, ours.split('.'), value);
  return { ...base, record: { ...base.record, event } };
}

function replace<T extends object>(
  target: T,
  [name = '', ...rest]: readonly string[],
  value: unknown,
): T {
  const member: unknown = (target as Record<string, unknown>)[name];
  if (rest.length === 0 || typeof member !== 'object' || member === null) {
    return { ...target, [name]: value };
  }
  return { ...target, [name]: replace(member, rest, value) };
}

/** Places whose value differs between two documents. */
function differences(before: Map<string, unknown>, after: Map<string, unknown>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (place) => JSON.stringify(before.get(place)) !== JSON.stringify(after.get(place)),
  );
}

/** All that changes, over all cases, but for the line for people. */
function placesThatChange({ ours }: MappingRow): { ecs: string[]; ocsf: string[] } {
  const found = { ecs: new Set<string>(), ocsf: new Set<string>() };
  for (const { base, before } of cases) {
    for (const value of VALUES[ours] ?? ['changed']) {
      const after = mapped(change(base, ours, value));
      for (const place of differences(before.ecs, after.ecs)) found.ecs.add(place);
      for (const place of differences(before.ocsf, after.ocsf)) found.ocsf.add(place);
    }
  }
  const withoutMessage = (places: Set<string>): string[] =>
    [...places].filter((place) => place !== 'message');
  return { ecs: withoutMessage(found.ecs), ocsf: withoutMessage(found.ocsf) };
}

/** Of a place below a listed one, the listed one: `sealtrail.metadata` stands for its members. */
const listed = (places: readonly string[], changed: readonly string[]): readonly string[] =>
  [
    ...new Set(changed.map((one) => places.find((place) => one.startsWith(`${place}.`)) ?? one)),
  ].sort();

describe('a field of ours reaches exactly the places that the table lists', () => {
  const rows = MAPPING_TABLE.filter(({ ours }) => !['vocabulary: ocsf', 'constant'].includes(ours));

  test.each(rows)('$ours', (row) => {
    const changed = placesThatChange(row);
    const [ecs, ocsf] = [placesIn(row.ecs), placesIn(row.ocsf)];
    expect(listed(ecs, changed.ecs)).toEqual([...ecs].sort());
    expect(listed(ocsf, changed.ocsf)).toEqual([...ocsf].sort());
  });

  test('vocabulary: ocsf (the class moves whole objects too)', () => {
    const row = MAPPING_TABLE.find(({ ours }) => ours === 'vocabulary: ocsf');
    const changed = placesThatChange(row!);
    expect(changed.ecs).toEqual([]);
    expect(changed.ocsf).toEqual(expect.arrayContaining([...placesIn(row!.ocsf)]));
  });
});

test('a document holds nothing that the table does not list', () => {
  const places = (of: 'ecs' | 'ocsf'): string[] => [
    'message',
    ...MAPPING_TABLE.flatMap((row) => placesIn(row[of])),
  ];
  for (const of of ['ecs', 'ocsf'] as const) {
    const listedPlaces = places(of);
    const found = new Set(cases.flatMap(({ before }) => [...before[of].keys()]));
    expect(listed(listedPlaces, [...found]).filter((one) => !listedPlaces.includes(one))).toEqual(
      [],
    );
    expect(listedPlaces.filter((one) => !listed(listedPlaces, [...found]).includes(one))).toEqual(
      [],
    );
  }
});

test('every field without a home in a standard says what follows from it', () => {
  const homeless = MAPPING_TABLE.filter((row) => !row.ours.includes(':') && isHomeless(row));
  expect(homeless.length).toBeGreaterThan(8);
  expect(homeless.filter(({ consequence }) => consequence === undefined)).toEqual([]);
});

test('docs/mapping.md holds the tables as the code makes them', () => {
  const doc = readFileSync(join(import.meta.dirname, '../../docs/mapping.md'), 'utf8');
  expect(doc.match(/<!-- table: \w+ -->/g)).toHaveLength(3);
  expect(fillTables(doc)).toBe(doc);
});
