/** A span as every trace format is read into it. */

export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** 32 lower-case hex digits. */
  readonly traceId: string;
  /** 16 lower-case hex digits. */
  readonly spanId: string;
  /** Null: it has none. */
  readonly parentId: string | null;
  readonly name: string;
  readonly service: string;
  /** Since 1970, of the clock of its service. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly isError: boolean;
  /** It answers a call, so it lies within it, whatever the clocks say. */
  readonly isServer: boolean;
  readonly attributes: Attributes;
  /** Spans of this or another trace that it names as related. */
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
}

/** A text that a trace states; anything may stand there, also what cannot be made a text. */
export function wordOf(value: unknown, otherwise = ''): string {
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : otherwise;
}

/** Whether a number of JSON, which knows no bounds, is a time or duration of at most some thousand years. */
export function isSpanTime(value: unknown, max: number): value is number {
  return typeof value === 'number' && value >= 0 && value < max;
}

/** What traces call the user; the second name is the older one. */
export const USER_ATTRIBUTES: readonly string[] = ['user.id', 'enduser.id'];

/** Whether a span is of this user. */
export function isOfUser({ attributes }: Span, user: string): boolean {
  return USER_ATTRIBUTES.some((name) => String(attributes[name]) === user);
}

/** The request that a span says it is of; null: it says none. */
export function requestOf({ attributes }: Span): string | null {
  const said =
    attributes['request_id'] ?? attributes['request.id'] ?? attributes['http.request.id'];
  return said === undefined ? null : String(said);
}
