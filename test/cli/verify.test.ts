/** `sealtrail verify` as an auditor runs it: on a folder, by exit code, text and JSON. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { formatRecord, splitRecord } from '../../ledger/frame.ts';
import { segmentName } from '../../ledger/segment.ts';
import { rehash } from '../../ledger/content-check.ts';
import type { Verification } from '../../ledger/verify.ts';
import { chainHash } from '../../schemas/brand.ts';
import { runCli, type Ran } from '../support/agent-process.ts';
import { makeEvent } from '../support/events.ts';
import { makeTempDir, openTestLedger } from '../support/ledger.ts';

/** Lines of two segments: a genesis and nine events of one stream, cut after the fifth. */
let segments: readonly (readonly string[])[] = [];
let stream = '';

beforeAll(async () => {
  await using temp = await makeTempDir();
  const ledger = await openTestLedger(temp.path);
  const texts: string[] = [];
  for (let n = 0; n < 9; n++) {
    const receipts = await ledger.commit([makeEvent({ metadata: { amount: n, note: 'paid' } })]);
    stream = typeof receipts === 'string' ? '' : receipts[0]!.stream;
    if (n !== 4) continue;
    texts.push(await readFile(join(temp.path, segmentName(0)), 'utf8'));
    await ledger.cut();
  }
  const { segment } = ledger.writer.position();
  await ledger.writer.close();
  texts.push(await readFile(join(temp.path, segmentName(segment)), 'utf8'));
  segments = texts.map((text) => text.split('\n').slice(0, -1));
});

/** Verifies these segments, laid out as an agent's data directory. */
async function verify(
  changed: readonly (readonly string[])[],
  options: readonly string[] = [],
): Promise<Ran> {
  await using temp = await makeTempDir();
  await mkdir(join(temp.path, 'ledger'));
  let first = 0;
  for (const [index, lines] of changed.entries()) {
    const path = join(temp.path, 'ledger', segmentName(first));
    await writeFile(path, lines.map((line) => `${line}\n`).join(''));
    // Where the next segment begins was decided before anybody tampered.
    first += segments[index]!.length;
  }
  return await runCli(['verify', temp.path, ...options]);
}

/** A record changed, and hashed again. */
function forge(line: string, from: string, to: string): string {
  const parts = splitRecord(line);
  if (parts === null) throw new Error('no record');
  const text = parts.eventText.replace(from, to);
  const hash = chainHash(rehash(parts.prev_hash, text));
  return formatRecord(text, parts.prev_hash, hash).slice(0, -1);
}

/** The segments with the lines of the first one changed. */
const withFirst = (
  change: (lines: string[]) => readonly string[],
): readonly (readonly string[])[] => [change([...segments[0]!]), ...segments.slice(1)];

test('an untouched ledger is intact: exit 0, and it says to which record and what it does not prove', async () => {
  const ran = await verify(segments);
  expect(ran.code).toBe(0);
  expect(ran.stdout).toMatch(/verified to seq 9, head [0-9a-f]{16}/);
  expect(ran.stdout).toMatch(/^intact: 10 records, 2 segments, \d+ bytes$/m);
  expect(ran.stderr).toBe('');

  const json = await verify(segments, ['--json']);
  expect(json.code).toBe(0);
  expect(JSON.parse(json.stdout)).toMatchObject({ verdict: 'intact', records: 10, findings: [] });
});

describe('tampering flips the exit code to 1 and names stream, seq, segment, line and kind', () => {
  const swap = (lines: string[], one: number): string[] => {
    [lines[one], lines[one + 1]] = [lines[one + 1]!, lines[one]!];
    return lines;
  };
  test.each<
    [
      name: string,
      change: (lines: string[]) => readonly string[],
      kind: string,
      seq: number,
      line: number,
    ]
  >([
    [
      'one byte modified',
      (lines) => lines.with(3, lines[3]!.replace('"paid"', '"pald"')),
      'modified',
      3,
      4,
    ],
    [
      'one byte of a hash modified',
      (lines) =>
        lines.with(
          3,
          lines[3]!.replace(/.(?="}$)/, (hex) => (hex === '0' ? '1' : '0')),
        ),
      'modified',
      3,
      4,
    ],
    ['a record deleted', (lines) => lines.toSpliced(2, 1), 'deleted', 3, 3],
    [
      'a record inserted',
      (lines) => lines.toSpliced(4, 0, forge(lines[3]!, '"amount":2', '"amount":7')),
      'inserted',
      3,
      5,
    ],
    ['two records reordered', (lines) => swap(lines, 3), 'reordered', 3, 5],
    [
      'a key duplicated',
      (lines) => lines.with(3, lines[3]!.replace('"note":"paid"', '"note":"paid","note":"paid"')),
      'modified',
      3,
      4,
    ],
    [
      'white space added',
      (lines) => lines.with(3, lines[3]!.replace('"amount":2', '"amount": 2')),
      'modified',
      3,
      4,
    ],
    ['a line emptied', (lines) => lines.with(3, '{}'), 'malformed', -1, 4],
  ])('%s', async (_, change, kind, seq, line) => {
    const tampered = withFirst(change);
    const json = await verify(tampered, ['--json']);
    expect(json.code).toBe(1);
    const { verdict, findings } = JSON.parse(json.stdout) as Verification;
    expect(verdict).toBe('broken');
    const where = { segment: segmentName(0), line };
    expect(findings).toContainEqual(
      expect.objectContaining(seq < 0 ? { kind, ...where } : { kind, stream, seq, ...where }),
    );

    const text = await verify(tampered);
    expect(text.code).toBe(1);
    const named = seq < 0 ? '' : ` stream ${stream} seq ${seq}`;
    expect(text.stdout).toContain(`BROKEN  ${kind}  ${segmentName(0)}:${line}${named}`);
    expect(text.stdout).toMatch(/^BROKEN: 1?[0-9] records/m);
  });

  test('a segment removed', async () => {
    const ran = await verify([[], ...segments.slice(1)], ['--json']);
    expect(ran.code).toBe(1);
    expect((JSON.parse(ran.stdout) as Verification).findings.length).toBeGreaterThan(0);
  });
});

test('what cannot be told has exit code 2 and says why', async () => {
  await using temp = await makeTempDir();
  const empty = await runCli(['verify', temp.path]);
  expect(empty.code).toBe(2);
  expect(empty.stdout).toMatch(/cannot tell/);
  expect((await runCli(['verify', join(temp.path, 'nowhere')])).code).toBe(2);
  for (const args of [[], [temp.path, '--store', 'postgresql://x'], ['--nonsense']]) {
    const { code, stderr } = await runCli(['verify', ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--help/);
  }
  const store = await runCli(['verify', '--store', 'postgresql://a:b@127.0.0.1:1/x']);
  expect(store.code).toBe(2);
});
