/** The form of Elasticsearch's `_bulk`, as its documentation has it: requests checked, answers filtered. */
import type { IncomingMessage } from 'node:http';

export interface Action {
  readonly id: string;
  readonly document: Readonly<Record<string, unknown>>;
}

const QUERY_PARAMETERS = new Set(['filter_path', 'refresh', 'timeout', 'require_data_stream']);

/** Checks the form of a bulk request; a text says what is wrong with it. */
export function parseBulk(
  request: IncomingMessage,
  body: string,
  dataStream: string,
): Action[] | string {
  const url = new URL(request.url ?? '/', 'http://fake');
  if (request.method !== 'POST' && request.method !== 'PUT') return `method ${request.method}`;
  if (!url.pathname.endsWith(`/${dataStream}/_bulk`)) return `path ${url.pathname}`;
  for (const name of url.searchParams.keys()) {
    if (!QUERY_PARAMETERS.has(name))
      return `request [/_bulk] contains unrecognized parameter: [${name}]`;
  }
  const type = request.headers['content-type']?.split(';')[0];
  if (type !== 'application/x-ndjson' && type !== 'application/json') return `content type ${type}`;
  if (body === '') return 'request body is required';
  if (!body.endsWith('\n')) return 'The bulk request must be terminated by a newline [\\n]';
  const lines = body.slice(0, -1).split('\n');
  if (lines.length % 2 === 1) return 'an action without its document';
  const actions: Action[] = [];
  for (let at = 0; at < lines.length; at += 2) {
    const action = parseObject(lines[at] ?? '');
    const document = parseObject(lines[at + 1] ?? '');
    if (action === null || document === null) return `line ${at + 1}: no JSON object`;
    const [name = '', ...others] = Object.keys(action);
    if (others.length > 0) return `line ${at + 1}: expected one action`;
    if (name !== 'create')
      return 'only write ops with an op_type of create are allowed in data streams';
    const { _id: id, ...rest } = action[name] as Record<string, unknown>;
    if (typeof id !== 'string' || id === '' || Buffer.byteLength(id) > 512)
      return `line ${at + 1}: _id`;
    if (Object.keys(rest).length > 0) return `line ${at + 1}: unknown ${Object.keys(rest).join()}`;
    actions.push({ id, document });
  }
  return actions;
}

function parseObject(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** `filter_path`: what is left of a value when only these paths are kept. `*` is any one name. */
export function filterPaths(value: unknown, filter: string | null): unknown {
  if (filter === null) return value;
  return keepPaths(
    value,
    filter.split(',').map((path) => path.split('.')),
  );
}

function keepPaths(value: unknown, paths: readonly (readonly string[])[]): unknown {
  if (paths.some((path) => path.length === 0)) return value;
  // Arrays are looked through: `items.create` speaks of each item.
  if (Array.isArray(value)) return value.map((one) => keepPaths(one, paths));
  if (typeof value !== 'object' || value === null) return undefined;
  const kept = Object.entries(value).flatMap(([name, member]) => {
    const below = paths
      .filter(([first]) => first === name || first === '*')
      .map((path) => path.slice(1));
    const part = below.length === 0 ? undefined : keepPaths(member, below);
    return part === undefined ? [] : [[name, part] as const];
  });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}
