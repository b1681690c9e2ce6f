/** A bundle carries what anchors gave: since when outsiders had its checkpoints is shown offline, by a policy of one's own. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { headEntry } from '../../agent/checkpoint/anchor-log.ts';
import { readKnown } from '../../agent/checkpoint/known.ts';
import { anchorName } from '../../auditor/bundle/names.ts';
import { writeBundle } from '../../auditor/bundle/write.ts';
import { checkBundle } from '../../auditor/check/bundle.ts';
import { runCheckBundle } from '../../cli/check-bundle.ts';
import { formatHeartbeat } from '../../ledger/anchor-leaf.ts';
import { parsePolicy } from '../../ledger/anchor-policy.ts';
import { formatCheckpoint, parseCheckpoint } from '../../ledger/checkpoint.ts';
import { hashLeaf } from '../../ledger/merkle/hash.ts';
import { createRange } from '../../ledger/merkle/range.ts';
import { parseNote, signNote } from '../../ledger/note.ts';
import { createWitnessSigner, publicBytesOf, signWithKey } from '../../ledger/signing.ts';
import { makeTempDir } from '../support/ledger.ts';
import { forgeBundle, readFolder } from './bundle-files.ts';
import {
  ACME,
  ASKED,
  checkpointOf,
  COLUMNS,
  openEvidenceStore,
  readRows,
  STATEMENT,
  trustOf,
  type EvidenceStore,
} from './evidence-store.ts';

let bench: EvidenceStore;
let temp: Awaited<ReturnType<typeof makeTempDir>>;
let policyText = '';
const file = (name: string): string => join(temp.path, name);
const ROUND = Date.parse('2026-03-06T00:00:00.000Z');

beforeAll(async () => {
  [bench, temp] = await Promise.all([openEvidenceStore(), makeTempDir()]);
  await writeFile(file('keys.txt'), `${bench.signer.vkey}\n`);
  await anchor();
  await writeFile(file('policy.txt'), policyText);
  await write('anchored');
});
afterAll(async () => {
  await temp[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

/** What an agent leaves in its folder: two rounds of the anchor log, of which a witness had the first. */
async function anchor(): Promise<void> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const sign = signWithKey(privateKey);
  const seconds = BigInt(ROUND / 1000 + 5);
  const witness = createWitnessSigner('w.example', publicBytesOf(privateKey), sign, () => seconds);
  policyText = `witness w1 ${witness.vkey}\nquorum 1\n`;
  const blinding = Buffer.alloc(32, 7);
  const entries: object[] = [];
  const log = createRange();
  const origin = ACME.split('/').slice(0, 3).join('/');
  const notes: string[] = [];
  for (const [round, size] of [100, 120].entries()) {
    const { note } = await checkpointOf(bench.records, size, bench.signer);
    const parsed = parseNote(note);
    const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
    if (checkpoint === null) throw new Error('no checkpoint');
    for (const entry of [
      { leaf: formatHeartbeat(ROUND + round * 60_000) },
      headEntry(blinding, { ...checkpoint, note, head: null }),
    ]) {
      entries.push(entry);
      log.append(hashLeaf(Buffer.from(entry.leaf)));
    }
    const text = formatCheckpoint({ origin, size: log.end(), root: log.root() });
    notes.push(await signNote(text, [bench.signer]));
    if (round > 0) continue;
    const cosigned = await signNote(text, [witness]);
    const time = new Date(ROUND).toISOString();
    const evidence = {
      ...{ kind: 'cosignature', anchor: 'witness/w1', time },
      line: cosigned.slice(text.length + 1),
    };
    await mkdir(file('checkpoints/anchor'), { recursive: true });
    await writeFile(
      file(`checkpoints/anchor/${'a'.repeat(32)}.evidence`),
      `${JSON.stringify({ size: '2', quorum: 1, note: notes[0], evidence })}\n`,
    );
  }
  const lines = (of: readonly object[]): string =>
    of.map((one) => `${JSON.stringify(one)}\n`).join('');
  await writeFile(file('checkpoints/blinding.key'), `${blinding.toString('hex')}\n`);
  await writeFile(file(`checkpoints/anchor/${'a'.repeat(32)}.ndjson`), lines(entries));
  await writeFile(file('checkpoints/journal.ndjson'), lines([{ head: null, note: notes[1] }]));
}

async function write(name: string): Promise<void> {
  const policy = parsePolicy(policyText);
  if (!policy.ok) throw new Error(policy.error);
  const trust = trustOf(bench.signer);
  const known = await readKnown({
    ...{ dir: file('checkpoints'), files: [], receipts: [], trust },
    policy: { policy: policy.value, path: file('policy.txt') },
  });
  const client = new pg.Client(bench.alice);
  await client.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const made = await writeBundle({
    ...{ client, path: file(name), asked: ASKED, statement: STATEMENT, columns: COLUMNS },
    ...{ title: 'What did this actor do?', rows: await readRows(client, STATEMENT) },
    ...{ known, trust, verifier: 'test', signer: null, time: '2026-11-26T12:00:00.000Z' },
  });
  await client.end();
  expect(made.streams).toMatchObject([{ anchored: { size: '100', by: ['w1'] } }]);
}

async function check(dir: string, policy: string): Promise<[code: number, said: string]> {
  await writeFile(file('asked.txt'), policy);
  const said: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line) => void said.push(String(line)));
  const code = await runCheckBundle(file(dir), {
    trust: file('keys.txt'),
    policy: file('asked.txt'),
  });
  log.mockRestore();
  return [code, said.join('\n')];
}

test('offline it says since when, and by whom, its checkpoints were anchored; not by anchors that did not', async () => {
  const [code, said] = await check('anchored', policyText);
  expect(code, said).toBe(0);
  expect(said).toContain(`${ACME} up to size 100: anchored at 2026-03-06T00:00:05.000Z by w1`);
  expect(said).toContain('not before 2026-03-06T00:00:00.000Z');
  const dead = policyText.replace('quorum 1', 'quorum 2').replace('w1', 'w9');
  const [other, why] = await check(
    'anchored',
    `${policyText.split('\n')[0]}\n${dead.split('\n')[0]}\nquorum w9\n`,
  );
  expect([other, why]).toEqual([2, expect.stringMatching(/line 2: the key of another witness/)]);
  const [none, reason] = await check('anchored', policyText.replace('quorum 1', 'quorum none'));
  expect([none, reason]).toEqual([0, expect.stringContaining('asks for no anchor')]);
});

test('what was changed in it is refuted, and a bundle without it cannot tell', async () => {
  const whole = await readFolder(file('anchored'));
  const trust = trustOf(bench.signer);
  expect(checkBundle(whole, trust).anchored).toMatchObject([{ stream: ACME, size: 100 }]);
  for (const change of [
    (text: string) => text.replace(/"stream_key": "../, '"stream_key": "00'),
    (text: string) => text.replace('"index": "1"', '"index": "0"'),
    (text: string) => text.replace('2026-03-06T00:00:00', '2026-03-05T00:00:00'),
    () => '{}',
  ]) {
    const result = checkBundle(forgeBundle(whole, { [anchorName(0)]: change }), trust);
    expect(result.verdict, String(change)).toBe('broken');
    expect(result.finding).toContain('in its anchor');
  }
  const without = forgeBundle(whole, { [anchorName(0)]: null });
  expect(checkBundle(without, trust).verdict).toBe('intact');
  for (const [name, bytes] of without) {
    await mkdir(join(file('without'), name, '..'), { recursive: true });
    await writeFile(join(file('without'), name), bytes);
  }
  const [code, said] = await check('without', policyText);
  expect([code, said]).toEqual([
    2,
    expect.stringContaining(`does not show that ${ACME} was anchored`),
  ]);
});
