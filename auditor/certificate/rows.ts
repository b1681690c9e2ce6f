/**
 * The rows of an answer as the certificate sees them: each record by itself, and where it must stand in its stream.
 * A row leaves behind its place, its hash and its event's id. Pure but for node:crypto.
 */
import { createHash } from 'node:crypto';
import { isCanonicalOf, rehash } from '../../ledger/content-check.ts';
import { memberOf, readChain } from '../../ledger/chain-place.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import type { AnswerRow, Asked, RecordOfRow } from '../answer.ts';
import { resolveAsked } from '../resolve.ts';
import { createExtraCheck, extrasOf } from '../rules/extras.ts';
import { formatRow } from './certificate.ts';

/** Rows of one stream, ascending by place. */
export interface PlacedRow {
  readonly seq: number;
  /** From 1. */
  readonly row: number;
  readonly this_hash: string;
  readonly event_id: string;
}

export interface RowFault extends Pick<RecordOfRow, 'stream' | 'seq'> {
  readonly row: number;
  readonly message: string;
}

export interface RowGatherer {
  /** Takes the next row; returns its line. */
  take(row: AnswerRow): string;
  conclude(): GatheredRows;
}

export interface GatheredRows {
  readonly count: number;
  readonly records: number;
  readonly sha256: string;
  readonly faults: readonly RowFault[];
  readonly byStream: ReadonlyMap<string, readonly PlacedRow[]>;
  /** Rows that count or compare, the first of them. */
  readonly figures: readonly { readonly row: number; readonly values: AnswerRow['values'] }[];
}

const FAULTS_MAX = 1_000;
const FIGURES_MAX = 200_000;

/** Begins with the first row. */
export function gatherRows(asked: Asked): RowGatherer {
  const findOther = createValueCheck(asked);
  const byStream = new Map<string, PlacedRow[]>();
  const faults: RowFault[] = [];
  const figures: GatheredRows['figures'][number][] = [];
  const digest = createHash('sha256');
  let count = 0;
  let records = 0;
  return {
    take: (row) => {
      count += 1;
      const line = formatRow(count, row);
      digest.update(line);
      const { record } = row;
      if (record === null) {
        if (figures.length < FIGURES_MAX) figures.push({ row: count, values: row.values });
        return line;
      }
      records += 1;
      const message = findFault(record) ?? findOther(row.values, record);
      const { stream, seq, this_hash, event_id } = record;
      if (message !== null && faults.length < FAULTS_MAX)
        faults.push({ row: count, stream, seq, message });
      const placed = byStream.get(stream) ?? [];
      byStream.set(stream, placed);
      placed.push({ seq, row: count, this_hash, event_id });
      return line;
    },
    conclude: () => {
      for (const placed of byStream.values()) placed.sort((one, other) => one.seq - other.seq);
      const sha256 = digest.digest('hex');
      return { count, records, sha256, faults, byStream, figures };
    },
  };
}

/** Says which column of a row shows what the database computed, and not from this record; null: none. The others show the event. */
function createValueCheck(
  asked: Asked,
): (values: AnswerRow['values'], record: RecordOfRow) => string | null {
  const found = resolveAsked(asked);
  const columns = found.ok ? found.value.question.columns : [];
  const extras = extrasOf(columns).map((column) => ({ ...column, at: columns.indexOf(column) }));
  if (!found.ok || extras.length === 0) return () => null;
  const { resolved } = found.value;
  return (values, { event_bytes }) => {
    const isOther = createExtraCheck(readJson(event_bytes), event_bytes, resolved);
    const wrong = extras.find(({ name, at }) => isOther(name, values[at] ?? null));
    return wrong === undefined
      ? null
      : `the column ${wrong.title} shows something else than the record says`;
  };
}

/** What a record has against itself, by the hash that did not seal it; null: nothing. */
export function findFault(record: RecordOfRow): string | null {
  const { stream, seq, event_id, event_bytes, prev_hash, this_hash } = record;
  if (rehash(prev_hash, event_bytes) !== this_hash)
    return 'the event does not have the hash that the record states: it was changed after it was sealed';
  const said = readChain(event_bytes);
  if (said === null) return 'this is no sealed record';
  if (!isCanonicalOf(said.event, event_bytes)) return 'the event is not in canonical form';
  if (said.chain.stream !== stream || said.chain.seq !== seq)
    return `the event says that it is seq ${said.chain.seq} of ${said.chain.stream}`;
  if (memberOf(said.event, 'event_id') !== event_id) return 'the event has another event_id';
  return null;
}
