/**
 * The store of record, as its users see it: the agent's sink appends sealed records, the command
 * line migrates. Structural types only, so that the store knows nothing of the agent.
 */
import type { ChainHash } from '../schemas/brand.ts';
import type { SealedEvent } from '../schemas/record.ts';
import type { Result } from '../schemas/result.ts';

/** A sealed record as the ledger holds it. */
export interface StoredRecord {
  readonly event: SealedEvent;
  /** The bytes that were hashed, verbatim. */
  readonly eventText: string;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

/** Why one record of a batch is not in the store. */
export interface RefusedRecord {
  /** 0-based place in the batch. */
  readonly index: number;
  /** fork: (stream, seq) is taken by a record with another hash. poison: the database refuses it. */
  readonly kind: 'fork' | 'poison';
  /** Without event contents. */
  readonly reason: string;
}

export interface AppendSummary {
  /** Records stored by this call. */
  readonly stored: number;
  /** Records that had been stored before, with the same hash. */
  readonly repeated: number;
  /** Records stored though an earlier one carries their event: shown once by `audit.events`. */
  readonly duplicates: number;
  readonly refused: readonly RefusedRecord[];
}

export interface StoreError {
  /**
   * unavailable: no connection, restart, disk full, lock: send again, nothing of the batch counts.
   * schema: the database lacks a migration, or has one that this build does not know.
   * access: password, role or privilege; does not heal by itself.
   */
  readonly kind: 'unavailable' | 'schema' | 'access';
  readonly message: string;
}

export interface Store {
  /** Brings the schema to this build's version; needs the owner's URL. Idempotent. */
  migrate(): Promise<Result<{ readonly applied: readonly string[] }, StoreError>>;
  /**
   * Stores a batch; idempotent. Every record not in `refused` is committed and on disk when this
   * resolves; after an error some may be, and are counted as repeated next time. One call at a time.
   */
  appendRecords(
    records: readonly StoredRecord[],
    signal?: AbortSignal,
  ): Promise<Result<AppendSummary, StoreError>>;
  close(): Promise<void>;
}
