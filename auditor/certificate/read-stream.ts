/** Reads of one stream what a certificate is about: the range whole, with its neighbours, and the hashes of the rest. */
import type { ClientBase } from 'pg';
import { formatRecord } from '../../ledger/frame.ts';
import { EMPTY_RANGE } from '../../ledger/merkle/range.ts';
import type { SeenPurge } from '../../ledger/purge-check.ts';
import type { Trust } from '../../ledger/trust.ts';
import { chainHash } from '../../schemas/brand.ts';
import type { SealedRow } from '../../store/sealed-row.ts';
import type { StoredPlace } from '../../store/verify-places.ts';
import type { Stream } from '../../store/verify-queries.ts';
import {
  verifyStream,
  type PlaceHashes,
  type ReadRow,
  type Run,
} from '../../store/verify-stream.ts';
import type { Asked } from '../answer.ts';
import type { AnswerCheck } from './answer-check.ts';
import type { CertificateFinding, StreamProof } from './certificate.ts';
import { isOutside, receivedMs, type Side } from './neighbours.ts';
import type { StreamPlan } from './plan.ts';
import type { PlacedRow } from './rows.ts';
import { describeStream } from './stream-proof.ts';
import { growTree, type TreeParts } from './tree.ts';

export interface StreamTask {
  readonly asked: Asked;
  readonly trust: Trust | null;
  readonly stream: Stream;
  readonly purges: readonly SeenPurge[];
  readonly plan: StreamPlan;
  /** Rows of the answer, ascending by their places. */
  readonly placed: readonly PlacedRow[];
  /** Is told each record that is read whole. */
  readonly answer: AnswerCheck;
  readonly onHash?: (line: string) => void;
  readonly onProgress?: () => void;
}

export interface StreamRead {
  readonly proof: StreamProof;
  /** Places in the range, and right before it, of which a purge left the hashes alone. */
  readonly purged: number;
  /**
   * Of how long a time are the records that were read whole and stand behind the checkpoint: by the agent's clock, and by the
   * application's of those that have a say in the answer. Nobody has signed what they say.
   */
  readonly bareMs: number;
  readonly findings: readonly CertificateFinding[];
}

/** Reads it, and has its records judged. */
export async function readStream(
  client: ClientBase,
  { asked, trust, stream, purges, plan, placed, answer, onHash, onProgress }: StreamTask,
  run: Run,
): Promise<StreamRead> {
  const { range, window, known, checkpoint } = plan;
  const { stream: name, stream_id: streamId } = stream;
  const signedTo = Number(checkpoint?.size ?? 0n);
  const findings: CertificateFinding[] = [];
  let tree: TreeParts | null = null;
  let before: string | null = null;
  let after: string | null = null;
  let purged = 0;
  let next = 0;
  let [bareFrom, readTo] = [Infinity, -Infinity];

  function begin({ seq }: PlaceHashes): TreeParts {
    return growTree({
      first: window.from,
      last: window.to,
      size: checkpoint === null ? null : Number(checkpoint.size),
      base: purges.find(({ base }) => base > 0 && base === seq)?.base_range ?? EMPTY_RANGE,
      ...(onHash === undefined ? {} : { onHash }),
    });
  }

  /** Rows that are this record; those that claim its place, or one before it, and are another are findings. */
  function rowsAt(seq: number, this_hash: string): number[] {
    const rows: number[] = [];
    for (let one = placed[next]; one !== undefined && one.seq <= seq; one = placed[next]) {
      if (one.seq === seq && one.this_hash === this_hash) rows.push(one.row);
      else reportOther(one);
      next += 1;
    }
    return rows;
  }

  function reportNarrowed(side: Side | 'in', seq: number, why: string): void {
    const message = `the record ${side === 'in' ? 'of a row' : `right ${side} the range`} ${why}: the database did not give all of the range`;
    findings.push({ kind: 'range_narrowed', rows: [], stream: name, seq, message });
  }

  /** The statement gave a record that is not the one which stands there. */
  function reportOther({ seq, row }: PlacedRow): void {
    const message = 'the answer shows another record than the one that stands here';
    const place = { segment: 'answer', line: row };
    run.examination.report({ kind: 'inserted', stream: name, seq, ...place, message });
  }

  function takeNeighbour(side: Side, seq: number, { row, event }: ReadRow): string {
    if (!isOutside(side, event, asked))
      reportNarrowed(side, seq, 'was received in the time that was asked for');
    return lineOf(row);
  }

  function onPlace(place: PlaceHashes, kind: StoredPlace['kind'], read: ReadRow | null): void {
    const { seq, this_hash } = place;
    tree ??= begin(place);
    tree.take(seq, this_hash);
    if (kind !== 'stub' && seq < range.from) purged = 0;
    if (kind === 'stub' && seq < range.to) purged += 1;
    const at = { stream: name, streamId, seq, this_hash };
    answer.pass(at, checkpoint?.isSigned === true && seq < signedTo);
    const rows = rowsAt(seq, this_hash);
    // Where the database says that a stream begins or ends, it has neither.
    if (kind !== 'record' && seq === range.to) reportNarrowed('behind', seq, 'is not shown');
    if (kind === 'link' && seq === range.from - 1) reportNarrowed('before', seq, 'is not shown');
    if (kind !== 'record' && rows.length > 0)
      reportNarrowed('in', seq, 'is shown as a row, and is not there whole');
    if (read === null) return;
    if (seq < range.from) before = takeNeighbour('before', seq, read);
    if (seq >= range.to) after = takeNeighbour('behind', seq, read);
    const { event_bytes: text, duplicate } = read.row;
    const isRepetition = duplicate === 'true';
    const happened = answer.take({ ...at, event: read.event, text, isRepetition, rows });
    const received = receivedMs(read.event);
    readTo = Math.max(readTo, received);
    if (seq >= signedTo) bareFrom = Math.min(bareFrom, received, happened);
  }

  const reading = { stream, purges, known, window, onPlace };
  await verifyStream(client, { ...reading, ...(onProgress && { onProgress }) }, run);
  for (const one of placed.slice(next)) reportOther(one);
  const grown: TreeParts = tree ?? begin({ seq: 0, prev_hash: ZERO, this_hash: ZERO });
  const proof = describeStream({
    ...{ stream: name, ...range, first: window.from, last: window.to, before, after },
    ...{ grown: grown.conclude(), checkpoint, trust, cover: run.covers.get(name) ?? null },
  });
  return { proof, purged, bareMs: readTo - bareFrom, findings };
}

const ZERO = chainHash('0'.repeat(64));

function lineOf({ event_bytes, prev_hash, this_hash }: SealedRow): string {
  return formatRecord(event_bytes, chainHash(prev_hash), chainHash(this_hash)).slice(0, -1);
}
