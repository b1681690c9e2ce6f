/**
 * False positives, kind by kind: ids that systems use every day, generated from a seed, alone, in a
 * sentence, in a path and as a member's name. Each kind is touched less than once in a thousand; the rates
 * are printed. The one kind that cannot be told from cards has a bound of its own.
 */
import { expect, test } from 'vitest';
import type { Json } from '../../schemas/event.ts';
import { eventWith, redactor } from './support.ts';

const IDS_PER_KIND = 1_500;
const RATE_MAX = 0.001;

/** Random text of an alphabet, and random integers; the same for the same seed. */
interface Random {
  text(length: number, alphabet?: string): string;
  below(limit: number): number;
}

function createRandom(seed: number): Random {
  let state = seed;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    below,
    text: (length, alphabet = '0123456789') =>
      Array.from({ length }, () => alphabet.charAt(below(alphabet.length))).join(''),
  };
}

const HEX = '0123456789abcdef';
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const ALPHANUMERIC = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

const oneOf = (random: Random, ...texts: readonly string[]): string =>
  texts[random.below(texts.length)] ?? '';
/** Between 2015 and 2033. */
const moment = (random: Random): number => 1.42e12 + random.below(5.8e11);
const stamp = (random: Random): string =>
  new Date(moment(random)).toISOString().replace(/\D/g, '').slice(0, 14);
const uuid = (random: Random, version: string, start = random.text(12, HEX)): string =>
  [
    start.slice(0, 8),
    start.slice(8),
    version + random.text(3, HEX),
    random.text(1, '89ab') + random.text(3, HEX),
    random.text(12, HEX),
  ].join('-');

const KINDS: Readonly<Record<string, (random: Random) => string>> = {
  ULID: (random) => `01${random.text(1, 'HJK')}${random.text(23, CROCKFORD)}`,
  'UUID v1': (random) => uuid(random, '1'),
  'UUID v4': (random) => uuid(random, '4'),
  'UUID v7': (random) => uuid(random, '7', moment(random).toString(16).padStart(12, '0')),
  'order number': (random) =>
    oneOf(
      random,
      random.text(6 + random.below(6)),
      `ORD-${random.text(8)}`,
      `INV-2026-${random.text(6)}`,
      `PO${random.text(10)}`,
      `${stamp(random).slice(0, 8)}-${random.text(5)}`,
      stamp(random) + random.text(2),
      `11${random.text(1)}-${random.text(7)}-${random.text(7)}`,
      `#${random.text(4)}`,
    ),
  timestamp: (random) => {
    const iso = new Date(moment(random)).toISOString();
    const seconds = iso.slice(0, 19);
    return oneOf(random, iso, seconds.replace('T', ' '), `${seconds}+02:00`, iso.slice(0, 10));
  },
  'epoch ms': (random) => String(moment(random)),
  'epoch s, µs or ns': (random) =>
    oneOf(
      random,
      String(moment(random)).slice(0, 10),
      String(moment(random)) + random.text(3),
      String(moment(random)) + random.text(6),
    ),
  'trace id': (random) => random.text(32, HEX),
  'span id': (random) => random.text(16, HEX),
  traceparent: (random) => `00-${random.text(32, HEX)}-${random.text(16, HEX)}-01`,
  'phone-like internal number': (random) =>
    oneOf(
      random,
      `ext. ${random.text(4)}`,
      `+1 ${random.text(3)} ${random.text(3)} ${random.text(4)}`,
      `+49 151 ${random.text(8)}`,
      `+49151${random.text(8)}`,
      `(${random.text(3)}) ${random.text(3)}-${random.text(4)}`,
      `0${random.text(3)}/${random.text(7)}`,
      `0044 20 ${random.text(4)} ${random.text(4)}`,
      `x${random.text(3)}-${random.text(4)}`,
    ),
  'git hash': (random) => random.text(oneOf(random, '7', '40') === '7' ? 7 : 40, HEX),
  'SHA-256': (random) => random.text(64, HEX),
  'IP address': (random) => {
    const octet = (): number => random.below(256);
    const v4 = `${octet()}.${octet()}.${octet()}.${octet()}`;
    const group = (): string => random.below(65536).toString(16);
    const v6 = Array.from({ length: 8 }, group).join(':');
    return oneOf(random, v4, `${v4}:${random.below(65536)}`, `${v4}/24`, v6, `[${v6}]:443`);
  },
  version: (random) => {
    const part = (): number => random.below(200);
    const core = `${part()}.${part()}.${part()}`;
    const build = `2026.${random.below(13)}.${random.below(29)}`;
    return oneOf(random, core, `v${core}-rc.${part()}`, `${core}+${random.text(8)}`, build);
  },
  'snowflake id': (random) => `1${random.text(17 + random.below(2))}`,
  'object id': (random) => random.text(24, HEX),
  'random id': (random) =>
    oneOf(random, random.text(21, ALPHANUMERIC), `cus_${random.text(14, ALPHANUMERIC)}`),
};

const FORMS: readonly ((id: string) => { readonly [name: string]: Json })[] = [
  (id) => ({ value: id }),
  (id) => ({ text: `the job ${id} was retried by an operator` }),
  (id) => ({ path: `/api/v1/things/${id}?page=2` }),
  (id) => ({ [id]: 1 }),
];

/** How many of the ids are touched, by form. */
function touchedOf(make: (random: Random) => string, seed: number): number[] {
  const random = createRandom(seed);
  const touched = FORMS.map(() => 0);
  for (let count = 0; count < IDS_PER_KIND; count++) {
    const id = make(random);
    FORMS.forEach((form, index) => {
      const event = eventWith(form(id));
      if (redactor.redactEvent(event) !== event) touched[index] = (touched[index] ?? 0) + 1;
    });
  }
  return touched;
}

const percent = (rate: number): string => `${(rate * 100).toFixed(3)} %`;
const sum = (counts: readonly number[]): number => counts.reduce((all, one) => all + one, 0);

test('each kind of ordinary id is touched less than once in a thousand', () => {
  const total = IDS_PER_KIND * FORMS.length;
  const rates = Object.entries(KINDS).map(([kind, make], index) => {
    const touched = touchedOf(make, 20260101 + index);
    return { kind, rate: sum(touched) / total, touched };
  });
  const lines = rates.map(
    ({ kind, rate, touched }) => `${kind.padEnd(28)}${percent(rate)}  (${touched.join(' ')})`,
  );
  process.stdout.write(
    `False positives of ${IDS_PER_KIND} ids each, alone, in text, path, name:\n${lines.join('\n')}\n`,
  );
  expect(rates.filter(({ rate }) => rate >= RATE_MAX)).toEqual([]);
});

test('a number of 16 random digits, which may be a card, is taken for one less than once in 25', () => {
  const touched = touchedOf((random) => random.text(16), 20260102)[0] ?? 0;
  process.stdout.write(`16 random digits, alone: ${percent(touched / IDS_PER_KIND)}\n`);
  expect(touched).toBeGreaterThan(0);
  expect(touched / IDS_PER_KIND).toBeLessThan(1 / 25);
});
