/** The check of one stream: what it proves up to a break, and that hostile numbers cost it nothing. */
import { expect, test } from 'vitest';
import { chainHash, GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import { rehash } from '../../ledger/content-check.ts';
import { createStreamCheck, FINDINGS_LISTED_MAX } from '../../ledger/stream-check.ts';
import { cpuMs } from '../support/cpu.ts';

interface Link {
  readonly seq: number;
  readonly eventText: string;
  readonly prev_hash: ReturnType<typeof chainHash>;
  readonly this_hash: ReturnType<typeof chainHash>;
}

/** A genuine chain: record n says {"n":n}. */
function makeChain(length: number): Link[] {
  const links: Link[] = [];
  let prev_hash = GENESIS_PREV_HASH;
  for (let seq = 0; seq < length; seq++) {
    const eventText = `{"n":${seq}}`;
    const this_hash = chainHash(rehash(prev_hash, eventText));
    links.push({ seq, eventText, prev_hash, this_hash });
    prev_hash = this_hash;
  }
  return links;
}

function check(links: readonly Link[]) {
  const stream = createStreamCheck('s');
  links.forEach((link, index) => stream.take(link.seq, link, { segment: 'f', line: index + 1 }));
  return {
    ...stream.summary(),
    kinds: stream.findings().map(({ kind, seq, line }) => [kind, seq, line]),
  };
}

const chain = makeChain(10);

test('an untouched chain is proven to its end, an empty one to nothing', () => {
  expect(check(chain)).toMatchObject({ verified_to: 9, unproven: 0, findings: 0, kinds: [] });
  expect(check([])).toMatchObject({ verified_to: null, unproven: 0, findings: 0 });
});

test('every record from the broken one on is unproven, wherever it stands', () => {
  for (let broken = 0; broken < chain.length; broken++) {
    const links = chain.with(broken, { ...chain[broken]!, eventText: '{"n":"changed"}' });
    expect(check(links)).toMatchObject({
      verified_to: broken === 0 ? null : broken - 1,
      unproven: chain.length - broken,
      kinds: [['modified', broken, broken + 1]],
    });
  }
});

test('a record that claims the number before it leaves both unproven until the end', () => {
  const text = '{"n":"forged"}';
  const { prev_hash } = chain[6]!;
  const forged = { ...chain[6]!, eventText: text, this_hash: chainHash(rehash(prev_hash, text)) };
  expect(check(chain.toSpliced(7, 0, forged))).toMatchObject({ verified_to: 5, unproven: 5 });
  expect(check(chain.toSpliced(6, 0, forged))).toMatchObject({ verified_to: 5, unproven: 5 });
});

test('of several missing records that turn up later, those that do not are still missed', () => {
  const [a, b, c] = [chain[3]!, chain[4]!, chain[5]!];
  const without = chain.toSpliced(3, 3);
  expect(check([...without, b]).kinds).toEqual([
    ['deleted', 6, 4],
    ['reordered', 4, 8],
  ]);
  expect(check([...without, c, a, b])).toMatchObject({
    kinds: [
      ['reordered', 6, 4],
      ['reordered', 5, 8],
      ['reordered', 3, 9],
      ['reordered', 4, 10],
    ],
    verified_to: 2,
    findings: 4,
  });
  expect(check([...without, a, a]).kinds.at(-1)).toEqual(['inserted', 3, 9]);
});

test('a number far off costs neither time nor memory', () => {
  const far = { ...chain[9]!, seq: Number.MAX_SAFE_INTEGER };
  expect(check([...chain.slice(0, 9), far])).toMatchObject({ verified_to: 8, findings: 1 });
});

test('a stream turned inside out is judged in linear time, its findings counted and capped', () => {
  const long = makeChain(100_000);
  const odd = long.filter(({ seq }) => seq % 2 === 1);
  const even = long.filter(({ seq }) => seq % 2 === 0);
  const tookMs = cpuMs();
  const result = check([...odd, ...even]);
  expect(result).toMatchObject({ verified_to: null, unproven: 100_000, findings: 100_000 });
  expect(result.kinds).toHaveLength(FINDINGS_LISTED_MAX);
  expect(tookMs()).toBeLessThan(20_000);
});
