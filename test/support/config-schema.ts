/** config.schema.json as tests walk it. */
import { repositoryText } from './config.ts';

export interface SchemaNode {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

export const SCHEMA: SchemaNode = JSON.parse(
  repositoryText('schemas/config.schema.json'),
) as SchemaNode;

/** A node with what it refers to; its own members win, as editors read it. */
export function followReference(node: SchemaNode): SchemaNode {
  const name = node.$ref?.split('/').at(-1);
  return name === undefined ? node : { ...SCHEMA.$defs?.[name], ...node };
}
