import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { splitRecord } from '../../../ledger/frame.ts';
import { verifyLedger } from '../../../ledger/verify.ts';
import type { Verification } from '../../../ledger/examination.ts';
import type { SealedEvent } from '../../../schemas/record.ts';
import { makeMemoryDir } from '../../support/ledger.ts';
import { knownOf, RECORDS, writeTrail, type Trail } from '../../attacks/trail.ts';

let temp: Awaited<ReturnType<typeof makeMemoryDir>>;
let trail: Trail;
/** Of each segment: its name, and when its first record was received. */
let segments: { readonly name: string; readonly time: string; readonly records: number }[] = [];

beforeEach(async () => {
  temp = await makeMemoryDir();
  trail = await writeTrail(temp.path, { segments: 3 });
  const names = (await readdir(join(temp.path, 'ledger'))).filter((name) =>
    name.endsWith('.ndjson'),
  );
  segments = await Promise.all(
    names.sort().map(async (name) => {
      const lines = (await readFile(join(temp.path, 'ledger', name), 'utf8'))
        .split('\n')
        .slice(0, -1);
      const event = JSON.parse(splitRecord(lines[0] ?? '')?.eventText ?? '{}') as SealedEvent;
      return { name, time: event.chain.received_at, records: lines.length };
    }),
  );
  return async () => temp[Symbol.asyncDispose]();
});

async function verify(since: string | null, until: string | null): Promise<Verification> {
  return verifyLedger(temp.path, { known: await knownOf(temp.path), range: { since, until } });
}

/** A millisecond later, so that no record of the segment before it can be meant. */
const after = (segment: { readonly time: string } | undefined): string =>
  new Date(Date.parse(segment?.time ?? '') + 1).toISOString();
const recordsOf = (from: number, to: number): number =>
  segments.slice(from, to).reduce((sum, { records }) => sum + records, 0);

describe('of a time', () => {
  test('only the segments that may hold it are read, and proven under the checkpoints that reach into them', async () => {
    expect(segments).toHaveLength(3);
    const [, second, third] = segments;
    const last = await verify(after(third), null);
    expect(last).toMatchObject({ verdict: 'intact', segments: 1, findings: [] });
    expect(last.streams[0]).toMatchObject({
      stream: trail.stream,
      records: recordsOf(2, 3),
      verified_to: RECORDS,
      cover: { signed_to: String(RECORDS + 1) },
    });
    expect(last.notes.join()).toContain('were not read');
    const middle = await verify(after(second), third?.time ?? '');
    // The one behind shows that it begins later.
    expect(middle).toMatchObject({ verdict: 'intact', segments: 2, findings: [] });
    expect(middle.records).toBe(recordsOf(1, 3));
    const first = await verify(null, second?.time ?? '');
    expect(first).toMatchObject({ verdict: 'intact', segments: 2, records: recordsOf(0, 2) });
    const all = await verify('2000-01-01', '2100-01-01');
    expect(all).toMatchObject({ verdict: 'intact', segments: 3, records: RECORDS + 1 });
    expect(await verify('1999-01-01', '2000-01-01')).toMatchObject({ verdict: 'cannot_tell' });
  });

  test('records that were changed are found, whatever time the first line of their segment states now', async () => {
    const [first, second, third] = segments;
    const times = [null, after(first), after(second), after(third)];
    for (const since of times)
      expect(await verify(since, after(third))).toMatchObject({ verdict: 'intact', findings: [] });
    const path = join(temp.path, 'ledger', third?.name ?? '');
    const lines = (await readFile(path, 'utf8')).split('\n');
    const edit = (at: number, from: string, to: string): void => {
      expect(lines[at]).toContain(from);
      lines[at] = lines[at]!.replace(from, to);
    };
    edit(0, third?.time ?? '', '2099-01-01T00:00:00.000Z');
    edit(1, '"user"', '"cron"');
    await writeFile(path, lines.join('\n'));
    for (const since of times) {
      const made = await verify(since, after(third));
      expect(made.verdict).toBe('broken');
      expect(made.findings).toContainEqual(
        expect.objectContaining({ kind: 'modified', line: 2, segment: third?.name }),
      );
    }
  });

  test('a beginning that was made up does not fit the chain, or the tree that was signed', async () => {
    const name = (segments[2]?.name ?? '').replace('.ndjson', '.state.json');
    const path = join(temp.path, 'ledger', name);
    const text = await readFile(path, 'utf8');
    const head = /"head_hash":"([0-9a-f]{64})"/.exec(text)?.[1] ?? '';
    const since = after(segments[2]);
    expect((await verify(since, null)).verdict).toBe('intact');
    await writeFile(path, text.replace(head, 'f'.repeat(64)));
    expect((await verify(since, null)).verdict).toBe('broken');
    const trees = join(temp.path, 'checkpoints', 'trees');
    await writeFile(path, text);
    for (const tree of await readdir(trees)) {
      const bytes = await readFile(join(trees, tree));
      await writeFile(join(trees, tree), bytes.fill(7));
    }
    expect((await verify(since, null)).findings).toMatchObject([
      { kind: 'rewritten', stream: trail.stream },
    ]);
  });
});
