/** What a purge would take of each stream, and what keeps the rest. Pure. */
import { PURGE_TILE } from '../../ledger/purge-record.ts';
import type { Result } from '../../schemas/result.ts';
import type { PurgePreview, RetentionError, StreamRetention } from '../../store/retention.ts';

/** What the agent knows of a stream of its own. */
export interface OwnStream {
  /** Records in the ledger. */
  readonly next: number;
  readonly signed: number;
  /** Of those, under a checkpoint that the anchor log has, and as many anchors as have to. */
  readonly anchored: number;
}

/** A stream, as `sealtrail retention plan --json` shows it. */
export interface StreamPlan extends StreamRetention {
  /** Records of the ledger that the store has not confirmed; null of another agent's stream. */
  readonly unconfirmed: number | null;
  readonly signed: number | null;
  readonly anchored: number | null;
  /** Records before this one would go; 0: nothing. */
  readonly size: number;
  /** Whole records that would go. */
  readonly records: number;
  /** Records before `size` that holds keep, and for which matters. */
  readonly held: number;
  readonly matters: readonly string[];
  /** What keeps records back that have expired, in words. */
  readonly waits: readonly string[];
}

/** The largest prefix that may go: expired, stored, and in the anchor log, in whole tiles; 0 where all of it is gone. */
export function purgeableSize(stored: StreamRetention, own: OwnStream | undefined): number {
  if (own === undefined) return 0;
  const records = Math.min(stored.expired, stored.next, own.anchored);
  const size = Math.floor(records / PURGE_TILE) * PURGE_TILE;
  return stored.first !== null && stored.first < size ? size : 0;
}

/** Whether a purge would change anything. */
export function isWorthwhile(stored: StreamRetention, preview: PurgePreview): boolean {
  return preview.records > 0 || preview.base > (stored.first ?? 0);
}

/** Draws up the plan of a stream; `previewed` is of `purgeableSize`, null where that is 0. */
export function planStream(
  stored: StreamRetention,
  own: OwnStream | undefined,
  previewed: Result<PurgePreview, RetentionError> | null,
): StreamPlan {
  const preview = previewed?.ok === true ? previewed.value : null;
  const refusals = previewed?.ok === false ? [previewed.error.message] : [];
  const isDue = preview !== null && isWorthwhile(stored, preview);
  return {
    ...stored,
    unconfirmed: own === undefined ? null : Math.max(0, own.next - stored.next),
    signed: own?.signed ?? null,
    anchored: own?.anchored ?? null,
    size: isDue ? preview.size : 0,
    records: isDue ? preview.records : 0,
    held: preview?.kept ?? 0,
    matters: preview?.matters ?? [],
    waits: [...waitsOf(stored, own, preview), ...refusals],
  };
}

function waitsOf(
  { stream, class: name, policy, expired }: StreamRetention,
  own: OwnStream | undefined,
  preview: PurgePreview | null,
): readonly string[] {
  if (policy === null)
    return [
      `the store does not know class ${name}: it never expires (sealtrail retention classes)`,
    ];
  if (expired === 0) return [];
  if (own === undefined) {
    const [, agent = ''] = stream.split('/');
    return [`it is the stream of another agent (${agent}): purge it on that one's host`];
  }
  const waits: string[] = [];
  if (own.signed < expired) waits.push(`${expired - own.signed} are under no signed checkpoint`);
  if (own.anchored < Math.min(expired, own.signed))
    waits.push(
      `${Math.min(expired, own.signed) - own.anchored} are under no checkpoint that the anchor log, and a quorum of the anchors, has`,
    );
  const rest = Math.min(expired, own.anchored) % PURGE_TILE;
  if (rest > 0) waits.push(`${rest} wait for their tile of ${PURGE_TILE} to expire whole`);
  if (preview !== null && preview.kept > 0)
    waits.push(`${preview.kept} are held for ${preview.matters.join(', ')}`);
  return waits;
}
