/**
 * The ids by which records, log lines and spans are joined, and how one is recognised in text: as a whole
 * token, so that `req-1` is not found in `req-12`. Pure.
 */

export interface JoinIds {
  readonly requests: ReadonlySet<string>;
  /** 32 lower-case hex digits each. */
  readonly traces: ReadonlySet<string>;
}

/** By which of them something belongs to a request. */
export type JoinedBy = 'request_id' | 'trace_id';

/** Shorter ones stand in too many texts by chance; as the value of a field they are taken all the same. */
const TOKEN_LENGTH_MIN = 6;

/** What to look for in bytes before a line is parsed at all: each id as it may be written. */
export function needlesOf(ids: JoinIds): readonly Buffer[] {
  const texts = [
    ...[...ids.requests].flatMap((id) => [id, JSON.stringify(id).slice(1, -1)]),
    ...[...ids.traces].flatMap(traceSpellings),
  ];
  return [...new Set(texts)].map((text) => Buffer.from(text));
}

/** A trace id in hex, either case, and in base64, as protobuf's own JSON has bytes. */
export function traceSpellings(id: string): readonly string[] {
  return [id, id.toUpperCase(), Buffer.from(id, 'hex').toString('base64')];
}

/** Which id stands in a text as a whole token; the request's first. */
export function findToken(text: string, ids: JoinIds): JoinedBy | null {
  for (const id of ids.requests)
    if (id.length >= TOKEN_LENGTH_MIN && tokenOf(id).test(text)) return 'request_id';
  const lower = text.toLowerCase();
  for (const id of ids.traces)
    if (new RegExp(`(?<![0-9a-z])${id}(?![0-9a-z])`).test(lower)) return 'trace_id';
  return null;
}

const tokenOf = (id: string): RegExp =>
  new RegExp(String.raw`(?<![\w-])(?<!\w\.)${escape(id)}(?![\w-])(?!\.\w)`);

function escape(id: string): string {
  return id.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
