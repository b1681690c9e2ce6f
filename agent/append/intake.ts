/**
 * Intake: one outcome per event of a batch. Decides what is new, what was recorded before and what is
 * refused, seals what is new, and finds the receipts of what is not.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import { findReceipts } from '../../ledger/locate.ts';
import type { LedgerState } from '../../ledger/state.ts';
import type { Receipt } from '../../schemas/record.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import { messageOf } from '../../schemas/result.ts';
import type { AdmittedEvent, AppendOutcome, AppendRequest, Logger, Meter } from '../ports.ts';
import { createNumbering } from './numbering.ts';
import type { OriginWindow } from './origin-window.ts';
import type { Sealer } from './sealer.ts';

/** An outcome, or the number of an event whose earlier receipt is still to be found. */
export type Draft = AppendOutcome | { readonly kind: 'locate'; readonly seq: number };

export interface Intake {
  begin(): void;
  /** Seals the new events of a request into the current batch. */
  seal(request: AppendRequest): readonly Draft[];
  /** Forgets what the batch has noted: it was not written. */
  rollback(): void;
  /** Turns drafts into outcomes; call only once the batch is durable. */
  settle(request: AppendRequest, drafts: readonly Draft[]): Promise<readonly AppendOutcome[]>;
  noteRefused(producer: string, seqs: readonly number[]): void;
}

export interface IntakeOptions {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly state: LedgerState;
  readonly sealer: Sealer;
  readonly origins: OriginWindow;
  readonly meter: Meter;
  readonly log: Logger;
}

/** Whether it was recorded is not known, so it MUST be sent again under its number, and no other. */
const UNREADABLE: Refusal = refusal(
  'storage_failed',
  'the ledger cannot be read to find the receipt; send the event again',
);

/** Creates the intake of an append stage. */
export function createIntake(options: IntakeOptions): Intake {
  const { sealer, origins, meter, log, state } = options;
  const numbering = createNumbering(state.producers);
  let originKeys: string[] = [];

  function seal(request: AppendRequest): readonly Draft[] {
    const { producer, firstSeq } = request;
    return request.events.map((event, index): Draft => {
      if (firstSeq === null) {
        return event.ok ? sealForeign(event.value) : { kind: 'refused', refusal: event.error };
      }
      const seq = firstSeq + index;
      if (event.ok) return sealNumbered(event.value, producer, seq);
      numbering.noteRefused(producer, seq);
      return { kind: 'refused', refusal: event.error };
    });
  }

  function sealForeign(event: AdmittedEvent): Draft {
    const { origin } = event;
    const seen = origin === undefined ? null : origins.find(event.tenant, origin);
    if (seen === 'conflict') {
      const message = 'this record id was recorded before with another payload; use a new id';
      return { kind: 'refused', refusal: refusal('id_conflict', message, '/origin/record_id') };
    }
    if (seen !== null) return { kind: 'duplicate', receipt: seen };
    const receipt = sealer.sealOwn(event);
    const key = origin === undefined ? null : origins.remember(event.tenant, origin, receipt);
    if (key !== null) originKeys.push(key);
    return { kind: 'appended', receipt };
  }

  function sealNumbered(event: AdmittedEvent, producer: string, seq: number): Draft {
    const placed = numbering.place(producer, seq);
    if (placed.kind === 'duplicate') return { kind: 'locate', seq };
    if (placed.gap > 0) {
      meter.producerGap(placed.gap);
      log.warn({ producer, seq, missing: placed.gap }, 'numbers of a producer are missing');
    }
    return {
      kind: 'appended',
      receipt: sealer.seal(event, { id: producer, seq, refused: placed.refused }),
    };
  }

  async function settle(
    request: AppendRequest,
    drafts: readonly Draft[],
  ): Promise<readonly AppendOutcome[]> {
    const { producer } = request;
    if (request.firstSeq !== null) numbering.settle(producer, state.producers.get(producer) ?? -1);
    const seqs = new Set<number>();
    for (const draft of drafts) if (draft.kind === 'locate') seqs.add(draft.seq);
    const receipts = seqs.size === 0 ? new Map<number, Receipt>() : await locate(producer, seqs);
    return drafts.map((draft): AppendOutcome => {
      if (draft.kind !== 'locate') return draft;
      if (receipts === null) return { kind: 'refused', refusal: UNREADABLE };
      const receipt = receipts.get(draft.seq);
      if (receipt !== undefined) return { kind: 'duplicate', receipt };
      const message = `number ${draft.seq} is not above the producer's last one, and the ledger has no record of it; begin again with a new producer id`;
      return { kind: 'refused', refusal: refusal('protocol_error', message) };
    });
  }

  /** Null where the ledger could not be searched. */
  async function locate(
    producer: string,
    seqs: ReadonlySet<number>,
  ): Promise<ReadonlyMap<number, Receipt> | null> {
    try {
      return await findReceipts(options.filesystem, options.dir, producer, seqs);
    } catch (error) {
      log.error({ error: messageOf(error) }, 'cannot search the ledger for receipts');
      return null;
    }
  }

  return {
    seal,
    settle,
    begin: () => {
      originKeys = [];
    },
    rollback: () => {
      for (const key of originKeys) origins.forget(key);
    },
    noteRefused: (producer, seqs) => {
      for (const seq of seqs) numbering.noteRefused(producer, seq);
    },
  };
}
