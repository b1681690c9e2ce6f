/**
 * Gathering: a sink whose batches are objects that stay for years gets full ones, or old ones. What gathers does
 * so in the ledger, behind the cursor; nothing is held in memory meanwhile. Pure.
 */
import type { DeliveryRecord } from '../ports.ts';

export interface GatherLimits {
  readonly gatherMs: number;
  readonly recordsMax: number;
  readonly bytesMax: number;
}

/** What a batch waits for: whatever of the two comes first. */
export interface GatherWait {
  readonly untilMs: number;
  /** Durable records of the ledger at which a batch is full, as far as can be told. */
  readonly durable: number;
}

/** Decides whether a batch that was just read has to wait for more; null when it goes now. */
export function decideGather(
  records: readonly DeliveryRecord[],
  durable: number,
  { gatherMs, recordsMax, bytesMax }: GatherLimits,
  nowMs: number,
): GatherWait | null {
  const [oldest] = records;
  const last = records.at(-1);
  if (oldest === undefined || last === undefined) return null;
  // A limit has cut it: there was more.
  if (last.number + 1 < durable) return null;
  const ageMs = nowMs - Date.parse(oldest.event.chain.received_at);
  // A clock that was set back must not hold records for long.
  const leftMs = Math.min(gatherMs, gatherMs - ageMs);
  if (leftMs <= 0) return null;
  const characters = records.reduce((sum, { eventText }) => sum + eventText.length, 0);
  const perRecord = Math.max(1, characters / records.length);
  const enough = Math.min(recordsMax, Math.ceil(bytesMax / perRecord));
  return { untilMs: nowMs + leftMs, durable: oldest.number + enough };
}
