/**
 * Spans out of files: OTLP/JSON with a request a line, as collectors write it, is streamed; one document over many
 * lines, or Jaeger's download, is read whole.
 */
import { open, readFile, stat } from 'node:fs/promises';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import { traceSpellings } from './ids.ts';
import { parseJaeger } from './jaeger-json.ts';
import { findLines } from './lines.ts';
import { parseOtlp } from './otlp-json.ts';
import { SPANS_MAX, type FoundSpans, type TimeRange, type TraceSource } from './source.ts';
import { isOfUser, type Span } from './span.ts';

const LINE_BYTES_MAX = 64 * 1024 * 1024;
const DOCUMENT_BYTES_MAX = 256 * 1024 * 1024;
const START_BYTES = 64 * 1024;

/** The source that a file is. */
export function openTraceFile(path: string): TraceSource {
  const find = async (
    texts: readonly string[],
    isWanted: (span: Span) => boolean,
  ): Promise<Result<FoundSpans, string>> => {
    try {
      return await read(path, texts, isWanted);
    } catch (error) {
      return err(messageOf(error));
    }
  };
  return {
    name: path,
    find: (ids) => find([...ids].flatMap(traceSpellings), (span) => ids.has(span.traceId)),
    findByUser: (user, range) =>
      find(
        [JSON.stringify(user)],
        (span) => isOfUser(span, user) && (range === null || isWithin(span, range)),
      ),
  };
}

function isWithin({ startNs }: Span, { fromMs, toMs }: TimeRange): boolean {
  const ms = startNs / 1_000_000n;
  return ms >= BigInt(fromMs) && ms < BigInt(toMs);
}

async function read(
  path: string,
  texts: readonly string[],
  isWanted: (span: Span) => boolean,
): Promise<Result<FoundSpans, string>> {
  const spans: Span[] = [];
  const notes: string[] = [];
  let total = 0;
  const take = (document: unknown): boolean => {
    const parsed = parseOtlp(document) ?? parseJaeger(document);
    for (const span of parsed ?? []) {
      if (!isWanted(span)) continue;
      total += 1;
      if (spans.length < SPANS_MAX) spans.push(span);
    }
    return parsed !== undefined;
  };
  if (await isOneDocument(path)) {
    const { size } = await stat(path);
    if (size > DOCUMENT_BYTES_MAX)
      return err(`one JSON document of ${size} bytes is too large; write a request a line`);
    if (!take(readJson(await readFile(path, 'utf8')))) return err('neither OTLP nor Jaeger JSON');
  } else {
    const counts = { tooLong: 0 };
    let others = 0;
    const needles = texts.map((text) => Buffer.from(text));
    for await (const { text } of findLines(path, needles, { lineBytesMax: LINE_BYTES_MAX }, counts))
      if (!take(readJson(text))) others += 1;
    if (others > 0) notes.push(`${others} lines that hold the id are neither OTLP nor Jaeger JSON`);
    if (counts.tooLong > 0)
      notes.push(`${counts.tooLong} lines are longer than ${LINE_BYTES_MAX} bytes: not looked at`);
  }
  if (total > spans.length) notes.push(`${total} spans, of which ${SPANS_MAX} were taken`);
  return ok({ spans, notes });
}

/** Whether the first line, by itself, is no JSON though it begins an object. */
async function isOneDocument(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(START_BYTES), 0, START_BYTES, 0);
    const start = buffer.subarray(0, bytesRead).toString('utf8');
    const end = start.indexOf('\n');
    if (!start.trimStart().startsWith('{') || end === -1) return false;
    return readJson(start.slice(0, end)) === null;
  } finally {
    await file.close();
  }
}
