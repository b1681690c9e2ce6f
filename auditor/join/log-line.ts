/**
 * A line of an application's log: whether it belongs to a request, and what it says. A line of JSON belongs by
 * the ids in its fields, whatever they are called; text, or JSON without such fields, by an id that stands in it
 * as a whole token. Its time is for putting lines in order and never decides. Pure.
 */
import { findToken, type JoinedBy, type JoinIds } from './ids.ts';

export interface LogLine {
  /** File and line, or index and document. */
  readonly where: string;
  readonly joined_by: JoinedBy;
  /** RFC 3339, UTC; null: it says none that is understood. */
  readonly time: string | null;
  readonly level: string | null;
  readonly service: string | null;
  readonly message: string;
  /** As it was written. */
  readonly text: string;
}

type Fields = Readonly<Record<string, unknown>>;

const DEPTH_MAX = 6;
/** What an id is of, where it is not the line's own: another trace, or the one before. */
const ABOUT_ANOTHER = /parent|link|previous|caused/;

/** Reads a line; null: it is of another request, or of none. */
export function readLogLine(text: string, where: string, ids: JoinIds): LogLine | null {
  const fields = parseFields(text);
  if (fields === null) {
    const joinedBy = findToken(text, ids);
    return joinedBy && { where, joined_by: joinedBy, ...PLAIN, message: text, text };
  }
  return readLogFields(fields, text, where, ids);
}

/** The same for a document that is parsed already. */
export function readLogFields(
  fields: Fields,
  text: string,
  where: string,
  ids: JoinIds,
): LogLine | null {
  const joinedBy = judge(fields, ids);
  return joinedBy && { where, joined_by: joinedBy, ...describe(fields), text };
}

const PLAIN = { time: null, level: null, service: null } as const;

function parseFields(text: string): Fields | null {
  // Some shippers put a prefix of their own before the object.
  const start = text.indexOf('{');
  if (start === -1 || !text.trimEnd().endsWith('}')) return null;
  try {
    const value: unknown = JSON.parse(text.slice(start));
    return typeof value === 'object' ? (value as Fields) : null;
  } catch {
    return null;
  }
}

function judge(fields: Fields, ids: JoinIds): JoinedBy | null {
  const own = ownIds(fields);
  if (own.requests.some((id) => ids.requests.has(id))) return 'request_id';
  if (own.traces.some((id) => ids.traces.has(id))) return 'trace_id';
  // One that names its own request, and it is another one, may still speak of ours.
  if (own.requests.length > 0) return null;
  const rest = own.traces.length > 0 ? { ...ids, traces: new Set<string>() } : ids;
  return findToken(textsIn(fields, 0).join('\n'), rest);
}

/** The ids that the fields of a line give it, by the ends of their names. */
function ownIds(fields: Fields): { readonly requests: string[]; readonly traces: string[] } {
  const found = { requests: [] as string[], traces: [] as string[] };
  const visit = (value: unknown, path: string, depth: number): void => {
    if (typeof value === 'object' && value !== null && depth < DEPTH_MAX) {
      for (const [name, inner] of Object.entries(value))
        visit(inner, path + name.toLowerCase().replace(/[^a-z0-9]/g, ''), depth + 1);
      return;
    }
    if (typeof value !== 'string' && typeof value !== 'number') return;
    if (ABOUT_ANOTHER.test(path)) return;
    const id = String(value);
    if (/(request|req|correlation)id$/.test(path)) found.requests.push(id);
    else if (path.endsWith('traceid')) found.traces.push(id.toLowerCase());
    else if (path.endsWith('traceparent')) found.traces.push(id.split('-')[1] ?? '');
  };
  visit(fields, '', 0);
  return found;
}

function textsIn(value: unknown, depth: number): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null || depth >= DEPTH_MAX) return [];
  return Object.values(value).flatMap((inner) => textsIn(inner, depth + 1));
}

const PINO_LEVELS: Readonly<Record<string, string>> = {
  ...{ 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' },
};
/** What is shown beside the message is not repeated in it. */
const SHOWN = new Set([
  ...['time', 'timestamp', '@timestamp', 'ts', 'level', 'severity', 'log.level', 'service'],
  ...['request_id', 'trace_id'],
]);
const MESSAGES = ['msg', 'message', 'body', 'event'];

function describe(fields: Fields): Pick<LogLine, 'time' | 'level' | 'service' | 'message'> {
  const level = textAt(fields, ['level', 'severity', 'log.level', 'lvl']);
  const service = textAt(fields, ['service.name', 'service', 'logger']);
  const said = MESSAGES.find((name) => typeof fields[name] === 'string');
  const rest = Object.entries(fields).filter(
    ([name, value]) =>
      name !== said && !SHOWN.has(name) && (typeof value !== 'object' || value === null),
  );
  const details = rest.map(([name, value]) => `${name}=${String(value)}`).join(' ');
  return {
    time: timeOf(fields),
    level: level && (PINO_LEVELS[level] ?? level.toLowerCase()),
    service,
    message: [said === undefined ? '' : String(fields[said]), details].filter(Boolean).join('  '),
  };
}

function textAt(fields: Fields, paths: readonly string[]): string | null {
  for (const path of paths) {
    const value = fields[path] ?? path.split('.').reduce<unknown>(memberOf, fields);
    if (typeof value === 'string' || typeof value === 'number') return String(value);
  }
  return null;
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Fields)[name] : undefined;

/** Seconds and milliseconds since 1970 are told apart by their size. */
const SECONDS_MAX = 1e11;

function timeOf(fields: Fields): string | null {
  const said = textAt(fields, ['time', '@timestamp', 'timestamp', 'ts']);
  if (said === null) return null;
  const number = Number(said);
  const date = Number.isNaN(number)
    ? new Date(said)
    : new Date(number < SECONDS_MAX ? number * 1_000 : number);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}
