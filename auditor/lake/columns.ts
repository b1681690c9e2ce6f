/**
 * The columns of an OCSF file: every attribute that schemas/ocsf.ts fills, in whatever class, nested as in OCSF.
 * `unmapped` is one column of JSON, for its members are the application's. Pure.
 */
import type { ParquetWriter } from 'hyparquet-writer';
import type { JsonObject } from '../../schemas/mapping.ts';

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]['schema'][number];
type Leaf = 'text' | 'int' | 'long' | 'json';
export type Spec = Leaf | readonly [Spec] | { readonly [name: string]: Spec };

const THING = { uid: 'text', name: 'text', type: 'text' } as const;
const USER = { ...THING, type_id: 'int' } as const;

export const COLUMNS: Readonly<Record<string, Spec>> = {
  class_uid: 'int',
  class_name: 'text',
  activity_id: 'int',
  activity_name: 'text',
  type_uid: 'long',
  type_name: 'text',
  category_uid: 'int',
  status_id: 'int',
  status: 'text',
  status_code: 'text',
  status_detail: 'text',
  action_id: 'int',
  disposition_id: 'int',
  severity_id: 'int',
  // Milliseconds since 1970, as OCSF's timestamp_t is.
  time: 'long',
  message: 'text',
  metadata: {
    version: 'text',
    uid: 'text',
    event_code: 'text',
    original_event_uid: 'text',
    original_time: 'text',
    logged_time: 'long',
    product: { name: 'text', version: 'text' },
    loggers: [{ name: 'text', version: 'text', product: { name: 'text' } }],
    profiles: ['text'],
    tenant_uid: 'text',
    correlation_uid: 'text',
    log_name: 'text',
    log_version: 'text',
    sequence: 'long',
  },
  actor: { user: USER, session: { uid: 'text' } },
  src_endpoint: { ip: 'text', name: 'text', svc_name: 'text' },
  http_request: { uid: 'text', user_agent: 'text' },
  trace: { uid: 'text' },
  user: USER,
  group: THING,
  entity: THING,
  app: { uid: 'text', name: 'text' },
  api: { operation: 'text', service: { name: 'text' } },
  service: { name: 'text' },
  account_switch_type: 'text',
  account_switch_type_id: 'int',
  privileges: ['text'],
  resources: [THING],
  web_resources: [THING],
  database: USER,
  file: USER,
  raw_data_hash: { algorithm: 'text', algorithm_id: 'int', value: 'text' },
  unmapped: 'json',
};

const LEAVES: Readonly<Record<Leaf, Pick<SchemaElement, 'type' | 'converted_type'>>> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  json: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  int: { type: 'INT32' },
  long: { type: 'INT64' },
};

/** The schema of each file: all of it optional, lists in three levels. */
export function schemaElements(): SchemaElement[] {
  const names = Object.keys(COLUMNS);
  return [
    { name: 'ocsf', num_children: names.length },
    ...names.flatMap((name) => elementsOf(name, COLUMNS[name] ?? 'text')),
  ];
}

function elementsOf(name: string, spec: Spec): SchemaElement[] {
  const optional = { name, repetition_type: 'OPTIONAL' } as const;
  if (typeof spec === 'string') return [{ ...optional, ...LEAVES[spec] }];
  if (isList(spec))
    return [
      { ...optional, converted_type: 'LIST', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      ...elementsOf('element', spec[0]),
    ];
  const members = Object.entries(spec);
  return [
    { ...optional, num_children: members.length },
    ...members.flatMap(([member, inner]) => elementsOf(member, inner)),
  ];
}

const isList = (spec: Exclude<Spec, Leaf>): spec is readonly [Spec] => Array.isArray(spec);

/** The value of a column in a document, as the writer takes it; undefined: the document has none. */
export function cellOf(document: JsonObject, name: string): unknown {
  return toCell(document[name], COLUMNS[name] ?? 'text');
}

function toCell(value: unknown, spec: Spec): unknown {
  if (value === null || value === undefined) return undefined;
  if (spec === 'json') return JSON.stringify(value);
  if (spec === 'long') return BigInt(value as number);
  if (spec === 'text') return String(value);
  if (spec === 'int') return value;
  if (isList(spec)) return (value as readonly unknown[]).map((one) => toCell(one, spec[0]));
  return Object.fromEntries(
    Object.entries(spec).map(([name, inner]) => [
      name,
      toCell((value as Readonly<Record<string, unknown>>)[name], inner),
    ]),
  );
}
