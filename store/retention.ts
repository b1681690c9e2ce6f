/**
 * The retention role's view of the store: what each stream could lose, and the steps of a purge. All
 * of it is functions of the database (migrations/0007_purge.sql, 0008 and 0016), which check for themselves what they
 * are told; the role can do nothing else.
 */
import type { ClientBase } from 'pg';
import type { Json } from '../schemas/event.ts';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';

/** How far a stream has come, and how much of it may go. */
export interface StreamRetention {
  readonly stream: string;
  readonly tenant: string;
  readonly class: string;
  /** Null: the store does not know the class, so that nothing of it expires. */
  readonly policy: { readonly regime: string; readonly days: number } | null;
  /** Number of the first record that is there, whole or a stub; null where there is none. */
  readonly first: number | null;
  readonly next: number;
  /** Records before this one have expired. */
  readonly expired: number;
  /** Records before this one were purged, but for what was held. */
  readonly purged: number;
  readonly stubs: number;
  /** The record of a purge that was not carried out, or not to its end. */
  readonly pending: { readonly stream: string; readonly seq: number } | null;
}

/** A purge as its record states it and the store confirms it. */
export interface PurgePreview {
  readonly stream: string;
  /** Records before this one go, but for those that are held. */
  readonly size: number;
  /** Nothing before this one is kept: the tile of 256 with the first held record begins here. */
  readonly base: number;
  readonly head_hash: string;
  readonly base_hash: string;
  /** Whole records that go. */
  readonly records: number;
  readonly kept: number;
  readonly kept_sha256: string;
  /** Of the holds that keep them. */
  readonly matters: readonly string[];
  readonly policy: { readonly class: string; readonly regime: string; readonly days: number };
}

/** How far a purge is. */
export interface PurgeProgress {
  readonly size: number;
  readonly base: number;
  readonly done_to: number;
  /** Whole records that went, over all steps. */
  readonly purged: number;
  readonly finished: boolean;
}

export interface RetentionError {
  /** not_yet: the record of the purge has not arrived. refused: what it says is not, or no longer, so. */
  readonly kind: 'not_yet' | 'refused' | 'failed';
  readonly message: string;
}

const KINDS: Readonly<Record<string, RetentionError['kind']>> = {
  SP002: 'refused',
  SP003: 'not_yet',
};

/** What each stream could lose. */
export function planRetention(
  client: ClientBase,
): Promise<Result<readonly StreamRetention[], RetentionError>> {
  return ask(async () => {
    const found = await client.query<PlanRow>('SELECT * FROM audit.retention_plan()');
    return found.rows.map((row) => ({
      stream: row.stream,
      tenant: row.tenant_id,
      class: row.class,
      policy: row.days === null ? null : { regime: row.regime ?? '', days: row.days },
      first: row.first_seq === null ? null : Number(row.first_seq),
      next: Number(row.next_seq),
      expired: Number(row.expired_to ?? 0),
      purged: Number(row.purged_to),
      stubs: Number(row.stubs),
      pending:
        row.pending_stream === null
          ? null
          : { stream: row.pending_stream, seq: Number(row.pending_seq) },
    }));
  });
}

/** What a purge of the first `size` records of a stream would be. */
export function previewPurge(
  client: ClientBase,
  stream: string,
  size: number,
): Promise<Result<PurgePreview, RetentionError>> {
  return ask(async () => {
    const found = await client.query<{ preview: PurgePreview }>(
      'SELECT audit.purge_preview($1, $2) AS preview',
      [stream, size],
    );
    return only(found.rows).preview;
  });
}

/** What the last record of a purge says of a stream. */
export interface PurgeToRenew {
  readonly stream: string;
  readonly metadata: { readonly [name: string]: Json };
}

/** Records of purges of other streams among the first `size` records of one, which have to stand anew before these go. */
export function findPurgesToRenew(
  client: ClientBase,
  stream: string,
  size: number,
): Promise<Result<readonly PurgeToRenew[], RetentionError>> {
  return ask(async () => {
    const found = await client.query<PurgeToRenew>(
      'SELECT stream, metadata FROM audit.purges_to_renew($1, $2)',
      [stream, size],
    );
    return found.rows;
  });
}

/** One step of the purge with this record; committed when it resolves, and safe to ask for again. */
export function stepPurge(
  client: ClientBase,
  record: { readonly stream: string; readonly seq: number },
  placesMax: number,
): Promise<Result<PurgeProgress, RetentionError>> {
  return ask(async () => {
    const found = await client.query<{ progress: PurgeProgress }>(
      'SELECT audit.purge($1, $2, $3) AS progress',
      [record.stream, record.seq, placesMax],
    );
    return only(found.rows).progress;
  });
}

/** What time it is for the store, by which records expire. */
export function readStoreTime(client: ClientBase): Promise<Result<Date, RetentionError>> {
  return ask(async () => {
    const found = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    return only(found.rows).now;
  });
}

interface PlanRow {
  readonly stream: string;
  readonly tenant_id: string;
  readonly class: string;
  readonly regime: string | null;
  readonly days: number | null;
  readonly first_seq: string | null;
  readonly next_seq: string;
  readonly expired_to: string | null;
  readonly purged_to: string;
  readonly stubs: string;
  readonly pending_stream: string | null;
  readonly pending_seq: string | null;
}

async function ask<T>(query: () => Promise<T>): Promise<Result<T, RetentionError>> {
  try {
    return ok(await query());
  } catch (error) {
    return err({ kind: KINDS[codeOf(error)] ?? 'failed', message: messageOf(error) });
  }
}

function only<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error('the function gave no row');
  return row;
}
