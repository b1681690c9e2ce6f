/**
 * A chunk of a segment in short: which runs of streams it holds, given that every record in it is as it was
 * sealed. So the records themselves are judged many chunks at a time, and what is left to do in order is to see
 * that the runs meet. A chunk in which anything is wrong, or not surely right, has no short form: it is read
 * again record by record, by the check that names what was done (stream-check.ts). Pure.
 */
import * as crypto from 'node:crypto';
import { isChainHash, type ChainHash } from '../../schemas/brand.ts';
import { readChain, type ChainPlace } from '../chain-place.ts';
import { ENDS_LENGTH, HEAD, PREV_MARK, TAIL_MARK, THIS_MARK } from '../frame.ts';
import { REMOVAL_ACTION } from '../front.ts';
import { isCanonical, rehash, SECOND_HASH_EVERY } from '../content-check.ts';
import { EventScan } from './event-scan.ts';
import { addRecord, beginRun, closeRun, type OpenRun } from './open-run.ts';
import type { ChunkSummary, KnownSizes, Notable, ProducerStep } from './summary.ts';

/** Room that a chunk needs before its first line: the hash is taken where the line lies, behind prev_hash. */
export const LEAD_BYTES = 64;

const NEWLINE = 0x0a;
const HASH_LENGTH = 64;
const HEAD_BYTES = Buffer.from(HEAD);
const PREV_BYTES = Buffer.from(PREV_MARK);
const THIS_BYTES = Buffer.from(THIS_MARK);
const TAIL_BYTES = Buffer.from(TAIL_MARK);

interface OpenProducer {
  readonly steps: ProducerStep[];
  last: number;
}

/**
 * Sums up the whole lines in bytes [from, to), which end in a newline; null where one is not surely as it was
 * sealed. `bytes` is overwritten; `from` MUST be LEAD_BYTES or more. Trees are grown where `known` is given.
 */
export function summarizeChunk(
  bytes: Buffer,
  from: number,
  to: number,
  known: KnownSizes | null,
): ChunkSummary | null {
  const scan = new EventScan();
  const runs = new Map<string, OpenRun>();
  const producers = new Map<string, OpenProducer>();
  const notable: Notable[] = [];
  let line = 0;

  for (let at = from; at < to; line += 1) {
    const newline = bytes.indexOf(NEWLINE, at);
    if (newline === -1 || newline >= to) return null;
    const eventFrom = at + HEAD_BYTES.length;
    const eventTo = newline - ENDS_LENGTH;
    if (eventTo <= eventFrom || !isAt(bytes, at, HEAD_BYTES)) return null;
    const prevFrom = eventTo + PREV_BYTES.length;
    const thisFrom = prevFrom + HASH_LENGTH + THIS_BYTES.length;
    if (
      !isAt(bytes, eventTo, PREV_BYTES) ||
      !isAt(bytes, prevFrom + HASH_LENGTH, THIS_BYTES) ||
      !isAt(bytes, thisFrom + HASH_LENGTH, TAIL_BYTES)
    )
      return null;
    const prev_hash = bytes.toString('latin1', prevFrom, prevFrom + HASH_LENGTH);
    const this_hash = bytes.toString('latin1', thisFrom, thisFrom + HASH_LENGTH);

    const place = scan.scan(bytes, eventFrom, eventTo)
      ? placeOf(scan, bytes)
      : placeByParsing(bytes.subarray(eventFrom, eventTo));
    if (place === null) return null;
    if (line % SECOND_HASH_EVERY === 0) {
      if (!isChainHash(prev_hash)) return null;
      if (rehash(prev_hash, bytes.toString('utf8', eventFrom, eventTo)) !== this_hash) return null;
    }
    if (place.seq === 0 || place.isRemoval)
      notable.push({ line, eventText: bytes.toString('utf8', eventFrom, eventTo) });

    // The end of the line before this one, and the head of this one, have been read.
    bytes.copy(bytes, eventFrom - HASH_LENGTH, prevFrom, prevFrom + HASH_LENGTH);
    const hashed = bytes.subarray(eventFrom - HASH_LENGTH, eventTo);
    if (crypto.hash('sha256', hashed, 'hex') !== this_hash) return null;

    // A hash that was computed is one.
    if (!takePlace(runs, place, prev_hash, this_hash as ChainHash, line, known)) return null;
    takeProducer(producers, place);
    at = newline + 1;
  }
  return {
    records: line,
    runs: [...runs].map(([stream, run]) => closeRun(stream, run)),
    producers: [...producers].map(([producer, { steps, last }]) => ({ producer, steps, last })),
    notable,
  };
}

interface ScannedPlace extends ChainPlace {
  readonly isRemoval: boolean;
}

function placeOf(scan: EventScan, bytes: Buffer): ScannedPlace {
  return {
    stream: bytes.toString('latin1', scan.streamFrom, scan.streamTo),
    seq: scan.seq,
    producer: bytes.toString('latin1', scan.producerFrom, scan.producerTo),
    producerSeq: scan.producerSeq,
    refused: scan.refused,
    isRemoval:
      scan.actionTo - scan.actionFrom === REMOVAL_ACTION.length &&
      bytes.toString('latin1', scan.actionFrom, scan.actionTo) === REMOVAL_ACTION,
  };
}

/** The long way, for what the scan does not know; null where the event is not canonical, or says nothing. */
function placeByParsing(event: Buffer): ScannedPlace | null {
  const text = event.toString('utf8');
  if (!isCanonical(text) || !Buffer.from(text).equals(event)) return null;
  const said = readChain(text);
  if (said === null) return null;
  return { ...said.chain, isRemoval: text.includes(REMOVAL_ACTION) };
}

function takePlace(
  runs: Map<string, OpenRun>,
  { stream, seq }: ChainPlace,
  prev_hash: string,
  this_hash: ChainHash,
  line: number,
  known: KnownSizes | null,
): boolean {
  let run = runs.get(stream);
  if (run === undefined) {
    if (!isChainHash(prev_hash)) return false;
    run = beginRun(seq, prev_hash, known === null ? null : (known.get(stream) ?? []));
    runs.set(stream, run);
  } else if (seq !== run.next || prev_hash !== run.head) {
    return false;
  }
  addRecord(run, this_hash, line);
  return true;
}

function takeProducer(producers: Map<string, OpenProducer>, place: ChainPlace): void {
  const { producer, producerSeq, refused } = place;
  const known = producers.get(producer);
  if (known === undefined) {
    producers.set(producer, { steps: [{ ...place, before: -1 }], last: producerSeq });
    return;
  }
  if (producerSeq > known.last + 1 + refused) known.steps.push({ ...place, before: known.last });
  if (producerSeq > known.last) known.last = producerSeq;
}

function isAt(bytes: Buffer, at: number, mark: Buffer): boolean {
  for (let index = 0; index < mark.length; index++)
    if (bytes[at + index] !== mark[index]) return false;
  return true;
}
