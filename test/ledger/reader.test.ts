/** The ledger reader: every durable record once and in order, and nothing that may still be undone. */
import { appendFile, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLedgerReader, type LedgerReader } from '../../ledger/reader.ts';
import { segmentName } from '../../ledger/segment.ts';
import { createFaultyFilesystem } from '../support/faulty-filesystem.ts';
import { makeEvent } from '../support/events.ts';
import { makeTempDir, openTestLedger } from '../support/ledger.ts';

/** Reads up to the count in portions; the texts, each with its number. */
async function readAll(
  reader: LedgerReader,
  upTo: number,
  recordsMax = 1_000,
): Promise<readonly string[]> {
  const texts: string[] = [];
  while (reader.position() < upTo) {
    const read = await reader.read({ recordsMax, bytesMax: 1 << 20, upTo });
    if (!read.ok) throw new Error(read.error.message);
    expect(read.value.length).toBeGreaterThan(0);
    for (const { number, eventText } of read.value) texts.push(`${number} ${eventText}`);
  }
  return texts;
}

test('every durable record comes once, in order, over all segments, however the reads fall', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ count: fc.integer({ min: 1, max: 4 }), cut: fc.boolean() }), {
        minLength: 1,
        maxLength: 10,
      }),
      fc.integer({ min: 1, max: 5 }),
      fc.nat(20),
      async (steps, recordsMax, from) => {
        await using temp = await makeTempDir();
        const ledger = await openTestLedger(temp.path);
        const reader = createLedgerReader({ dir: temp.path, from: 0 });
        const seen: string[] = [];
        for (const { count, cut } of steps) {
          await ledger.commit(Array.from({ length: count }, () => makeEvent()));
          seen.push(...(await readAll(reader, ledger.writer.position().records, recordsMax)));
          if (cut) await ledger.cut();
        }
        const { records } = ledger.writer.position();
        expect(seen.map((text) => Number(text.split(' ')[0]))).toEqual(
          Array.from({ length: records }, (_, n) => n),
        );
        const start = Math.min(from, records);
        const later = createLedgerReader({ dir: temp.path, from: start });
        expect(await readAll(later, records)).toEqual(seen.slice(start));
        await Promise.all([reader.close(), later.close(), ledger.writer.close()]);
      },
    ),
    { numRuns: 40 },
  );
});

test('what is beyond the durable count is not read, and read again once it is durable', async () => {
  await using temp = await makeTempDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent()]);
  const { records, segmentBytes } = ledger.writer.position();
  const path = join(temp.path, segmentName(0));
  const reader = createLedgerReader({ dir: temp.path, from: 0 });
  // The bytes of a commit that is at the disk, at any length, when the reader comes by …
  const lines = (await readFile(path, 'utf8')).split('\n');
  const pending = Buffer.from(`${lines[1]}\n${lines[0]}\n`.replaceAll('Alice', 'Mallory'));
  await appendFile(path, pending);
  expect(await readAll(reader, records)).toHaveLength(records);
  expect((await reader.read({ recordsMax: 9, bytesMax: 1 << 20, upTo: records })).ok).toBe(true);
  expect(reader.position()).toBe(records);
  // … and that fails: cut off, and others stand in its place.
  await truncate(path, segmentBytes);
  await ledger.commit([makeEvent(), makeEvent()]);
  const read = await readAll(reader, ledger.writer.position().records);
  expect(read).toHaveLength(2);
  expect(read.join()).not.toContain('Mallory');
  await reader.close();
  await ledger.writer.close();
});

test('a missing segment and a damaged line are told, with the record they were to hold', async () => {
  await using temp = await makeTempDir();
  const ledger = await openTestLedger(temp.path);
  await ledger.commit([makeEvent()]);
  await ledger.writer.close();
  const limits = { recordsMax: 9, bytesMax: 1 << 20, upTo: 3 };
  const beyond = createLedgerReader({ dir: temp.path, from: 2 });
  expect(await beyond.read(limits)).toMatchObject({ ok: false, error: { kind: 'missing' } });
  await appendFile(join(temp.path, segmentName(0)), 'no record\n');
  expect(await beyond.read(limits)).toMatchObject({
    ok: false,
    error: { kind: 'corruption', message: expect.stringContaining('record 2') as string },
  });
  await beyond.close();
});

test('a disk that fails between two segments costs no record: what was read before it is handed out', async () => {
  await using temp = await makeTempDir();
  const ledger = await openTestLedger(temp.path);
  for (let segment = 0; segment < 3; segment++) {
    await ledger.commit([makeEvent(), makeEvent()]);
    if (segment < 2) await ledger.cut();
  }
  const upTo = ledger.writer.position().records;
  await ledger.writer.close();
  const probe = createFaultyFilesystem(null, { reads: true });
  const limits = { recordsMax: 100, bytesMax: 1 << 20, upTo };
  const whole = createLedgerReader({ dir: temp.path, filesystem: probe, from: 0 });
  expect(await whole.read(limits)).toMatchObject({ value: { length: upTo } });
  await whole.close();
  expect(probe.operations.filter((name) => name === 'openRead')).toHaveLength(3);

  for (let at = 0; at < probe.operations.length; at++) {
    const filesystem = createFaultyFilesystem({ at, code: 'EMFILE' }, { reads: true });
    const reader = createLedgerReader({ dir: temp.path, filesystem, from: 0 });
    const numbers: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      const read = await reader.read(limits);
      if (read.ok) numbers.push(...read.value.map(({ number }) => number));
    }
    await reader.close();
    expect(numbers, `operation ${at} failed`).toEqual(Array.from({ length: upTo }, (_, n) => n));
  }
});
