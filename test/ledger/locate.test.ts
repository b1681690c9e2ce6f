/** Receipts of what is sent again: found wherever they are, and no further than they can be. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ulid } from 'ulid';
import { nodeFilesystem, type Filesystem } from '../../ledger/filesystem.ts';
import { readBlocksBackward } from '../../ledger/lines.ts';
import { findReceipts, type FoundReceipts } from '../../ledger/locate.ts';
import type { AuditEvent } from '../../schemas/event.ts';
import { admitted, openTestStage } from '../support/append-stage.ts';
import { makeEvent } from '../support/events.ts';
import { makeTempDir } from '../support/ledger.ts';

function find(
  dir: string,
  producer: string,
  seqs: readonly number[],
  filesystem: Filesystem = nodeFilesystem,
): Promise<FoundReceipts> {
  return new Promise((answer, fail) => {
    const query = { producer, seqs: new Set(seqs), answer };
    findReceipts(filesystem, dir, [query]).catch(fail);
  });
}

test('blocks read backward hold every whole line once, wherever the reads end', async () => {
  await using temp = await makeTempDir();
  const line = fc.string({ unit: fc.constantFrom('a', 'ü', '"'), maxLength: 12 });
  let files = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 8 }),
      line,
      fc.integer({ min: 1, max: 40 }),
      async (lines, unfinished, readBytes) => {
        const whole = lines.map((one) => `${one}\n`).join('');
        const path = join(temp.path, String(files++));
        await writeFile(path, whole + unfinished);
        const file = await nodeFilesystem.openRead(path);
        const blocks: string[] = [];
        for await (const block of readBlocksBackward(file, readBytes)) {
          expect(block.at(-1)).toBe(0x0a);
          blocks.unshift(block.toString('utf8'));
        }
        await file.close();
        expect(blocks.join('')).toBe(whole);
      },
    ),
    { numRuns: 200 },
  );
});

test('each number is found with its receipt and event, over all segments and between other producers', async () => {
  await using temp = await makeTempDir();
  const opened = await openTestStage(temp.path, { segmentBytes: 6000 });
  const producers = [ulid(), ulid(), ulid()];
  const sent: { producer: string; seq: number; event: AuditEvent; receipt: unknown }[] = [];
  for (let n = 0; n < 60; n++) {
    const producer = producers[n % 3] ?? '';
    // Numbers with holes in them, and a refused count before each.
    const seq = Math.floor(n / 3) * 2;
    opened.stage.noteRefused(producer, [seq - 1]);
    const event = makeEvent({ metadata: { n } });
    const [outcome] = await opened.stage.append({
      producer,
      firstSeq: seq,
      events: [admitted(event)],
    });
    sent.push({ producer, seq, event, receipt: outcome?.kind === 'appended' && outcome.receipt });
  }
  await opened.close();
  for (const producer of producers) {
    const found = await find(
      temp.path,
      producer,
      Array.from({ length: 42 }, (_, seq) => seq),
    );
    const own = sent.filter((one) => one.producer === producer);
    expect([...found.keys()].sort((a, b) => a - b)).toEqual(own.map(({ seq }) => seq));
    for (const { seq, event, receipt } of own)
      expect(found.get(seq)).toEqual({ ...(receipt as object), event_id: event.event_id });
  }
});

test('what other events say about a producer neither hides its records nor stands for them', async () => {
  await using temp = await makeTempDir();
  const opened = await openTestStage(temp.path);
  const victim = ulid();
  const claim = (seq: number) => ({
    chain: { producer: { id: victim, seq }, seq: 9, stream: 'forged' },
  });
  const [first] = await opened.stage.append({
    producer: victim,
    firstSeq: 7,
    events: [admitted(makeEvent())],
  });
  for (const seq of [0, 7]) {
    const event = makeEvent({ metadata: claim(seq) });
    await opened.stage.append({ producer: ulid(), firstSeq: 0, events: [admitted(event)] });
  }
  await opened.close();
  const found = await find(temp.path, victim, [7]);
  expect(first?.kind === 'appended' && found.get(7)).toMatchObject(
    first?.kind === 'appended' ? first.receipt : {},
  );
});

test('a search ends where the numbers of the producer are lower, however long the ledger is', async () => {
  await using temp = await makeTempDir();
  const dir = join(temp.path, 'ledger');
  await mkdir(dir);
  const opened = await openTestStage(dir, { segmentBytes: 4000 });
  const producer = ulid();
  const send = (firstSeq: number, count = 1) =>
    opened.stage.append({
      producer,
      firstSeq,
      events: Array.from({ length: count }, () => admitted(makeEvent())),
    });
  for (let seq = 0; seq < 40; seq++) await send(seq);
  await send(42);
  await opened.close();
  let segments = 0;
  const filesystem: Filesystem = {
    ...nodeFilesystem,
    openRead: (path) => ((segments += 1), nodeFilesystem.openRead(path)),
  };
  expect([...(await find(dir, producer, [41, 42], filesystem)).keys()]).toEqual([42]);
  expect(segments).toBeLessThan(3);
});
