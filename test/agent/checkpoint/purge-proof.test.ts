/** How much of a stream may be purged or leave the ledger: what the anchor log has, and so many anchors of it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { anchorPaths } from '../../../agent/checkpoint/anchor-log.ts';
import { evidencePath } from '../../../agent/checkpoint/anchors/evidence-file.ts';
import { FIRST_POSITION } from '../../../agent/checkpoint/position.ts';
import type { Sources } from '../../../agent/checkpoint/proving.ts';
import { signedSizes } from '../../../agent/checkpoint/purge-proof.ts';
import { makeTempDir } from '../../support/ledger.ts';

const INCARNATION = 'a'.repeat(32);
const LOG = `sealtrail/test/${INCARNATION}`;
const STREAM = `${LOG}/0123456789abcdef/standard`;
const lines = (values: readonly object[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join('');

test('a record counts as anchored once as many anchors as are asked for have a checkpoint of it', async () => {
  await using temp = await makeTempDir();
  const dir = temp.path;
  await mkdir(join(dir, 'anchor'));
  const head = (stream: string, size: number): object => ({
    leaf: 'x',
    note: `${stream}\n${size}\n…`,
  });
  const entries = [
    ...[{ leaf: 'beat' }, head(STREAM, 100), { leaf: 'beat' }, head(STREAM, 300)],
    ...[head(`${STREAM}2`, 9_000), head(STREAM, 600), { leaf: 'beat' }, head(STREAM, 700)],
  ];
  await writeFile(anchorPaths(dir, INCARNATION).entries, lines(entries));
  const given = (size: number, anchor: string): object => ({
    ...{ size: String(size), quorum: 1, note: 'n' },
    evidence: { kind: 'copy', anchor, time: '2026-03-01T00:00:00Z', place: 'p' },
  });
  const evidence = [given(2, 'a'), given(2, 'b'), given(2, 'c'), given(4, 'b'), given(7, 'a')];
  await writeFile(evidencePath(dir, INCARNATION), lines(evidence));

  const checkpoint = { root: new Uint8Array(32), note: '', head: null };
  const sources = (anchor: string): Sources => ({
    ...{ dir, ledgerDir: dir },
    position: { ...FIRST_POSITION, anchor: { incarnation: anchor, size: 0n, bytes: 0 } },
    newest: new Map([
      [STREAM, { ...checkpoint, origin: STREAM, size: 800n }],
      // The last entry is not signed yet.
      [LOG, { ...checkpoint, origin: LOG, size: 7n }],
    ]),
  });
  const anchored = async (quorum: number, of = INCARNATION): Promise<number> =>
    (await signedSizes(sources(of), STREAM, quorum)).anchored;
  expect(await anchored(0)).toBe(600);
  expect(await anchored(1)).toBe(600);
  expect(await anchored(2)).toBe(300);
  expect(await anchored(3)).toBe(100);
  expect(await anchored(4)).toBe(0);
  expect(await anchored(Infinity)).toBe(0);
  // An incarnation that is over: its anchor log takes nothing more.
  expect(await anchored(3, 'b'.repeat(32))).toBe(800);
});
