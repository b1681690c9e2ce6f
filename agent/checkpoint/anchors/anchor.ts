/**
 * The interface of an anchor: a place under another administrator that takes checkpoints of the anchor log, so
 * that whoever owns this host cannot take them back. A witness checks that each continues the one before;
 * the others keep a copy, or state a time, and leave comparing to those who ask them. Rounds (rounds.ts) publish
 * to all anchors at once and try again with the newest; an anchor does neither retries nor timing.
 */
import type { Checkpoint } from '../../../ledger/checkpoint.ts';
import type { TreeHash } from '../../../ledger/merkle/hash.ts';
import type { AnchorEvidence } from '../../../ledger/anchor-evidence.ts';
import type { Result } from '../../../schemas/result.ts';

/** A checkpoint of the anchor log as it goes out: signed, and durable here before. */
export interface Publication {
  readonly checkpoint: Checkpoint;
  /** The signed note over it, as the agent signed it: these bytes are what is stored or time-stamped. */
  readonly note: string;
  /** The proof that this tree continues its own first `earlier` leaves, 0 <= earlier <= size; empty from 0. */
  proveConsistency(earlier: bigint): Promise<readonly TreeHash[]>;
  /** The root that this tree had at `size` leaves, 0 <= size <= that of the checkpoint. */
  rootAt(size: bigint): Promise<TreeHash>;
}

/** A checkpoint that an anchor holds. */
export interface HeldCheckpoint {
  readonly size: bigint;
  /** Null where the anchor tells the size alone (a witness). */
  readonly root: TreeHash | null;
  /** The signed note, where it gives that back: evidence of a fork. */
  readonly note: string | null;
}

export type AnchorFailure =
  /** No answer that says anything: it is tried again. Also what a 5xx, a timeout, a lost connection mean. */
  | { readonly kind: 'unreachable'; readonly message: string }
  /** It answers and does not take it: credentials, configuration, or an answer that does not verify. Tried again. */
  | { readonly kind: 'refused'; readonly message: string }
  /** Rollback: it holds a larger checkpoint of this log than the one that is published. */
  | { readonly kind: 'conflict_size'; readonly message: string; readonly held: HeldCheckpoint }
  /** Fork: it holds this log with another root at a size that this tree has as well. */
  | {
      readonly kind: 'conflict_root';
      readonly message: string;
      readonly held: HeldCheckpoint;
    };

/**
 * An anchor. Its methods never reject for what a peer, network, database or disk can cause; messages name no
 * secret. One call at a time each; they end soon after `signal` aborts, with `unreachable`.
 */
export interface Anchor {
  /** As configured, unique: `witness/berlin`, `object/worm`. */
  readonly name: string;
  /**
   * Has the checkpoint kept; once it resolves well it MUST be durable there. Idempotent: the same checkpoint
   * again is no conflict. Another root at the same size MUST be `conflict_root`, and MUST NOT replace the first.
   */
  publish(
    publication: Publication,
    signal: AbortSignal,
  ): Promise<Result<AnchorEvidence, AnchorFailure>>;
  /**
   * The largest checkpoint of that origin (`own.checkpoint.origin`) that it holds; null: none. `own` is the
   * newest that the asker has: a witness answers only to one. Null where the anchor has no memory (a time-stamp).
   * What it gives back is not believed before its signature is verified (compare.ts): return it as it is stored.
   */
  readonly newest:
    | ((
        own: Publication,
        signal: AbortSignal,
      ) => Promise<Result<HeldCheckpoint | null, AnchorFailure>>)
    | null;
  close(): Promise<void>;
}
