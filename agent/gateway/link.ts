/**
 * Where records belong in their chains, whatever order they came in and however often. Pure. A record is
 * stored only behind its predecessor; one that is early is held, one that the store contradicts is
 * refused, and one that is there already is confirmed again.
 */
import { GENESIS_PREV_HASH, type ChainHash } from '../../schemas/brand.ts';
import type { StoredRecord } from '../../store/store.ts';
import type { Refused, RefusalKind } from './incoming.ts';

/** What the store holds around the places that a batch asks about. */
export interface Held {
  hashAt(stream: string, seq: number): ChainHash | undefined;
  /** prev_hash of the record there; asked of a place whose predecessor is not stored. */
  linkAt(stream: string, seq: number): ChainHash | undefined;
  tenantOf(stream: string): string | undefined;
}

export type Verdict =
  /** Behind its predecessor: store it. */
  | { readonly kind: 'store' }
  /** The store has it. */
  | { readonly kind: 'repeated' }
  /** The batch has it at this index, whose outcome it shares. */
  | { readonly kind: 'same'; readonly as: number }
  /** Its predecessor is not there yet. */
  | { readonly kind: 'early'; readonly missing: number }
  | ({ readonly kind: 'refused' } & { readonly refused: Refused });

export interface Linked {
  /** One a record, in their order. */
  readonly verdicts: readonly Verdict[];
  /** Indexes of what is to be stored, every record behind its predecessor. */
  readonly order: readonly number[];
}

/** Judges a batch; of two records that claim one place the first to come is the one that is kept. */
export function linkRecords(records: readonly StoredRecord[], held: Held): Linked {
  const taken = new Map<string, { readonly hash: ChainHash; readonly index: number }>();
  const tenants = new Map<string, string>();
  const verdicts = new Array<Verdict>(records.length);
  const order: number[] = [];

  function judge(record: StoredRecord): Verdict {
    const { event, prev_hash, this_hash } = record;
    const { stream, seq } = event.chain;
    const refuse = (kind: RefusalKind, what: string): Verdict => ({
      kind: 'refused',
      refused: { kind, reason: `stream ${stream} seq ${seq} ${what}` },
    });
    const owner = held.tenantOf(stream) ?? tenants.get(stream);
    if (owner !== undefined && owner !== event.resource.tenant_id)
      return refuse('tenant_differs', 'is of another tenant than its stream');

    const stored = held.hashAt(stream, seq);
    const mine = taken.get(placeOf(stream, seq));
    const there = stored ?? mine?.hash;
    if (there !== undefined && there !== this_hash)
      return refuse(
        'fork',
        `is taken by a record with this_hash ${there}; this one has ${this_hash}`,
      );
    if (stored !== undefined) return { kind: 'repeated' };
    if (mine !== undefined) return { kind: 'same', as: mine.index };

    const before =
      seq === 0
        ? GENESIS_PREV_HASH
        : (held.hashAt(stream, seq - 1) ?? taken.get(placeOf(stream, seq - 1))?.hash);
    if (before === undefined) return { kind: 'early', missing: seq - 1 };
    if (before !== prev_hash)
      return refuse(
        'link_broken',
        `has prev_hash ${prev_hash}; the record before it has ${before}`,
      );
    const after = held.linkAt(stream, seq + 1);
    if (after !== undefined && after !== this_hash)
      return refuse(
        'link_broken',
        `has this_hash ${this_hash}; the record behind it links to ${after}`,
      );
    return { kind: 'store' };
  }

  for (const index of bySeq(records)) {
    const record = records[index];
    if (record === undefined) continue;
    const verdict = judge(record);
    verdicts[index] = verdict;
    if (verdict.kind !== 'store') continue;
    const { stream, seq } = record.event.chain;
    taken.set(placeOf(stream, seq), { hash: record.this_hash, index });
    tenants.set(stream, record.event.resource.tenant_id);
    order.push(index);
  }
  return { verdicts, order };
}

/** Indexes by number within the stream; of equal numbers the first to come first. */
function bySeq(records: readonly StoredRecord[]): number[] {
  const seqOf = (index: number): number => records[index]?.event.chain.seq ?? 0;
  return [...records.keys()].sort((one, other) => seqOf(one) - seqOf(other) || one - other);
}

function placeOf(stream: string, seq: number): string {
  return `${stream} ${seq}`;
}
