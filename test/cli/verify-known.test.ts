import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { fillLedger } from '../../bench/sealed-ledger.ts';
import { createLogSigner, publicBytesOf, signWithKey } from '../../ledger/signing.ts';
import { runCli } from '../support/agent-process.ts';
import { journalOf, TEST_SIGNER } from '../support/checkpoints.ts';
import { makeMemoryDir, makeTempDir } from '../support/ledger.ts';
import { receiptFile, RECORDS, writeTrail, type Trail } from '../attacks/trail.ts';

let trail: Trail;
let dir = '';
const at = (name: string): string => join(dir, name);

beforeAll(async () => {
  const temp = await makeMemoryDir();
  dir = temp.path;
  trail = await writeTrail(dir);
  const kept = (await journalOf(dir)).findLast(({ origin }) => origin === trail.stream);
  await writeFile(at('keys.txt'), `${TEST_SIGNER.vkey}\n`);
  await writeFile(at('kept.note'), kept?.note ?? '');
  await writeFile(at('receipts.ndjson'), receiptFile(trail.receipts).text);
  await writeFile(at('policy.txt'), 'quorum none\n');
  return async () => temp[Symbol.asyncDispose]();
});

test('with keys it says to which size it is verified; without, that no signature was judged', async () => {
  const known = ['--checkpoints', at('kept.note'), '--receipts', at('receipts.ndjson')];
  const signed = await runCli(['verify', dir, '--trust', at('keys.txt'), ...known]);
  expect(signed.stdout).toContain(`verified to size ${RECORDS + 1}`);
  expect(signed.code).toBe(0);
  const unjudged = await runCli(['verify', dir]);
  expect(unjudged.stdout).toContain(
    `fits its checkpoints up to size ${RECORDS + 1}, whose signatures were not judged`,
  );
  expect(unjudged.code).toBe(0);
  await writeFile(at('forged.ndjson'), receiptFile([{ ...trail.receipts[3]!, seq: 9 }]).text);
  const forged = await runCli(['verify', dir, '--receipts', at('forged.ndjson'), '--json']);
  expect(forged.code).toBe(1);
  expect(JSON.parse(forged.stdout)).toMatchObject({
    findings: [{ kind: 'receipt_differs', seq: 9 }],
  });
});

test('with the keys of somebody else nothing can be told, and a note says why', async () => {
  const { privateKey: key } = generateKeyPairSync('ed25519');
  const stranger = createLogSigner('sealtrail/stranger', publicBytesOf(key), signWithKey(key));
  await writeFile(at('stranger.txt'), `${stranger.vkey}\n`);
  const { code, stdout } = await runCli(['verify', dir, '--trust', at('stranger.txt')]);
  expect(code).toBe(2);
  expect(stdout).toMatch(/^NOTE +\d+ checkpoints are signed by no key that is trusted$/m);
});

test('what a file of others says writes over no line of the verdict', async () => {
  const stream = `${trail.stream}\u001b[1F\u009b2K\u202eintact`;
  await writeFile(at('hostile.ndjson'), receiptFile([{ ...trail.receipts[3]!, stream }]).text);
  const { code, stdout } = await runCli(['verify', dir, '--receipts', at('hostile.ndjson')]);
  expect(code).toBe(1);
  expect(stdout).toContain('\\u{1b}[1F\\u{9b}2K\\u{202e}intact');
  expect([...'\u001b\u009b\u202e'].filter((one) => stdout.includes(one))).toEqual([]);
});

test('what cannot be meant is refused with the remedy', async () => {
  for (const [args, said] of [
    [['--policy', at('policy.txt')], '--trust'],
    [['--trust', at('nowhere')], 'ENOENT'],
    [['--checkpoints', at('nowhere')], 'ENOENT'],
    [['--since', 'yesterday'], '2026-11-01T00:00:00Z'],
    [['--until', '2026-11-01T00:00:00'], '2026-11-01T00:00:00Z'],
    [['--stream', 'x'], '--stream is of a store'],
    [['--threads', 'many'], 'number of threads'],
  ] as const) {
    const { code, stderr } = await runCli(['verify', dir, ...args]);
    expect([args, code]).toEqual([args, 2]);
    expect(stderr).toContain(said);
  }
});

test('threads judge a ledger of many chunks, and find in it what one finds', async () => {
  await using temp = await makeTempDir();
  await fillLedger(temp.path, 24_000);
  const untouched = await runCli(['verify', temp.path, '--json', '--threads', '2']);
  expect(untouched.code).toBe(0);
  const alone = await runCli(['verify', temp.path, '--json', '--threads', '0']);
  expect(JSON.parse(untouched.stdout)).toEqual(JSON.parse(alone.stdout));
});
