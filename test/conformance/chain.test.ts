import { expect, test } from 'vitest';
import { chainHash } from '../../schemas/brand.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { hashRecord } from '../../ledger/chain.ts';
import { hashRecordLeaf } from '../../ledger/merkle/hash.ts';
import { createRange } from '../../ledger/merkle/range.ts';
import { createTreeCheck } from '../../ledger/merkle/tree-check.ts';
import { createStreamCheck } from '../../ledger/stream-check.ts';
import { describeShared, readShared } from '../support/shared.ts';

interface Case {
  readonly name: string;
  readonly records: readonly { event: { seq: number }; prev_hash: string; this_hash: string }[];
  readonly expect: 'ok' | 'broken';
  readonly first_broken_index?: number;
  readonly kind?: string;
  readonly checkpoint?: { readonly size: number; readonly head_hash: string };
}

describeShared('chain vectors', () => {
  const { cases } = JSON.parse(readShared('vectors/chain/chains.json')) as { cases: Case[] };

  test.each(cases)('$name', (vector) => {
    const check = createStreamCheck('vector');
    for (const [index, record] of vector.records.entries()) {
      check.take(
        record.event.seq,
        {
          eventText: canonicalize(record.event),
          prev_hash: chainHash(record.prev_hash),
          this_hash: chainHash(record.this_hash),
        },
        { segment: '', line: index },
      );
    }
    const [first] = check.findings();
    if (vector.expect === 'ok') {
      expect(first).toBeUndefined();
      return;
    }
    if (vector.kind === 'truncated') {
      // Nothing inside a cut chain shows the cut: it takes a trusted size.
      expect(first).toBeUndefined();
      expect(check.summary().next_seq).toBe(vector.first_broken_index);
      expect(check.summary().next_seq).toBeLessThan(vector.checkpoint?.size ?? 0);
      return;
    }
    expect(first?.line).toBe(vector.first_broken_index);
    const kinds: Record<string, readonly string[]> = {
      'hash-mismatch': ['modified'],
      'link-mismatch': ['modified', 'deleted', 'reordered'],
      genesis: ['deleted'],
    };
    expect(kinds[vector.kind ?? '']).toContain(first?.kind);
  });

  test('a trusted checkpoint shows a cut tail and a history sealed again, and passes the good chain', () => {
    const recordsOf = (name: string): Case['records'] =>
      cases.find((vector) => vector.name === name)?.records ?? [];
    const good = recordsOf('good');
    const range = createRange();
    for (const { this_hash } of good) range.append(hashRecordLeaf(chainHash(this_hash)));
    const trusted = [
      { origin: 'vector', size: 0n, root: createRange().root() },
      { origin: 'vector', size: range.end(), root: range.root() },
    ];
    const verdict = (name: string): unknown => {
      const check = createTreeCheck(trusted);
      for (const { this_hash } of recordsOf(name)) check.take(chainHash(this_hash));
      return check.conclude();
    };
    // The published checkpoint is of this chain: same size, same head.
    const { checkpoint } = cases.find(({ name }) => name === 'truncated-tail') ?? {};
    expect(checkpoint).toEqual({ size: good.length, head_hash: good.at(-1)?.this_hash });
    expect(verdict('good')).toEqual({ kind: 'ok', verifiedTo: 12n });
    expect(verdict('truncated-tail')).toEqual({
      kind: 'truncated',
      size: 9n,
      trusted: 12n,
      verifiedTo: 0n,
    });
    for (const name of ['modified-and-rehashed', 'reordered'])
      expect(verdict(name)).toEqual({ kind: 'root_differs', trusted: 12n, verifiedTo: 0n });
    // Its stated hashes are untouched: that the event does not have them is what the chain shows.
    expect(verdict('modified-event')).toEqual({ kind: 'ok', verifiedTo: 12n });
    for (const name of ['deleted', 'deleted-genesis'])
      expect(verdict(name)).toEqual({ kind: 'truncated', size: 11n, trusted: 12n, verifiedTo: 0n });
  });

  test('the sealing hasher and the verifying one agree with every good record', () => {
    for (const record of cases.find(({ name }) => name === 'good')?.records ?? []) {
      expect(hashRecord(chainHash(record.prev_hash), canonicalize(record.event))).toBe(
        record.this_hash,
      );
    }
  });
});
