/** The gateway's judgement of a record's place: whatever the order, whatever is sent again, whoever forges. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { linkRecords, type Held } from '../../../agent/gateway/link.ts';
import { chainHash, GENESIS_PREV_HASH, type ChainHash } from '../../../schemas/brand.ts';
import type { StoredRecord } from '../../../store/store.ts';
import { createSealer } from '../../store/sealed.ts';

/** A store in memory that refuses whatever does not stand behind its predecessor. */
function createShelf(): Held & {
  put(record: StoredRecord): void;
  readonly records: StoredRecord[];
} {
  const byPlace = new Map<string, StoredRecord>();
  const tenants = new Map<string, string>();
  const records: StoredRecord[] = [];
  return {
    records,
    put: (record) => {
      const { stream, seq } = record.event.chain;
      const before = byPlace.get(`${stream} ${seq - 1}`)?.this_hash ?? GENESIS_PREV_HASH;
      expect(byPlace.has(`${stream} ${seq}`), 'stored twice').toBe(false);
      expect(seq === 0 || byPlace.has(`${stream} ${seq - 1}`), 'stored early').toBe(true);
      expect(record.prev_hash).toBe(before);
      byPlace.set(`${stream} ${seq}`, record);
      tenants.set(stream, record.event.resource.tenant_id);
      records.push(record);
    },
    hashAt: (stream, seq) => byPlace.get(`${stream} ${seq}`)?.this_hash,
    linkAt: (stream, seq) => byPlace.get(`${stream} ${seq}`)?.prev_hash,
    tenantOf: (stream) => tenants.get(stream),
  };
}

/** Hands out batches until nothing is early any more; early ones come again, at the end. */
function run(
  shelf: ReturnType<typeof createShelf>,
  sent: readonly StoredRecord[],
  size: number,
): string[] {
  const kinds: string[] = [];
  let queue = [...sent];
  for (let round = 0; queue.length > 0 && round < 1_000; round++) {
    const batch = queue.slice(0, size);
    queue = queue.slice(size);
    const { verdicts, order } = linkRecords(batch, shelf);
    for (const index of order) shelf.put(batch[index]!);
    for (const [index, verdict] of verdicts.entries()) {
      if (verdict.kind === 'early') queue.push(batch[index]!);
      else kinds.push(verdict.kind);
    }
  }
  return kinds;
}

const chainOf = (count: number, tenant = 'acme'): StoredRecord[] => {
  const sealer = createSealer(undefined, tenant);
  return Array.from({ length: count }, () => sealer.seal());
};

test('in any order, with any repetition, in batches of any size: each record once, in its place', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 9 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
      (lengths, size, random) => {
        const next = (): number => random.next().value ?? 0;
        const genuine = lengths.flatMap((length) => chainOf(length));
        const again = genuine.filter(() => next() < 0.4);
        const sent = [...genuine, ...again]
          .map((record) => ({ record, at: next() }))
          .sort((one, other) => one.at - other.at)
          .map(({ record }) => record);
        const shelf = createShelf();
        const kinds = run(shelf, sent, size);
        expect(new Set(shelf.records)).toEqual(new Set(genuine));
        expect(shelf.records).toHaveLength(genuine.length);
        expect(kinds).toHaveLength(sent.length);
        expect(kinds.filter((kind) => kind === 'refused')).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
});

test('forgeries among the records of any order displace none that is stored, and stand behind no other', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 10 }),
      fc.integer({ min: 1, max: 6 }),
      fc.nat(),
      (length, size, pick) => {
        const genuine = chainOf(length);
        const shelf = createShelf();
        const seq = pick % length;
        for (const record of genuine.slice(0, seq + 1)) shelf.put(record);
        const original = genuine[seq]!;
        const forged = { ...original, this_hash: chainHash('f'.repeat(64)) };
        const kinds = run(shelf, [forged, ...genuine], size);
        expect(kinds.filter((kind) => kind === 'refused')).toHaveLength(1);
        expect(shelf.records.map(({ this_hash }) => this_hash)).toEqual(
          genuine.map(({ this_hash }) => this_hash),
        );
      },
    ),
  );
});

describe('one record', () => {
  const [first, second, third] = chainOf(3) as [StoredRecord, StoredRecord, StoredRecord];
  const holding = (...records: StoredRecord[]): Held => {
    const shelf = createShelf();
    for (const record of records) shelf.put(record);
    return shelf;
  };
  const judge = (record: StoredRecord, held: Held): object =>
    linkRecords([record], held).verdicts[0]!;
  const withLink = (record: StoredRecord, prev_hash: ChainHash): StoredRecord => ({
    ...record,
    prev_hash,
  });

  test('behind its predecessor is stored, and stored already is confirmed', () => {
    expect(judge(first, holding())).toEqual({ kind: 'store' });
    expect(judge(second, holding(first))).toEqual({ kind: 'store' });
    expect(judge(second, holding(first, second))).toEqual({ kind: 'repeated' });
  });

  test('before its predecessor is held, and says what is missing', () => {
    expect(judge(third, holding(first))).toEqual({ kind: 'early', missing: 1 });
    expect(judge(second, holding())).toEqual({ kind: 'early', missing: 0 });
  });

  test('with another hash at a taken place is a fork', () => {
    const forged = { ...second, this_hash: chainHash('e'.repeat(64)) };
    expect(judge(forged, holding(first, second))).toMatchObject({ refused: { kind: 'fork' } });
  });

  test('that links to another record than the one before it is broken', () => {
    const wrong = withLink(second, chainHash('d'.repeat(64)));
    expect(judge(wrong, holding(first))).toMatchObject({ refused: { kind: 'link_broken' } });
    const noGenesis = withLink(first, chainHash('d'.repeat(64)));
    expect(judge(noGenesis, holding())).toMatchObject({ refused: { kind: 'link_broken' } });
  });

  test('in a hole of the store must be the one that its successor links to', () => {
    const hole: Held = {
      hashAt: (_, seq) => ({ 0: first.this_hash, 2: third.this_hash })[seq],
      linkAt: (_, seq) => (seq === 2 ? third.prev_hash : undefined),
      tenantOf: () => 'acme',
    };
    expect(judge(second, hole)).toEqual({ kind: 'store' });
    const forged = { ...second, this_hash: chainHash('c'.repeat(64)) };
    expect(judge(forged, hole)).toMatchObject({ refused: { kind: 'link_broken' } });
  });

  test('of another tenant than its stream is refused', () => {
    const { event } = second;
    const moved = {
      ...second,
      event: { ...event, resource: { ...event.resource, tenant_id: 'globex' } },
    };
    expect(judge(moved, holding(first))).toMatchObject({ refused: { kind: 'tenant_differs' } });
  });
});
