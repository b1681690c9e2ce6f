/**
 * A range of a stream's rows in short: the run of records that it holds, given that each is as it was sealed, has its
 * columns as its event says, and follows the one before it. A range in which anything is wrong, or not surely right, has
 * no short form: it is read again row by row, by the check that names what was done (verify-stream.ts). Pure.
 */
import { chainHash } from '../schemas/brand.ts';
import { parseJson } from '../schemas/canonical.ts';
import type { SealedEvent } from '../schemas/record.ts';
import { ENDS_LENGTH, HEAD, PREV_MARK, TAIL_MARK, THIS_MARK } from '../ledger/frame.ts';
import { HASH_BYTES } from '../ledger/merkle/hash.ts';
import { LEAD_BYTES, summarizeChunk } from '../ledger/verify/chunk.ts';
import { addRecord, beginRun, closeRun, type OpenRun } from '../ledger/verify/open-run.ts';
import type { KnownSizes, Run } from '../ledger/verify/summary.ts';
import { ColumnScan, NULL, SCANNED } from './column-scan.ts';
import { RESOURCE_ID_BYTES_MAX, TEXT_COLUMNS } from './rows.ts';
import { findDifferences } from './sealed-row.ts';
import { isTimeOf } from './stored-time.ts';
import type { Stream } from './verify-queries.ts';

/** Rows [from, to) of a stream; whole, or their hashes alone. */
export interface RangeTask {
  readonly stream: Stream;
  readonly from: number;
  readonly to: number;
  readonly isWhole: boolean;
}

export interface RangeSummary {
  /** Null: the range holds no row. */
  readonly run: Run | null;
  /** Rows, and bytes of their events; 0 where their hashes alone were read. */
  readonly records: number;
  readonly bytes: number;
  /** The event of the stream's first record, where the range holds it whole. */
  readonly genesis: string | null;
}

export interface RangeJudge {
  /** Takes the next row, whose first length stands at `at`. */
  take(row: Buffer, at: number): void;
  /** Null: it has to be read row by row. */
  conclude(): RangeSummary | null;
}

/** What is read of a row, in this order. Of the table itself: what the view makes of it costs more than to judge it. */
const HASHES = 'seq, prev_hash, this_hash';
const COLUMNS = [HASHES, 'occurred_at, received_at', ...TEXT_COLUMNS.keys(), 'event_bytes'];
/** Places of columns in a row. */
const SEQ = 0;
const PREV = 1;
const THIS = 2;
const OCCURRED = 3;
const RECEIVED = 4;
const TEXTS = 5;
const EVENT = TEXTS + TEXT_COLUMNS.size;
const EVENT_TIME = SCANNED.indexOf('event.time');
const RECEIVED_AT = SCANNED.indexOf('chain.received_at');
const TENANT = TEXTS + [...TEXT_COLUMNS.keys()].indexOf('tenant_id');

const NEWLINE = 0x0a;
const HEAD_BYTES = Buffer.from(HEAD);
const PREV_MARK_BYTES = Buffer.from(PREV_MARK);
const THIS_MARK_BYTES = Buffer.from(THIS_MARK);
const TAIL_MARK_BYTES = Buffer.from(TAIL_MARK);
const HEX = Buffer.from('0123456789abcdef');
/** What a line has beside its event. */
const FRAME_BYTES = HEAD.length + ENDS_LENGTH + 1;
const ROOM_BYTES = 1024 * 1024;

/** The statement that reads it. */
export function selectRange({ stream, from, to, isWhole }: RangeTask): string {
  return `SELECT ${isWhole ? COLUMNS.join(', ') : HASHES} FROM audit.records
    WHERE stream_id = ${Number(stream.stream_id)} AND seq >= ${from} AND seq < ${to} ORDER BY seq, occurred_at`;
}

/** Creates what makes the judges of ranges, one after the other or side by side. */
export function createRangeJudges(known: KnownSizes | null): (task: RangeTask) => RangeJudge {
  const scan = new ColumnScan();
  // Lines of a range that is judged, for the next one.
  const spare: Buffer[] = [];
  return (task) => (task.isWhole ? judgeWhole(task, known, scan, spare) : judgeHashes(task, known));
}

function judgeWhole(
  { stream, from }: RangeTask,
  known: KnownSizes | null,
  scan: ColumnScan,
  spare: Buffer[],
): RangeJudge {
  const tenant = Buffer.from(stream.tenant_id);
  const fields = new Fields(EVENT + 1);
  let lines = spare.pop() ?? Buffer.allocUnsafeSlow(ROOM_BYTES);
  let end = LEAD_BYTES;
  let rows = 0;
  let bytes = 0;
  let first = 0;
  let isRight = true;

  /** Writes the row as a line of a ledger; returns where its event stands. */
  function write(row: Buffer): number {
    const size = fields.length(EVENT);
    if (end + size + FRAME_BYTES > lines.length) {
      const room = Buffer.allocUnsafeSlow(2 * (lines.length + size + FRAME_BYTES));
      lines.copy(room, 0, 0, end);
      lines = room;
    }
    end += HEAD_BYTES.copy(lines, end);
    const event = end;
    end += row.copy(lines, end, fields.from(EVENT), fields.from(EVENT) + size);
    end += PREV_MARK_BYTES.copy(lines, end);
    end = writeHex(row, fields.from(PREV), lines, end);
    end += THIS_MARK_BYTES.copy(lines, end);
    end = writeHex(row, fields.from(THIS), lines, end);
    end += TAIL_MARK_BYTES.copy(lines, end);
    lines[end] = NEWLINE;
    end += 1;
    return event;
  }

  function take(row: Buffer, at: number): boolean {
    if (!fields.read(row, at) || !hasHashes(fields)) return false;
    const seq = Number(row.readBigInt64BE(fields.from(SEQ)));
    if (rows === 0) first = seq;
    if (seq !== first + rows || !fields.isText(TENANT, row, tenant, 0, tenant.length)) return false;
    rows += 1;
    bytes += fields.length(EVENT);
    const event = write(row);
    scan.scan(lines, event, event + fields.length(EVENT));
    return isAsScanned(row, fields, lines, scan) || isAsParsed(row, fields);
  }

  return {
    take: (row, at) => {
      isRight = isRight && take(row, at);
    },
    conclude: () => {
      const genesisTo = first === 0 && from === 0 ? lines.indexOf(NEWLINE, LEAD_BYTES) : -1;
      const genesis =
        genesisTo === -1 || rows === 0
          ? null
          : lines.toString('utf8', LEAD_BYTES + HEAD.length, genesisTo - ENDS_LENGTH);
      const said = isRight ? summarizeChunk(lines, LEAD_BYTES, end, known) : null;
      spare.push(lines);
      // An event with a newline in it would be lines.
      if (said?.records !== rows || said.runs.length > 1) return null;
      const [run = null] = said.runs;
      if (run !== null && (run.stream !== stream.stream || run.first !== first)) return null;
      return { run, records: rows, bytes, genesis };
    },
  };
}

function judgeHashes({ stream }: RangeTask, known: KnownSizes | null): RangeJudge {
  const fields = new Fields(THIS + 1);
  const sizes = known === null ? null : (known.get(stream.stream) ?? []);
  let run: OpenRun | null = null;
  let isRight = true;

  function take(row: Buffer, at: number): boolean {
    if (!fields.read(row, at) || !hasHashes(fields)) return false;
    const seq = Number(row.readBigInt64BE(fields.from(SEQ)));
    const prev = chainHash(fields.hex(PREV, row));
    run ??= beginRun(seq, prev, sizes);
    if (seq !== run.next || prev !== run.head) return false;
    addRecord(run, chainHash(fields.hex(THIS, row)), seq - run.first);
    return true;
  }

  return {
    take: (row, at) => {
      isRight = isRight && take(row, at);
    },
    conclude: () => {
      if (!isRight) return null;
      const closed = run === null ? null : closeRun(stream.stream, run);
      return { run: closed, records: 0, bytes: 0, genesis: null };
    },
  };
}

/** The columns of a row: where each begins, and how long it is; -1: null. */
class Fields {
  private readonly froms: Int32Array;
  private readonly lengths: Int32Array;

  constructor(count: number) {
    this.froms = new Int32Array(count);
    this.lengths = new Int32Array(count);
  }

  /** False: the row does not have as many. */
  read(row: Buffer, at: number): boolean {
    let next = at;
    for (let field = 0; field < this.froms.length; field++) {
      if (next + 4 > row.length) return false;
      const length = row.readInt32BE(next);
      next += 4;
      this.froms[field] = next;
      this.lengths[field] = length;
      if (length > 0) next += length;
    }
    return next === row.length;
  }

  from(field: number): number {
    return this.froms[field] ?? 0;
  }

  length(field: number): number {
    return this.lengths[field] ?? NULL;
  }

  hex(field: number, row: Buffer): string {
    return row.toString('hex', this.from(field), this.from(field) + this.length(field));
  }

  text(field: number, row: Buffer): string | null {
    const length = this.length(field);
    return length === NULL
      ? null
      : row.toString('utf8', this.from(field), this.from(field) + length);
  }

  /** Whether the column has the bytes [from, to). */
  isText(field: number, row: Buffer, bytes: Buffer, from: number, to: number): boolean {
    if (this.length(field) !== to - from) return false;
    let mine = this.from(field);
    for (let at = from; at < to; at++) if (bytes[at] !== row[mine++]) return false;
    return true;
  }
}

/** Nothing but the last hash may say that this is a whole row: an event that is null has no length. */
function hasHashes(fields: Fields): boolean {
  return (
    fields.length(SEQ) === 8 &&
    fields.length(PREV) === HASH_BYTES &&
    fields.length(THIS) === HASH_BYTES
  );
}

/** Whether the columns are what stands in the event, byte for byte; false where that is to be looked at closely. */
function isAsScanned(row: Buffer, fields: Fields, event: Buffer, scan: ColumnScan): boolean {
  for (let place = 0; place < TEXT_COLUMNS.size; place++) {
    const from = scan.from[place] ?? 0;
    const column = TEXTS + place;
    if (from === NULL && fields.length(column) === NULL) continue;
    // A longer one is filed in another form.
    if (fields.length(column) > RESOURCE_ID_BYTES_MAX) return false;
    if (from < 0 || !fields.isText(column, row, event, from, scan.to[place] ?? 0)) return false;
  }
  return isTime(OCCURRED, EVENT_TIME) && isTime(RECEIVED, RECEIVED_AT);

  function isTime(column: number, place: number): boolean {
    const [from = 0, to = 0] = [scan.from[place], scan.to[place]];
    return from >= 0 && isTimeOf(row, fields.from(column), fields.length(column), event, from, to);
  }
}

/** The same by way of the values: for what is escaped, too long for an index, or in a time zone. */
function isAsParsed(row: Buffer, fields: Fields): boolean {
  const millis = (field: number): string | null => {
    if (fields.length(field) !== 8) return null;
    const micros = row.readBigInt64BE(fields.from(field));
    return micros % 1_000n === 0n ? String(micros / 1_000n + EPOCH_2000_MS) : null;
  };
  const [occurred_at, received_at] = [millis(OCCURRED), millis(RECEIVED)];
  const event_bytes = fields.text(EVENT, row);
  if (occurred_at === null || received_at === null || event_bytes === null) return false;
  const texts = [...TEXT_COLUMNS.keys()].map((name, at) => [name, fields.text(TEXTS + at, row)]);
  try {
    const event = parseJson(event_bytes) as unknown as SealedEvent;
    const stated = {
      ...(Object.fromEntries(texts) as Record<string, string | null>),
      ...{ seq: String(row.readBigInt64BE(fields.from(SEQ))), event_bytes, occurred_at },
      ...{ received_at, prev_hash: fields.hex(PREV, row), this_hash: fields.hex(THIS, row) },
      // Of which no event says anything.
      duplicate: '',
    };
    return findDifferences(stated, event).length === 0;
  } catch {
    // No JSON: the check that names it says so.
    return false;
  }
}

/** Of 2000-01-01, from which PostgreSQL counts. */
const EPOCH_2000_MS = 946_684_800_000n;

function writeHex(from: Buffer, begin: number, to: Buffer, at: number): number {
  let next = at;
  for (let index = begin; index < begin + HASH_BYTES; index++) {
    const byte = from[index] ?? 0;
    to[next] = HEX[byte >> 4] ?? 0;
    to[next + 1] = HEX[byte & 15] ?? 0;
    next += 2;
  }
  return next;
}
