/** What a place with log lines or spans offers; a place that cannot be read says so, and is never just empty. */
import type { Result } from '../../schemas/result.ts';
import type { JoinIds } from './ids.ts';
import type { LogLine } from './log-line.ts';
import type { Span } from './span.ts';

export interface FoundLines {
  /** The first of them, at most `LINES_MAX`. */
  readonly lines: readonly LogLine[];
  readonly total: number;
  /** What the reader should know: lines too long to look at, say. */
  readonly notes: readonly string[];
}

export interface LogSource {
  /** A path or an address without credentials. */
  readonly name: string;
  find(ids: JoinIds): Promise<Result<FoundLines, string>>;
}

export interface FoundSpans {
  readonly spans: readonly Span[];
  readonly notes: readonly string[];
}

/** Milliseconds since 1970, [from, to). */
export interface TimeRange {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface TraceSource {
  readonly name: string;
  find(traceIds: ReadonlySet<string>): Promise<Result<FoundSpans, string>>;
  /** Spans that say they are of this user, any trace, of this time (null: files whole, servers a week); the error says what is missing to ask so. */
  findByUser(user: string, range: TimeRange | null): Promise<Result<FoundSpans, string>>;
}

/** Lines of one source that are kept. */
export const LINES_MAX = 1_000;
/** Spans of one source that are kept. */
export const SPANS_MAX = 200_000;
