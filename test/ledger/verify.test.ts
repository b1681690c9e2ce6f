import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { chainHash } from '../../schemas/brand.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import { formatRecord, splitRecord } from '../../ledger/frame.ts';
import { segmentName } from '../../ledger/segment.ts';
import { rehash } from '../../ledger/content-check.ts';
import { verifyLedger } from '../../ledger/verify.ts';
import { makeEvent } from '../support/events.ts';
import { makeMemoryDir, openTestLedger } from '../support/ledger.ts';

/** Twelve records of one stream: the genesis and eleven events, seq = index of the line. */
let intact: string[] = [];

beforeAll(async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  for (let i = 0; i < 11; i++) await ledger.commit([makeEvent({ metadata: { amount: i } })]);
  await ledger.writer.close();
  intact = (await readFile(join(temp.path, segmentName(0)), 'utf8')).split('\n').slice(0, -1);
});

async function verifyLines(lines: readonly string[]) {
  await using temp = await makeMemoryDir();
  await writeFile(join(temp.path, segmentName(0)), lines.map((line) => line + '\n').join(''));
  return await verifyLedger(temp.path);
}

const partsOf = (line: string | undefined) => {
  const parts = splitRecord(line ?? '');
  if (parts === null) throw new Error('no record');
  return parts;
};

/** What a DBA with the source code can do: change the event and hash the record again. */
function forge(
  line: string | undefined,
  change: (text: string) => string,
  prevHash?: string,
): string {
  const { eventText, prev_hash } = partsOf(line);
  const prev = chainHash(prevHash ?? prev_hash);
  const text = change(eventText);
  return formatRecord(text, prev, chainHash(rehash(prev, text))).slice(0, -1);
}

test('the untouched ledger is intact, to a stated size and head', async () => {
  const verification = await verifyLines(intact);
  expect(verification).toMatchObject({ verdict: 'intact', records: 12, findings: [], gaps: [] });
  expect(verification.streams[0]).toMatchObject({ next_seq: 12, verified_to: 11, unproven: 0 });
});

describe('tampering flips the verdict and names the record', () => {
  test('a changed field: that record is named, and nothing from it on counts as proven', async () => {
    const lines = [...intact];
    lines[5] = lines[5]!.replace('"amount":4', '"amount":9');
    const verification = await verifyLines(lines);
    expect(verification.verdict).toBe('broken');
    expect(verification.findings).toMatchObject([
      { kind: 'modified', seq: 5, line: 6, segment: segmentName(0) },
    ]);
    expect(verification.streams[0]).toMatchObject({ verified_to: 4, unproven: 7 });
  });

  test('a changed field, hashed again', async () => {
    const lines = [...intact];
    lines[5] = forge(lines[5], (text) => text.replace('"amount":4', '"amount":9'));
    const { findings, streams } = await verifyLines(lines);
    expect(findings).toMatchObject([{ kind: 'modified', seq: 6, line: 7 }]);
    // Which of the two was changed cannot be told: neither counts as proven.
    expect(streams[0]).toMatchObject({ verified_to: 4, unproven: 7 });
  });

  test('a deleted record', async () => {
    const { findings } = await verifyLines(intact.toSpliced(4, 1));
    expect(findings).toMatchObject([{ kind: 'deleted', seq: 5, line: 5 }]);
  });

  test('a deleted record, the rest renumbered and hashed again by hand only once', async () => {
    const lines = intact.toSpliced(4, 1);
    const before = partsOf(lines[3]);
    lines[4] = forge(
      lines[4],
      (text) => text.replace('"seq":5,"stream"', '"seq":4,"stream"'),
      before.this_hash,
    );
    const { findings } = await verifyLines(lines);
    expect(findings[0]).toMatchObject({ kind: 'deleted', seq: 6 });
  });

  test('a deleted genesis', async () => {
    const { findings } = await verifyLines(intact.slice(1));
    expect(findings).toMatchObject([{ kind: 'deleted', seq: 1, line: 1 }]);
  });

  test('two records in the wrong order', async () => {
    const lines = [...intact];
    [lines[3], lines[4]] = [lines[4]!, lines[3]!];
    const { findings } = await verifyLines(lines);
    expect(findings).toMatchObject([
      { kind: 'reordered', seq: 4, line: 4 },
      { kind: 'reordered', seq: 3, line: 5 },
    ]);
  });

  test('a forged record slipped in is told from the genuine one, wherever it stands', async () => {
    const forged = forge(intact[6], (text) => text.replace('"amount":5', '"amount":77'));
    const after = await verifyLines(intact.toSpliced(7, 0, forged));
    expect(after.findings).toMatchObject([{ kind: 'inserted', seq: 6, line: 8 }]);
    const before = await verifyLines(intact.toSpliced(6, 0, forged));
    expect(before.findings).toMatchObject([{ kind: 'inserted', seq: 6, line: 7 }]);
  });

  test('a member that stands twice, even hashed again', async () => {
    const lines = [...intact];
    const last = lines.length - 1;
    lines[last] = forge(lines[last], (text) =>
      text.replace('"amount":10', '"amount":99,"amount":10'),
    );
    expect((await verifyLines(lines)).findings).toMatchObject([
      { kind: 'bytes_differ', seq: last, line: 12 },
    ]);
  });

  test('another encoding of the same event, even hashed again', async () => {
    const lines = [...intact];
    const last = lines.length - 1;
    lines[last] = forge(lines[last], (text) => text.replace('"Alice"', '"\\u0041lice"'));
    expect((await verifyLines(lines)).findings).toMatchObject([
      { kind: 'bytes_differ', seq: last },
    ]);
  });

  test('a line that is no record', async () => {
    expect((await verifyLines(intact.toSpliced(2, 0, '{"event":{}}'))).findings[0]).toMatchObject({
      kind: 'malformed',
      line: 3,
    });
  });

  test('all of several findings are reported, in order', async () => {
    const lines = [...intact];
    lines[2] = lines[2]!.replace('"amount":1', '"amount":3');
    lines[9] = lines[9]!.replace('"amount":8', '"amount":3');
    expect((await verifyLines(lines)).findings.map(({ kind, line }) => [kind, line])).toEqual([
      ['modified', 3],
      ['modified', 10],
    ]);
  });
});

test('every single byte of the ledger matters: any changed character flips the verdict', async () => {
  const text = intact.slice(0, 3).join('\n') + '\n';
  await using temp = await makeMemoryDir();
  const path = join(temp.path, segmentName(0));
  for (let at = 0; at < text.length; at++) {
    const changed = text.slice(0, at) + (text[at] === '5' ? '6' : '5') + text.slice(at + 1);
    await writeFile(path, changed);
    const { verdict, notes } = await verifyLedger(temp.path);
    // The very last newline is all that a torn tail lacks.
    if (at === text.length - 1) expect(notes[0]).toContain('torn tail');
    else expect(verdict, `byte ${at}`).toBe('broken');
  }
});

test('a missing segment is a finding; the ledger with it is intact', async () => {
  await using temp = await makeMemoryDir();
  const ledger = await openTestLedger(temp.path);
  const starts: number[] = [];
  for (let i = 0; i < 3; i++) {
    starts.push(ledger.writer.position().records);
    await ledger.commit([makeEvent(), makeEvent()]);
    await ledger.cut();
  }
  await ledger.writer.close();
  expect((await verifyLedger(temp.path)).verdict).toBe('intact');
  await rm(join(temp.path, segmentName(starts[1]!)));
  const { findings } = await verifyLedger(temp.path);
  expect(findings.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['segment_missing', 'deleted']),
  );
});

test('a folder that is no ledger, or is not there, gives "cannot tell"', async () => {
  await using temp = await makeMemoryDir();
  expect((await verifyLedger(temp.path)).verdict).toBe('cannot_tell');
  expect((await verifyLedger(join(temp.path, 'nothing'))).verdict).toBe('cannot_tell');
});

test('sealed text is exactly the canonical form of what it says', () => {
  for (const line of intact) {
    const event = JSON.parse(partsOf(line).eventText) as SealedEvent;
    expect(canonicalize(event)).toBe(partsOf(line).eventText);
    expect(JSON.parse(line)).toMatchObject({ event });
  }
});
