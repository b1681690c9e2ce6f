/** What the checkpoint stage tells of itself. */
import type { CheckpointStatus } from '../status-ports.ts';
import type { CheckpointFiles } from './files.ts';

/** Puts the status together from the trees and from when what was done last. */
export function statusOf(
  { streams, anchor }: CheckpointFiles,
  at: {
    readonly durable: number;
    readonly signedNext: number;
    readonly signedAtMs: number | null;
    readonly anchoredAtMs: number | null;
  },
): Omit<CheckpointStatus, 'anchors'> {
  const all = [...streams.all()];
  const stopped = [...all, anchor].map((tree) => tree.stopped()).filter((one) => one !== null);
  const iso = (ms: number | null): string | null =>
    ms === null ? null : new Date(ms).toISOString();
  return {
    state: stopped.length > 0 ? 'contradicted' : 'running',
    records: at.signedNext,
    lag_records: at.durable - at.signedNext,
    streams: all.length,
    signed_at: iso(at.signedAtMs),
    anchor_origin: anchor.origin,
    anchor_size: Number(anchor.signed()?.size ?? 0n),
    anchored_at: iso(at.anchoredAtMs),
    last_error: stopped[0] ?? null,
  };
}
