/** Judges documents by the published field list of ECS: fields, types, allowed values, arrays. */
import { isIP } from 'node:net';
import { readShared } from './shared.ts';

interface AllowedValue {
  readonly name: string;
  readonly expected_event_types?: readonly string[];
}

export interface EcsField {
  readonly type: string;
  readonly array?: boolean;
  readonly allowed_values?: readonly AllowedValue[];
}

export interface EcsStandard {
  readonly version: string;
  readonly fields: Readonly<Record<string, EcsField>>;
}

/** The field list of ../shared/standards. */
export function readEcsStandard(): EcsStandard {
  return JSON.parse(readShared('standards/ecs-flat.json')) as EcsStandard;
}

/** Leaves of a document by dotted path (`a.b`, `list[].c`); a list of texts is a leaf. */
export function flatten(value: unknown, path = ''): Map<string, unknown> {
  const isList = Array.isArray(value) && value.some((one) => typeof one === 'object');
  if (isList) return flatten(Object.assign({}, ...value), `${path}[]`);
  const members = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (Array.isArray(value) || members.length === 0) return new Map([[path, value]]);
  const inner = members.map(([name, member]) =>
    flatten(member, path === '' ? name : `${path}.${name}`),
  );
  return new Map(inner.flatMap((leaves) => [...leaves]));
}

/** Every fault of a document, one line each; empty when ECS takes it. */
export function checkEcs({ fields }: EcsStandard, document: object): readonly string[] {
  const { sealtrail, ...rest } = document as Record<string, unknown>;
  const faults: string[] = typeof sealtrail === 'object' ? [] : ['sealtrail is no object'];
  const leaves = flatten(rest);
  for (const [path, value] of leaves) {
    const field = fields[path];
    if (field === undefined) {
      faults.push(`${path} is not defined`);
      continue;
    }
    if (Array.isArray(value) !== (field.array === true)) {
      faults.push(`${path} must ${field.array ? '' : 'not '}be an array`);
    }
    for (const one of [value].flat()) {
      if (!hasType(field.type, one)) faults.push(`${path} is no ${field.type}`);
      const allowed = field.allowed_values;
      if (allowed !== undefined && !allowed.some(({ name }) => name === one)) {
        faults.push(`${path} may not be ${String(one)}`);
      }
    }
  }
  return [...faults, ...checkPairs(fields, leaves)];
}

function hasType(type: string, value: unknown): boolean {
  switch (type) {
    case 'keyword':
    case 'match_only_text':
      return typeof value === 'string';
    case 'ip':
      return typeof value === 'string' && isIP(value) !== 0;
    case 'date':
      return typeof value === 'string' && !Number.isNaN(Date.parse(value));
    case 'long':
      return Number.isSafeInteger(value);
    default:
      return false;
  }
}

/** Each type is expected below one of the categories, and each category expects one of the types. */
function checkPairs(
  fields: EcsStandard['fields'],
  leaves: ReadonlyMap<string, unknown>,
): readonly string[] {
  const categories = [leaves.get('event.category')].flat();
  const types = [leaves.get('event.type')].flat();
  const expects = (category: unknown, type: unknown): boolean =>
    fields['event.category']?.allowed_values
      ?.find(({ name }) => name === category)
      ?.expected_event_types?.some((name) => name === type) === true;
  return [
    ...types
      .filter((type) => !categories.some((category) => expects(category, type)))
      .map((type) => `no category expects type ${String(type)}`),
    ...categories
      .filter((category) => !types.some((type) => expects(category, type)))
      .map((category) => `category ${String(category)} expects none of the types`),
  ];
}
