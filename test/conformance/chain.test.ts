import { expect, test } from 'vitest';
import { chainHash } from '../../schemas/brand.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import { hashRecord } from '../../ledger/chain.ts';
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

  test('the sealing hasher and the verifying one agree with every good record', () => {
    for (const record of cases.find(({ name }) => name === 'good')?.records ?? []) {
      expect(hashRecord(chainHash(record.prev_hash), canonicalize(record.event))).toBe(
        record.this_hash,
      );
    }
  });
});
