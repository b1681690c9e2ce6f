import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { letterOf, parseLetter, type KeptLetter } from '../../../agent/deliver/dead-letter-line.ts';
import { openDeadLetters, type DeadLetters } from '../../../agent/deliver/dead-letters.ts';
import { nodeFilesystem, type Filesystem } from '../../../ledger/filesystem.ts';
import { createFaultyFilesystem } from '../../support/faulty-filesystem.ts';
import { makeMemoryDir, makeTempDir } from '../../support/ledger.ts';
import { createSealer } from '../../store/sealed.ts';

const sealer = createSealer();

function makeLetters(from: number, count: number, reason = 'refused'): KeptLetter[] {
  return Array.from({ length: count }, (_, index) =>
    letterOf(
      'test',
      { ...sealer.seal({ metadata: { note: 'an é and a "record":' } }), number: from + index },
      { reason, attempts: 1, atMs: Date.parse('2026-03-01T10:00:00Z') },
    ),
  );
}

async function open(
  path: string,
  over: { from?: number; filesystem?: Filesystem; isRewritten?: boolean } = {},
): Promise<DeadLetters> {
  const opened = await openDeadLetters({
    path,
    filesystem: over.filesystem ?? nodeFilesystem,
    from: over.from ?? 0,
    isRewritten: over.isRewritten ?? false,
  });
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
}

test('a letter keeps the record verbatim, whatever its reason quotes, and jq can read the line', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'dlq.ndjson');
  const letters = await open(path);
  const reasons = ['plain', ',"record":{"event":', 'a "quote" \\ and \n a line', '}'];
  const kept = reasons.flatMap((reason, index) => makeLetters(index, 1, reason));
  expect((await letters.add(kept)).ok).toBe(true);
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => parseLetter(line))).toEqual(
    kept.map(({ letter, text: { eventText, prev_hash, this_hash } }) => ({
      letter,
      text: { eventText, prev_hash, this_hash },
    })),
  );
  for (const [index, line] of lines.entries()) {
    const value = JSON.parse(line) as { reason: string; record: { event: { event_id: string } } };
    expect(value.reason).toBe(reasons[index]);
    expect(value.record.event.event_id).toBe(kept[index]?.letter.event_id);
  }
});

test('an append cut short at any byte is cut off, counted right, and written again', async () => {
  await using temp = await makeMemoryDir();
  const path = join(temp.path, 'dlq.ndjson');
  const letters = await open(path);
  const [first, second] = [makeLetters(0, 1), makeLetters(1, 1)];
  await letters.add(first);
  const before = (await readFile(path)).length;
  await letters.add(second);
  const whole = await readFile(path);
  for (let at = before; at < whole.length; at++) {
    await writeFile(path, whole.subarray(0, at));
    const again = await open(path, { from: 1 });
    expect(again.count()).toBe(1);
    await again.add(second);
    expect(again.count()).toBe(2);
    expect((await readFile(path)).equals(whole), `cut at ${at}`).toBe(true);
  }
});

test('a letter that a crash left before the cursor moved is known, so that it is not doubled', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'dlq.ndjson');
  const letters = await open(path);
  await letters.add(makeLetters(5, 3));
  const again = await open(path, { from: 6 });
  expect([4, 5, 6, 7, 8].filter((number) => again.holds(number))).toEqual([6, 7]);
});

test('damage in the middle is not taken for an append cut short', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'dlq.ndjson');
  const letters = await open(path);
  await letters.add(makeLetters(0, 3));
  const lines = (await readFile(path, 'utf8')).split('\n');
  const damaged = [lines[0], `#${lines[1]}`, lines[2], ''].join('\n');
  await writeFile(path, damaged);
  const opened = await openDeadLetters({
    path,
    filesystem: nodeFilesystem,
    from: 0,
    isRewritten: false,
  });
  expect(opened).toMatchObject({
    ok: false,
    error: expect.stringContaining(`${path}: damaged behind byte`),
  });
  expect(await readFile(path, 'utf8')).toBe(damaged);
});

test('whatever single operation of an append fails or tears, the letters are there once after the next try', async () => {
  const operationsOf = async (
    fault: Parameters<typeof createFaultyFilesystem>[0],
  ): Promise<string[]> => {
    await using temp = await makeTempDir();
    const path = join(temp.path, 'dlq.ndjson');
    const filesystem = createFaultyFilesystem(fault);
    const letters = await open(path, { filesystem });
    for (let batch = 0; batch < 3; batch++) {
      const kept = makeLetters(batch * 2, 2);
      if (!(await letters.add(kept)).ok) expect((await letters.add(kept)).ok).toBe(true);
    }
    expect(letters.count()).toBe(6);
    expect((await letters.list(100)).map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5]);
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(7);
    return [...filesystem.operations];
  };
  const operations = await operationsOf(null);
  expect(operations).toContain('datasync');
  for (let at = 0; at < operations.length; at++) {
    for (const tearTo of operations[at] === 'append' ? [0, 1, 900] : [0]) {
      await operationsOf({ at, code: 'ENOSPC', tearTo });
    }
  }
});

test('letters that an operator moves away are gone from the count, and new ones have a file of their own', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'dlq.ndjson');
  const letters = await open(path);
  await letters.add(makeLetters(0, 3));
  await rename(path, `${path}.kept`);
  expect(await letters.list(100)).toEqual([]);
  await letters.add(makeLetters(3, 1));
  expect(letters.count()).toBe(1);
  expect((await letters.list(100)).map(({ number }) => number)).toEqual([3]);
  expect((await readFile(`${path}.kept`, 'utf8')).trimEnd().split('\n')).toHaveLength(3);
});

test('what stays is on disk before it takes the place of the old file, and is then what counts', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'dlq.ndjson');
  const filesystem = createFaultyFilesystem(null);
  const letters = await open(path, { filesystem });
  const kept = makeLetters(0, 4);
  await letters.add(kept);
  const before = filesystem.operations.length;
  const rewrite = await letters.rewrite();
  await rewrite.keep(kept.slice(1, 3));
  await rewrite.finish();
  expect(letters.count()).toBe(4);
  await rewrite.replace();
  expect(filesystem.operations.slice(before)).toEqual([
    'remove',
    'create',
    'syncDir',
    'append',
    'sync',
    'rename',
    'syncDir',
  ]);
  expect(letters.count()).toBe(2);
  await letters.add(makeLetters(9, 1));
  expect((await letters.list(100)).map(({ number }) => number)).toEqual([1, 2, 9]);

  const dropped = await open(path);
  await (await dropped.rewrite()).drop();
  expect(await dropped.list(100)).toHaveLength(3);
});

test('the list is bounded, and names no event content', async () => {
  await using temp = await makeTempDir();
  const path = join(temp.path, 'dlq.ndjson');
  const letters = await open(path);
  await letters.add(makeLetters(0, 250));
  expect(await letters.list(0)).toEqual([]);
  const listed = await letters.list(7);
  expect(listed.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect(Object.keys(listed[0] ?? {})).toEqual([
    'at',
    'sink',
    'number',
    'stream',
    'seq',
    'event_id',
    'reason',
    'attempts',
  ]);
});
