import { expect, test } from 'vitest';
import { createSeenHashes, findDoubt, type Witness } from '../../../agent/append/continuity.ts';
import { emptyState, type LedgerState } from '../../../ledger/state.ts';
import { chainHash } from '../../../schemas/brand.ts';

const hash = (digit: string) => chainHash(digit.repeat(64));
const nameOf = (incarnation: string, tenant: string): string =>
  `sealtrail/test/${incarnation}/${tenant}/standard`;

/** Two incarnations, the second in force: its stream of acme has seq 0 to 9, of globex 0 to 4. */
function ledger(): LedgerState {
  const state = emptyState();
  const head = (tenant: string, next_seq: number, digit: string) => ({
    tenant,
    next_seq,
    head_hash: hash(digit),
    received_at: '2026-03-01T09:00:00.000Z',
  });
  state.streams.set(nameOf('old', 'acme'), head('acme', 5, '1'));
  state.streams.set(nameOf('new', 'acme'), head('acme', 10, '2'));
  state.streams.set(nameOf('new', 'globex'), head('globex', 5, '3'));
  state.records = 20;
  return state;
}

const witness = (stream: string, next_seq: number, digit: string): Witness => ({
  source: 'postgresql',
  heads: [{ stream, next_seq, head_hash: hash(digit) }],
  records: 0,
  incarnation: null,
});

function doubt(one: Witness, state: LedgerState = ledger()): string | null {
  const seen = createSeenHashes([one]);
  // What the ledger has at seq 6 of acme.
  seen.take(nameOf('new', 'acme'), 6, hash('7'));
  return findDoubt(state, seen, [one]);
}

test('a witness that is level, or behind with the same records, leaves no doubt', () => {
  expect(findDoubt(ledger(), createSeenHashes([]), [])).toBe(null);
  expect(doubt(witness(nameOf('new', 'acme'), 10, '2'))).toBe(null);
  expect(doubt(witness(nameOf('new', 'acme'), 7, '7'))).toBe(null);
  // The record it knows was not read: that is no reason to doubt.
  expect(doubt(witness(nameOf('new', 'acme'), 3, '9'))).toBe(null);
  expect(doubt({ source: 'cursor', heads: [], records: 20, incarnation: 'new' })).toBe(null);
});

test('a witness that has more, or another record at the same place, is a rollback', () => {
  expect(doubt(witness(nameOf('new', 'acme'), 11, '8'))).toMatch(
    /^rollback: stream .* ends before seq 10 here, postgresql has it up to seq 10$/,
  );
  expect(doubt(witness(nameOf('new', 'acme'), 10, '8'))).toMatch(/seq 9 .* is another record/);
  expect(doubt(witness(nameOf('new', 'acme'), 7, '8'))).toMatch(/seq 6 .* is another record/);
  expect(doubt(witness(nameOf('new', 'initech'), 1, '8'))).toMatch(/up to seq 0$/);
  expect(doubt({ source: 'the cursor of x', heads: [], records: 21, incarnation: null })).toBe(
    'rollback: the ledger holds 20 records, the cursor of x knows of 21',
  );
  expect(doubt({ source: 'head', heads: [], records: 0, incarnation: 'newer' })).toMatch(/newer/);
});

test('an empty ledger is a rollback for who knew more of it, and a first start for all others', () => {
  expect(doubt(witness(nameOf('new', 'acme'), 11, '8'), emptyState())).toBe(null);
  const file = { source: 'ledger.head_file', heads: [], records: 3, incarnation: 'new' };
  expect(doubt(file, emptyState())).toMatch(/holds 0 records/);
});

test('what was lost of an incarnation that ended is told once, not at each start', () => {
  expect(doubt(witness(nameOf('old', 'acme'), 9, '8'))).toBe(null);
});
