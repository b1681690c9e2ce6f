import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { hashLeaf } from '../../ledger/merkle/hash.ts';
import { signNote } from '../../ledger/note.ts';
import {
  createLogSigner,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
} from '../../ledger/signing.ts';
import { parseTrust, verifyTrusted } from '../../ledger/trust.ts';

const ORIGIN = 'sealtrail/a/0/t/standard';
const root = hashLeaf(Buffer.from('x'));

function makeSigner(): NoteSigner {
  const key = generateKeyPairSync('ed25519').privateKey;
  return createLogSigner('sealtrail/a', publicBytesOf(key), signWithKey(key));
}

const [older, newer] = [makeSigner(), makeSigner()];
const noteOf = (size: bigint, ...signers: NoteSigner[]): Promise<string> =>
  signNote(formatCheckpoint({ origin: ORIGIN, size, root }), signers);

async function judge(trust: string, size: bigint, ...signers: NoteSigner[]): Promise<string> {
  const parsed = parseTrust(trust);
  if (!parsed.ok) throw new Error(parsed.error);
  const verified = verifyTrusted(await noteOf(size, ...signers), ORIGIN, parsed.value);
  return verified.ok ? 'ok' : verified.error.kind;
}

test('what a key signed before it was replaced still verifies; a newer key is never accepted for older sizes', async () => {
  const trust = `${older.vkey} ${ORIGIN} 0 100\n# since March\n${newer.vkey} ${ORIGIN} 100 -\n`;
  expect(await judge(trust, 99n, older)).toBe('ok');
  expect(await judge(trust, 100n, newer)).toBe('ok');
  expect(await judge(trust, 99n, newer)).toBe('key_window');
  expect(await judge(trust, 100n, older)).toBe('key_window');
  // Where one takes over from the other both sign, and one of them may.
  expect(await judge(trust, 100n, older, newer)).toBe('ok');
});

test('where a key that was revoked has signed beside the one that took over, and is named no more, nothing can be told', async () => {
  const both = `${older.vkey} ${ORIGIN} 0 100\n${newer.vkey} ${ORIGIN} 100 -\n`;
  expect(await judge(both, 99n, older, newer)).toBe('ok');
  // As `keys list` prints them.
  const left = `${newer.vkey} ${ORIGIN} 100 -\n`;
  expect(await judge(left, 99n, older, newer)).toBe('no_known_key');
  expect(await judge(left, 100n, older, newer)).toBe('ok');
  expect(await judge(left, 99n, newer)).toBe('key_window');
});

test('a window is of one stream, and a key without one is for all', async () => {
  expect(await judge(`${older.vkey} ${ORIGIN}/other 0 -`, 5n, older)).toBe('key_window');
  expect(await judge(`${older.vkey} ${ORIGIN}/other 0 -\n${older.vkey} * 5 6`, 5n, older)).toBe(
    'ok',
  );
  expect(await judge(older.vkey, 5n, older)).toBe('ok');
  expect(await judge(older.vkey, 5n, newer)).toBe('no_known_key');
});

test.each([
  '',
  '# nobody',
  'sealtrail/a+00000000+AAAA',
  `${older.vkey} * 1`.slice(0, -1) + 'x -',
  `${older.vkey} * 0 - more`,
])('the trust file %j is refused', (text) => expect(parseTrust(text).ok).toBe(false));
