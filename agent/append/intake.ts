/**
 * Intake: one outcome per event of a batch. Decides what is new, what was recorded before and what is
 * refused, seals what is new, and finds the receipts of what is not.
 */
import type { Filesystem } from '../../ledger/filesystem.ts';
import type { FoundReceipts } from '../../ledger/locate.ts';
import type { LedgerState } from '../../ledger/state.ts';
import { eventIdOf } from '../../schemas/canonical-event.ts';
import { refusal, type Refusal } from '../../schemas/refusal.ts';
import type { AdmittedEvent, AppendOutcome, AppendRequest, Logger, Meter } from '../ports.ts';
import { createNumbering } from './numbering.ts';
import type { OriginWindow } from './origin-window.ts';
import { createReceiptSearch } from './receipt-search.ts';
import type { Sealer } from './sealer.ts';

/** An outcome, or the event whose earlier receipt is still to be found. */
export type Draft =
  AppendOutcome | { readonly kind: 'locate'; readonly seq: number; readonly event_id: string };

export interface Intake {
  /** Seals the new events of a request into the current batch. */
  seal(request: AppendRequest): readonly Draft[];
  /** The batch is durable. */
  commit(): void;
  /** Forgets what the batch has noted: it was not written. */
  rollback(): void;
  /**
   * Turns drafts into outcomes; call only once the batch is durable. A promise only where receipts
   * are to be found; it never rejects.
   */
  settle(
    request: AppendRequest,
    drafts: readonly Draft[],
  ): readonly AppendOutcome[] | Promise<readonly AppendOutcome[]>;
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
  const receipts = createReceiptSearch(options);

  function seal({ producer, firstSeq, events }: AppendRequest): readonly Draft[] {
    if (firstSeq !== null) {
      const refused = events.flatMap((event, index) => (event.ok ? [] : [firstSeq + index]));
      if (refused.length > 0) numbering.noteRefused(producer, refused);
    }
    return events.map((event, index): Draft => {
      if (!event.ok) return { kind: 'refused', refusal: event.error };
      if (firstSeq === null) return sealForeign(event.value);
      return sealNumbered(event.value, producer, firstSeq + index);
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
    if (origin !== undefined) origins.remember(event.tenant, origin, receipt);
    return { kind: 'appended', receipt };
  }

  function sealNumbered(event: AdmittedEvent, producer: string, seq: number): Draft {
    const placed = numbering.place(producer, seq);
    if (placed.kind === 'duplicate')
      return { kind: 'locate', seq, event_id: eventIdOf(event.canonical) };
    if (placed.gap > 0) {
      meter.producerGap(placed.gap);
      log.warn({ producer, seq, missing: placed.gap }, 'numbers of a producer are missing');
    }
    return {
      kind: 'appended',
      receipt: sealer.seal(event, { id: producer, seq, refused: placed.refused }),
    };
  }

  function settle(
    { producer, firstSeq }: AppendRequest,
    drafts: readonly Draft[],
  ): readonly AppendOutcome[] | Promise<readonly AppendOutcome[]> {
    if (firstSeq !== null) numbering.settle(producer, state.producers.get(producer) ?? -1);
    const seqs = new Set<number>();
    for (const draft of drafts) if (draft.kind === 'locate') seqs.add(draft.seq);
    if (seqs.size === 0) return drafts.map((draft) => outcomeOf(draft, null));
    return receipts
      .find(producer, seqs)
      .then((found) => drafts.map((draft) => outcomeOf(draft, found)));
  }

  return {
    seal,
    settle,
    commit: origins.commit,
    rollback: origins.rollback,
    noteRefused: numbering.noteRefused,
  };
}

function outcomeOf(draft: Draft, found: FoundReceipts | null): AppendOutcome {
  if (draft.kind !== 'locate') return draft;
  if (found === null) return { kind: 'refused', refusal: UNREADABLE };
  const earlier = found.get(draft.seq);
  if (earlier?.event_id === draft.event_id) {
    const { stream, seq, this_hash } = earlier;
    return { kind: 'duplicate', receipt: { stream, seq, this_hash } };
  }
  // An ack here would be for another event than the one that was sent.
  const what = earlier === undefined ? 'no record of it' : 'another event under it';
  const message = `number ${draft.seq} is not above the producer's last one, and the ledger has ${what}; begin again with a new producer id`;
  return { kind: 'refused', refusal: refusal('protocol_error', message) };
}
