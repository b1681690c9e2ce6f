import * as fc from 'fast-check';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { hashRecordLeaf } from '../../../ledger/merkle/hash.ts';
import { createRange, type RangeBuilder } from '../../../ledger/merkle/range.ts';
import type { Known, KnownCheckpoint, KnownReceipt } from '../../../ledger/verify/known.ts';
import type { SealedRecord } from '../../../schemas/record.ts';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { makeEvent } from '../../support/events.ts';
import { makeMemoryDir, openTestLedger } from '../../support/ledger.ts';

/** Segments of a ledger with records of several streams and producers, texts of all kinds. */
const intact = new Map<string, Buffer>();

/** Roots of each stream at some sizes, and a receipt. */
let known: Known;

async function knowOf(dir: string): Promise<Known> {
  const streams = new Map<
    string,
    { checkpoints: KnownCheckpoint[]; receipts: KnownReceipt[]; anchoring: null }
  >();
  const trees = new Map<string, RangeBuilder>();
  for (const name of (await readdir(dir)).filter((one) => one.endsWith('.ndjson')).sort())
    for (const line of (await readFile(join(dir, name), 'utf8')).split('\n').slice(0, -1)) {
      const { event, this_hash } = JSON.parse(line) as SealedRecord;
      const { stream, seq } = event.chain;
      const tree = trees.get(stream) ?? createRange();
      trees.set(stream, tree);
      tree.append(hashRecordLeaf(this_hash));
      const of = streams.get(stream) ?? { checkpoints: [], receipts: [], anchoring: null };
      streams.set(stream, of);
      if (seq % 9 === 4)
        of.checkpoints.push({
          origin: stream,
          size: tree.end(),
          root: tree.root(),
          note: '',
          isSigned: true,
        });
      if (seq === 20) of.receipts.push({ seq, this_hash });
    }
  const nothing = {
    findings: [],
    notes: [],
    judge: () => null,
    readBase: () => Promise.resolve(null),
  };
  return { streams, isJudged: true, isAnchorAsked: false, ...nothing };
}

beforeAll(async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  const texts = ['plain', 'quote " and \\', 'ä€😀', '\u0001', ''];
  for (let n = 0; n < 120; n++) {
    const metadata = { n, text: texts[n % texts.length] ?? '', share: n / 7 };
    const tenant_id = ['acme', 'other', 'third'][n % 3] ?? '';
    if (n % 45 === 44) await ledger.cut();
    await ledger.commit([makeEvent({ metadata, resource: { type: 'r', id: `${n}`, tenant_id } })]);
  }
  await ledger.writer.close();
  known = await knowOf(temp.path);
  for (const name of await readdir(temp.path))
    intact.set(name, await readFile(join(temp.path, name)));
});

async function verifyBoth(files: ReadonlyMap<string, Buffer>, chunkBytes: number, of = known) {
  await using temp = await makeMemoryDir();
  for (const [name, bytes] of files) await writeFile(join(temp.path, name), bytes);
  // Of a file system that is not node's nothing is summed up.
  const oneByOne = await verifyLedger(temp.path, {
    ...{ known: of, filesystem: { ...nodeFilesystem } },
  });
  const summedUp = await verifyLedger(temp.path, { known: of, chunkBytes });
  return { oneByOne, summedUp };
}

const segmentNames = (): string[] =>
  [...intact.keys()].filter((name) => name.endsWith('.ndjson')).sort();

describe('judged by the chunk or record by record', () => {
  test('the untouched ledger is intact, to the same sizes and heads', async () => {
    expect(segmentNames().length).toBeGreaterThan(2);
    for (const chunkBytes of [1, 700, 5_000, 1 << 20]) {
      const { oneByOne, summedUp } = await verifyBoth(intact, chunkBytes);
      expect(oneByOne).toMatchObject({ verdict: 'intact', findings: [] });
      expect(summedUp).toEqual(oneByOne);
    }
  });

  test('a root that differs in the middle of a chunk is told at the same line', async () => {
    const [stream = '', said] = [...known.streams][0] ?? [];
    const checkpoints = (said?.checkpoints ?? []).map((one, at) =>
      at === 1 ? { ...one, root: Buffer.alloc(32) } : one,
    );
    const streams = new Map(known.streams).set(stream, { ...said!, checkpoints });
    for (const chunkBytes of [700, 1 << 20]) {
      const { oneByOne, summedUp } = await verifyBoth(intact, chunkBytes, { ...known, streams });
      expect(oneByOne.findings).toMatchObject([{ kind: 'rewritten', stream }]);
      expect(summedUp).toEqual(oneByOne);
    }
  });

  test('whatever is done to the files, the findings are the same', async () => {
    type Lines = string[];
    const at = fc.nat();
    const change: fc.Arbitrary<(lines: Lines) => Lines> = fc.oneof(
      at.map((n) => (lines: Lines) => lines.toSpliced(n % lines.length, 1)),
      fc.tuple(at, at).map(([n, to]) => (lines: Lines) => {
        const [moved = ''] = lines.slice(n % lines.length);
        return lines.toSpliced(n % lines.length, 1).toSpliced(to % lines.length, 0, moved);
      }),
      fc.tuple(at, at).map(
        ([n, to]) =>
          (lines: Lines) =>
            lines.toSpliced(to % lines.length, 0, lines[n % lines.length] ?? ''),
      ),
      fc.tuple(at, at, fc.constantFrom('0', '9', 'a', '"', ' ', '\ufffd')).map(
        ([n, where, text]) =>
          (lines: Lines) =>
            lines.map((line, index) => {
              if (index !== n % lines.length) return line;
              const place = where % line.length;
              return line.slice(0, place) + text + line.slice(place + 1);
            }),
      ),
      at.map((n) => (lines: Lines) => lines.slice(0, n % lines.length)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(at, change), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(600, 3_000, 20_000, 1 << 20),
        async (changes, chunkBytes) => {
          const files = new Map(intact);
          for (const [n, apply] of changes) {
            const names = segmentNames();
            const name = names[n % names.length] ?? '';
            const lines = (files.get(name) ?? Buffer.alloc(0))
              .toString('utf8')
              .split('\n')
              .slice(0, -1);
            if (lines.length > 0)
              files.set(
                name,
                Buffer.from(
                  apply(lines)
                    .map((line) => `${line}\n`)
                    .join(''),
                ),
              );
          }
          const { oneByOne, summedUp } = await verifyBoth(files, chunkBytes);
          expect(summedUp).toEqual(oneByOne);
        },
      ),
      { numRuns: 150 },
    );
  });
});
