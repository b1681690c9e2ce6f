/**
 * A range of rows has a short form only where every row is as it was sealed and every column says what its event says:
 * never where the check that goes by the values finds a difference.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { occurredAtMs, TEXT_COLUMNS } from '../../store/rows.ts';
import type { StoredRecord } from '../../store/store.ts';
import { createRangeJudges, type RangeSummary } from '../../store/verify-range.ts';
import { createSealer, type EventFields } from './sealed.ts';

const STREAM = { stream_id: 1, stream: 'agent/1/acme', tenant_id: 'acme' };
const EPOCH_2000_MS = 946_684_800_000;

type Columns = Map<string, Buffer | null>;

/** What PostgreSQL would send of the record. */
function columnsOf({ event, eventText, prev_hash, this_hash }: StoredRecord): Columns {
  const bigint = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(value);
    return bytes;
  };
  const time = (ms: number): Buffer => bigint((BigInt(ms) - BigInt(EPOCH_2000_MS)) * 1_000n);
  const texts = [...TEXT_COLUMNS].map(([name, of]) => {
    const text = of(event);
    return [name, text === null ? null : Buffer.from(text)] as const;
  });
  return new Map<string, Buffer | null>([
    ['seq', bigint(BigInt(event.chain.seq))],
    ['prev_hash', Buffer.from(prev_hash, 'hex')],
    ['this_hash', Buffer.from(this_hash, 'hex')],
    ['occurred_at', time(occurredAtMs(event))],
    ['received_at', time(Date.parse(event.chain.received_at))],
    ...texts,
    ['event_bytes', Buffer.from(eventText)],
  ]);
}

function encode(columns: Columns): Buffer {
  const parts: Buffer[] = [Buffer.from([0, columns.size])];
  for (const bytes of columns.values()) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(bytes?.length ?? -1);
    parts.push(length, ...(bytes === null ? [] : [bytes]));
  }
  return Buffer.concat(parts);
}

function judge(rows: readonly Columns[], isWhole = true): RangeSummary | null {
  const task = { stream: STREAM, from: 0, to: rows.length, isWhole };
  const judged = createRangeJudges(new Map())(task);
  for (const row of rows) judged.take(encode(row), 2);
  return judged.conclude();
}

function flip(bytes: Buffer, at: number): Buffer {
  const place = (at + bytes.length) % bytes.length;
  return Buffer.from(bytes.map((byte, index) => (index === place ? byte ^ 1 : byte)));
}

const seal = (fields: readonly EventFields[]): StoredRecord[] => {
  const sealer = createSealer(STREAM.stream, STREAM.tenant_id);
  return fields.map((one) => sealer.seal(one));
};

const ODD: readonly EventFields[] = [
  {},
  { resourceId: 'a "quoted" \\ id\nof two lines', actor: 'u\u00fc\u{1f600}' },
  { resourceId: 'x'.repeat(4_000) },
  { resourceId: '\u00fc'.repeat(760) },
  { time: '2026-02-28T23:59:59.999Z' },
  { time: '2024-02-29T12:00:00.000Z' },
  { time: '1999-12-31T23:59:59.999Z' },
  { time: '9999-12-31T23:59:59.999Z' },
  { time: '2026-07-01T12:00:00+02:00' },
  { time: 'no time at all' },
  { onBehalfOf: 'v-1', requestId: 'r-1', traceId: 'f'.repeat(32) },
  { metadata: { actor: { id: 'another' }, list: [{ event_id: '}]"' }, '{'] } },
];

test('rows of all kinds of events have a short form, with the genesis and the tree of them', () => {
  const records = seal(ODD);
  const said = judge(records.map(columnsOf));
  expect(said).toMatchObject({ records: ODD.length, genesis: records[0]?.eventText });
  expect(said?.run).toMatchObject({ stream: STREAM.stream, first: 0 });
  expect(said?.run?.parts.at(-1)).toMatchObject({
    end: ODD.length,
    head: records.at(-1)?.this_hash,
  });
  expect(said?.run?.parts.at(-1)?.range?.end).toBe(BigInt(ODD.length));
  expect(judge([])).toMatchObject({ run: null, records: 0 });
});

test('the hashes alone have the same run', () => {
  const rows = seal(ODD).map(columnsOf);
  const hashes = rows.map((row): Columns => new Map([...row].slice(0, 3)));
  expect(judge(hashes, false)?.run?.parts).toEqual(judge(rows)?.run?.parts);
  hashes[3]?.set('prev_hash', Buffer.alloc(32));
  expect(judge(hashes, false)).toBeNull();
  expect(judge([...hashes.slice(0, 2), ...hashes.slice(4)], false)).toBeNull();
});

test('a column that says anything else leaves no short form, nor does a row that is missing or there twice', () => {
  const rows = (): Columns[] => seal(ODD).map(columnsOf);
  for (const [at, row] of rows().entries())
    for (const [name, bytes] of row) {
      const others: (Buffer | null)[] = [
        bytes === null ? Buffer.from('x') : null,
        Buffer.concat([bytes ?? Buffer.alloc(0), Buffer.from('x')]),
        flip(bytes ?? Buffer.from('y'), 0),
        flip(bytes ?? Buffer.from('y'), -1),
      ];
      for (const other of others) {
        const changed = rows();
        changed[at]?.set(name, other);
        expect(judge(changed), `${name} of ${at}`).toBeNull();
      }
    }
  const [first = new Map(), ...rest] = rows();
  expect(judge([first, first, ...rest])).toBeNull();
  expect(judge([first, ...rest.slice(1)])).toBeNull();
  expect(judge([...rest, first])).toBeNull();
});

test('what an escape stands for is not its spelling: a column with the letters of it differs', () => {
  const [record] = seal([{ resourceId: 'a\nb' }]);
  const row = columnsOf(record!);
  expect(judge([row])).not.toBeNull();
  row.set('resource_id', Buffer.from('a\\nb'));
  expect(judge([row])).toBeNull();
});

test('an id that is too long for an index differs in its whole length', () => {
  const [record] = seal([{ resourceId: 'x'.repeat(4_000) }]);
  const row = columnsOf(record!);
  row.set('resource_id', Buffer.from('x'.repeat(4_000)));
  expect(judge([row])).toBeNull();
});

test('an event with a line end in it, made up to look like two records, has no short form', () => {
  const [one, two] = seal([{}, {}]).map(columnsOf);
  const end = `,"prev_hash":"${one!.get('prev_hash')?.toString('hex')}","this_hash":"${one!.get('this_hash')?.toString('hex')}"}\n{"event":`;
  one!.set(
    'event_bytes',
    Buffer.concat([one!.get('event_bytes')!, Buffer.from(end), two!.get('event_bytes')!]),
  );
  expect(judge([one!])).toBeNull();
});

test('whatever the texts are: a right row has a short form, and one with another text has none', () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(text, text, text, (actor, resourceId, other) => {
      const [record] = seal([{ actor, resourceId, requestId: other }]);
      const row = columnsOf(record!);
      expect(judge([row])).not.toBeNull();
      row.set('actor_id', Buffer.from(other));
      expect(judge([row]) === null).toBe(other !== actor);
    }),
    { numRuns: 300 },
  );
});
