/**
 * The attack table over the files of an agent, by root who has the source code and, where it says so, the key: each
 * attack is seen, or is one of those that docs/THREAT_MODEL.md says cannot be, and then it is seen with what somebody
 * else has kept.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { verifyLedger } from '../../ledger/verify.ts';
import type { Verification } from '../../ledger/examination.ts';
import { TEST_INCARNATION, TEST_SIGNER } from '../support/checkpoints.ts';
import { makeMemoryDir } from '../support/ledger.ts';
import {
  checkpointOver,
  copyTrail,
  createSigner,
  knownOf,
  linesOf,
  receiptFile,
  RECORDS,
  resealed,
  trustOf,
  writeJournal,
  writeLines,
  writeTrail,
  type Trail,
} from './trail.ts';

const temporary: string[] = [];
let trail: Trail;
let original = '';
let dir = '';
/** The stream's newest checkpoint, as an auditor or an anchor has it. */
let kept = '';
let anchorKept = '';

beforeAll(async () => {
  original = await makeDir();
  trail = await writeTrail(original);
  const notes = (await readFile(join(original, 'checkpoints', 'journal.ndjson'), 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { note: string }).note);
  kept = notes.findLast((note) => note.startsWith(trail.stream)) ?? '';
  anchorKept =
    notes.findLast((note) => note.startsWith(`sealtrail/test/${TEST_INCARNATION}\n`)) ?? '';
});

afterAll(async () => {
  for (const path of temporary) await rm(path, { recursive: true });
});

beforeEach(async () => {
  dir = await makeDir();
  await copyTrail(original, dir);
});

/** One that stays until the end. */
async function makeDir(): Promise<string> {
  const { path } = await makeMemoryDir();
  temporary.push(path);
  return path;
}

async function verify(more: Parameters<typeof knownOf>[1] = {}): Promise<Verification> {
  return verifyLedger(dir, { known: await knownOf(dir, more) });
}

const withKept = (note = kept) => ({ files: [{ name: 'kept.note', text: note }] });
const withReceipts = () => ({ receipts: [receiptFile(trail.receipts)] });
const raise = (text: string, index: number): string =>
  index === 12 ? text.replace('"amount":11', '"amount":99') : text;

test('the untouched trail is intact under everything that is known of it', async () => {
  const known = { ...withKept(), ...withReceipts() };
  const verification = await verify(known);
  expect(verification).toMatchObject({ verdict: 'intact', records: RECORDS + 1, findings: [] });
  expect(verification.streams[0]?.cover).toMatchObject({
    rewritten_from: null,
    fits_to: String(RECORDS + 1),
    signed_to: String(RECORDS + 1),
  });
});

describe('without the key', () => {
  test('one record changed and all that follow sealed again: the signed tree is another one, from its last match on', async () => {
    await writeLines(dir, resealed(await linesOf(dir), raise));
    const { verdict, findings, streams } = await verify();
    expect(verdict).toBe('broken');
    expect(findings[0]).toMatchObject({ kind: 'rewritten', stream: trail.stream, seq: 9 });
    expect(streams[0]).toMatchObject({ verified_to: 8 });
  });

  test('a record added, or taken out, and all sealed again', async () => {
    const lines = await linesOf(dir);
    const renumbered = (changed: readonly string[]): string[] =>
      resealed(changed, (text, index) =>
        text.replace(/"seq":\d+,"stream"/, `"seq":${index},"stream"`),
      );
    await writeLines(dir, renumbered(lines.toSpliced(12, 0, lines[11] ?? '')));
    expect((await verify()).findings[0]).toMatchObject({ kind: 'rewritten', seq: 9 });
    await writeLines(dir, renumbered(lines.toSpliced(12, 1)));
    const { findings } = await verify();
    expect(findings.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['rewritten', 'truncated']),
    );
  });

  test('the end cut off', async () => {
    await writeLines(dir, (await linesOf(dir)).slice(0, 20));
    const { findings } = await verify();
    expect(findings).toMatchObject([{ kind: 'truncated', stream: trail.stream, seq: 20 }]);
  });

  test('the end cut off, and the checkpoints with it: nothing shows, unless somebody kept one, or a receipt', async () => {
    const lines = (await linesOf(dir)).slice(0, 17);
    await writeLines(dir, lines);
    await rm(join(dir, 'checkpoints', 'anchor'), { recursive: true });
    const earlier = (await notesOf(original)).filter((note) => note.split('\n')[1] === '17');
    await writeJournal(dir, earlier);
    expect(await verify()).toMatchObject({
      verdict: 'intact',
      streams: [{ cover: { signed_to: '17' } }],
    });
    expect((await verify(withKept())).findings).toMatchObject([{ kind: 'truncated', seq: 17 }]);
    expect((await verify(withReceipts())).findings).toMatchObject([{ kind: 'truncated', seq: 17 }]);
  });

  test('all checkpoints removed: nothing can be told, which is no success', async () => {
    await rm(join(dir, 'checkpoints'), { recursive: true });
    expect(await verify()).toMatchObject({ verdict: 'cannot_tell', findings: [] });
  });

  test('sealed again, and signed with a key of the attacker: no trusted key vouches for it', async () => {
    const forged = resealed(await linesOf(dir), raise);
    await writeLines(dir, forged);
    await rm(join(dir, 'checkpoints', 'anchor'), { recursive: true });
    await writeJournal(dir, [await checkpointOver(forged, RECORDS + 1, [createSigner()])]);
    expect((await verify()).verdict).toBe('cannot_tell');
    expect((await verify(withKept())).findings).toMatchObject([{ kind: 'rewritten' }]);
  });

  test('a signature that was changed, or put under another checkpoint', async () => {
    const notes = await notesOf(dir);
    const other = notes.find((note) => note.startsWith(trail.stream) && note !== kept) ?? '';
    const swapped = kept.replace(/\n\n.*/s, '') + other.slice(other.indexOf('\n\n'));
    await writeJournal(dir, [swapped]);
    expect((await verify()).findings[0]).toMatchObject({
      kind: 'bad_signature',
      stream: trail.stream,
    });
    await writeJournal(dir, [`${kept.slice(0, -12)}AAAAAAAAAA=\n`]);
    expect((await verify()).verdict).toBe('broken');
  });

  test('an entry of the anchor log removed, changed, or given another checkpoint', async () => {
    const path = join(dir, 'checkpoints', 'anchor', `${TEST_INCARNATION}.ndjson`);
    const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
    const origin = `sealtrail/test/${TEST_INCARNATION}`;
    const write = (changed: readonly string[]): Promise<void> =>
      writeFile(path, changed.map((line) => `${line}\n`).join(''));
    await write(lines.slice(0, -1));
    expect((await verify()).findings).toMatchObject([{ kind: 'truncated', stream: origin }]);
    await write(lines.toSpliced(0, 2, lines[2] ?? '', lines[3] ?? ''));
    expect((await verify()).findings[0]).toMatchObject({ kind: 'rewritten', stream: origin });
    const withNote = lines.findIndex((line) => line.includes('"note"'));
    const entry = JSON.parse(lines[withNote] ?? '') as { leaf: string; note: string };
    const forged = resealed(await linesOf(dir), raise);
    const note = await checkpointOver(forged, 20, [TEST_SIGNER]);
    await write(lines.with(withNote, JSON.stringify({ ...entry, note })));
    expect((await verify()).findings).toMatchObject([
      { kind: 'rewritten', stream: origin, seq: withNote },
    ]);
  });

  test('bytes of an event that say the same in another way', async () => {
    const lines = await linesOf(dir);
    await writeLines(
      dir,
      resealed(lines, (text, index) =>
        index === 12 ? text.replace('"amount":11', '"amount":11,"amount":11') : text,
      ),
    );
    const { findings } = await verify();
    expect(findings.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['bytes_differ', 'rewritten']),
    );
    await writeLines(
      dir,
      resealed(lines, (text, index) =>
        index === 12 ? text.replace('"amount":11', '"amount":1.1e1') : text,
      ),
    );
    expect((await verify()).findings[0]).toMatchObject({ kind: 'bytes_differ', seq: 12 });
  });

  test('a record moved to another stream', async () => {
    const lines = await linesOf(dir);
    await writeLines(
      dir,
      resealed(lines, (text, index) =>
        index === 12 ? text.replace(/"stream":"[^"]*"/, '"stream":"a/b/c/d"') : text,
      ),
    );
    const { verdict, findings } = await verify();
    expect(verdict).toBe('broken');
    expect(findings).toContainEqual(
      expect.objectContaining({ kind: 'deleted', stream: trail.stream }),
    );
  });
});

describe('with a key', () => {
  test('an old key, after its time: its window does not reach so far', async () => {
    const old = createSigner();
    const trust = trustOf(
      `${TEST_SIGNER.vkey} ${trail.stream} 10 -`,
      `${old.vkey} ${trail.stream} 0 10`,
      TEST_SIGNER.vkey,
    );
    const lines = await linesOf(dir);
    const notes = (await notesOf(dir)).filter(
      (note) => Number(note.split('\n')[1]) > 9 || !note.startsWith(trail.stream),
    );
    await writeJournal(dir, [await checkpointOver(lines, 9, [old]), ...notes]);
    expect((await verify({ trust })).findings).toEqual([]);
    const forged = resealed(lines, raise);
    await writeJournal(dir, [await checkpointOver(forged, RECORDS + 1, [old])]);
    expect((await verify({ trust })).findings).toContainEqual(
      expect.objectContaining({ kind: 'bad_signature', stream: trail.stream }),
    );
  });

  test('a newer key for sizes that were before it', async () => {
    const next = createSigner();
    const lines = await linesOf(dir);
    const trust = trustOf(
      TEST_SIGNER.vkey,
      `${TEST_SIGNER.vkey} ${trail.stream} 0 20`,
      `${next.vkey} ${trail.stream} 20 -`,
    );
    await writeJournal(dir, [await checkpointOver(lines, 12, [next])]);
    expect((await verify({ trust })).findings).toContainEqual(
      expect.objectContaining({ kind: 'bad_signature' }),
    );
  });

  test('all of it sealed and signed again with the real key: it is whole, and other than what others have kept', async () => {
    const forged = resealed(await linesOf(dir), raise);
    await writeLines(dir, forged);
    await rm(join(dir, 'checkpoints', 'anchor'), { recursive: true });
    await writeJournal(dir, [await checkpointOver(forged, RECORDS + 1, [TEST_SIGNER])]);
    expect((await verify()).verdict).toBe('intact');
    const { findings } = await verify(withKept());
    expect(findings).toMatchObject([{ kind: 'rewritten', stream: trail.stream }]);
    // Which record it is, only receipts tell.
    expect((await verify(withReceipts())).findings[0]).toMatchObject({
      kind: 'receipt_differs',
      seq: 12,
    });
  });

  test('two checkpoints of one size with two roots are evidence by themselves', async () => {
    const forged = resealed(await linesOf(dir), raise);
    const fork = await checkpointOver(forged, RECORDS + 1, [TEST_SIGNER]);
    expect((await verify(withKept(fork))).findings).toMatchObject([{ kind: 'rewritten' }]);
  });

  test('an anchor log that was begun anew is not the one that an anchor has', async () => {
    expect((await verify(withKept(anchorKept))).verdict).toBe('intact');
    await using other = await makeMemoryDir();
    await writeTrail(other.path);
    const path = join('checkpoints', 'anchor', `${TEST_INCARNATION}.ndjson`);
    await writeFile(join(dir, path), await readFile(join(other.path, path)));
    expect((await verify(withKept(anchorKept))).verdict).toBe('broken');
  });
});

async function notesOf(of: string): Promise<string[]> {
  const text = await readFile(join(of, 'checkpoints', 'journal.ndjson'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { note: string }).note);
}
