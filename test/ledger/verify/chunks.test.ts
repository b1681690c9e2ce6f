import * as fc from 'fast-check';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { nodeFilesystem } from '../../../ledger/filesystem.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import { makeEvent } from '../../support/events.ts';
import { makeMemoryDir, openTestLedger } from '../../support/ledger.ts';

/** Segments of a ledger with records of several streams and producers, texts of all kinds. */
const intact = new Map<string, Buffer>();

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
  for (const name of await readdir(temp.path))
    intact.set(name, await readFile(join(temp.path, name)));
});

async function verifyBoth(files: ReadonlyMap<string, Buffer>, chunkBytes: number) {
  await using temp = await makeMemoryDir();
  for (const [name, bytes] of files) await writeFile(join(temp.path, name), bytes);
  // Of a file system that is not node's nothing is summed up.
  const oneByOne = await verifyLedger(temp.path, { filesystem: { ...nodeFilesystem } });
  const summedUp = await verifyLedger(temp.path, { chunkBytes });
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
