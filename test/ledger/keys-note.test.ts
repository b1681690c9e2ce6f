/** Keys notes against a plain model: for each origin a list that says, size by size, whose it is. */
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import {
  beginKeys,
  currentKey,
  findBreach,
  formatKeys,
  keysOf,
  openKeysNote,
  parseKeys,
  revokeKey,
  rotateKeys,
  trustOf,
  type Keys,
} from '../../ledger/keys-note.ts';
import { hashLeaf } from '../../ledger/merkle/hash.ts';
import { signNote } from '../../ledger/note.ts';
import {
  createLogSigner,
  parseVkey,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
  type NoteVerifier,
} from '../../ledger/signing.ts';
import { maySign, verifyTrusted } from '../../ledger/trust.ts';

const AGENT = 'sealtrail/a';
const ORIGINS = ['i1', 'i1/t1/standard', 'i1/t2/health', 'i2'].map((one) => `${AGENT}/${one}`);
const TIME = '2026-03-01T00:00:00.000Z';

function makeSigner(name = AGENT): NoteSigner {
  const key = generateKeyPairSync('ed25519').privateKey;
  return createLogSigner(name, publicBytesOf(key), signWithKey(key));
}

const SIGNERS = Array.from({ length: 6 }, () => makeSigner());
const verifierOf = ({ vkey }: NoteSigner): NoteVerifier => {
  const key = parseVkey(vkey);
  if (!key.ok) throw new Error(key.error);
  return key.value;
};
const KEYS = SIGNERS.map(verifierOf);
const signerAt = (at: number): NoteSigner => SIGNERS[at] ?? makeSigner();
const vkeyAt = (at: number): string => signerAt(at).vkey;

/** Either an origin is signed to so many more records, or the next key takes over. */
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ at: fc.nat(ORIGINS.length - 1), more: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.constant('rotate' as const) },
);

test('whatever is signed and rotated: each size of each origin belongs to the one key that signed when it came', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let keys = beginKeys(AGENT, vkeyAt(0));
      let now = 0;
      const signed = new Map<string, bigint>();
      const owners = new Map<string, number[]>(ORIGINS.map((origin) => [origin, []]));
      for (const one of steps) {
        if (one !== 'rotate') {
          const origin = ORIGINS[one.at] ?? '';
          signed.set(origin, (signed.get(origin) ?? 0n) + BigInt(one.more));
          continue;
        }
        if (now === SIGNERS.length - 1) continue;
        // Sizes that are signed and nobody's yet are the old key's, the empty tree with them.
        for (const [origin, size] of signed) {
          const list = owners.get(origin) ?? [];
          while (list.length <= Number(size)) list.push(now);
        }
        now += 1;
        const next = rotateKeys(keys, vkeyAt(now), signed);
        expect(findBreach(keys, next)).toBeNull();
        keys = next;
      }
      expect(currentKey(keys)).toBe(vkeyAt(now));
      expect(parseKeys(formatKeys(keys))).toEqual({ ok: true, value: keys });
      for (const [origin, list] of [...owners, [`${AGENT}/i3`, []] as const])
        for (let size = 0; size < list.length + 3; size++) {
          const may = KEYS.flatMap((key, at) =>
            maySign(key, origin, BigInt(size), keys.windows) ? [at] : [],
          );
          expect(may, `${origin} at ${size}`).toEqual([list[size] ?? now]);
        }
    }),
    { numRuns: 300 },
  );
});

const root = makeSigner('acme/root');
const origin = ORIGINS[1] ?? '';
const noteAt = (size: bigint, ...signers: NoteSigner[]): Promise<string> =>
  signNote(formatCheckpoint({ origin, size, root: hashLeaf(Buffer.from('x')) }), signers);

async function judge(keys: Keys, size: bigint, ...signers: NoteSigner[]): Promise<string> {
  const opened = openKeysNote(await signNote(formatKeys(keys), [root]), verifierOf(root));
  if (!opened.ok) throw new Error(opened.error);
  const verified = verifyTrusted(await noteAt(size, ...signers), origin, trustOf(opened.value));
  return verified.ok ? 'ok' : verified.error.kind;
}

const v1 = beginKeys(AGENT, vkeyAt(0));
const v2 = rotateKeys(v1, vkeyAt(1), new Map([[origin, 100n]]));
const v3 = rotateKeys(v2, vkeyAt(2), new Map([[origin, 250n]]));

test('what v1 signed verifies after v2 and v3; a newer key is never accepted for an older size', async () => {
  for (const keys of [v1, v2, v3]) expect(await judge(keys, 100n, signerAt(0))).toBe('ok');
  expect(await judge(v2, 101n, signerAt(1))).toBe('ok');
  expect(await judge(v3, 250n, signerAt(1))).toBe('ok');
  expect(await judge(v3, 251n, signerAt(2))).toBe('ok');
  // CVE-2023-31439: an old history sealed again under a newer key.
  expect(await judge(v3, 100n, signerAt(1))).toBe('key_window');
  expect(await judge(v3, 100n, signerAt(2))).toBe('key_window');
  expect(await judge(v3, 250n, signerAt(2))).toBe('key_window');
  // A stolen retired key seals nothing new.
  expect(await judge(v3, 101n, signerAt(0))).toBe('key_window');
  expect(await judge(v3, 251n, signerAt(1))).toBe('key_window');
  // Both sign where one takes over; the one whose size it is counts.
  expect(await judge(v2, 100n, signerAt(0), signerAt(1))).toBe('ok');
  expect(await judge(v2, 101n, signerAt(0), signerAt(1))).toBe('ok');
  expect(await judge(v1, 5n, signerAt(1))).toBe('no_known_key');
});

test('a revoked key is believed in nothing, not even beside its window; another key that may sign still is', async () => {
  const revoked = revokeKey(v3, { vkey: vkeyAt(0), time: TIME, reason: 'a backup was stolen' });
  if (!revoked.ok) throw new Error(revoked.error);
  expect(await judge(v3, 100n, signerAt(0))).toBe('ok');
  expect(await judge(revoked.value, 100n, signerAt(0))).toBe('key_revoked');
  expect(await judge(revoked.value, 101n, signerAt(0), signerAt(1))).toBe('ok');
  expect(await judge(revoked.value, 250n, signerAt(1))).toBe('ok');
  const verified = verifyTrusted(await noteAt(100n, signerAt(0)), origin, trustOf(revoked.value));
  expect(verified).toMatchObject({
    error: { message: expect.stringContaining('cosignatures') as string },
  });
  expect(revokeKey(v3, { vkey: vkeyAt(2), time: TIME, reason: 'x' }).ok, 'it signs now').toBe(
    false,
  );
  expect(revokeKey(v3, { vkey: vkeyAt(5), time: TIME, reason: 'x' }).ok, 'not known').toBe(false);
  expect(revokeKey(v3, { vkey: vkeyAt(0), time: TIME, reason: 'a\nb' }).ok, 'two lines').toBe(
    false,
  );
  expect(revokeKey(revoked.value, { vkey: vkeyAt(0), time: TIME, reason: 'x' }).ok).toBe(false);
});

test('a key of one agent vouches for no log of another', async () => {
  const windows = v1.windows;
  const [key] = KEYS;
  if (key === undefined) throw new Error('no key');
  expect(maySign(key, `${AGENT}/i9`, 5n, windows)).toBe(true);
  for (const other of ['sealtrail/b/i9', `${AGENT}b/i9`, AGENT])
    expect(maySign(key, other, 5n, windows)).toBe(false);
});

test('only a signature of the root opens a keys note', async () => {
  const text = formatKeys(v2);
  const note = await signNote(text, [root]);
  expect(openKeysNote(note, verifierOf(root)).ok).toBe(true);
  expect(openKeysNote(note.replace(' 2\n', ' 3\n'), verifierOf(root)).ok).toBe(false);
  expect(openKeysNote(await signNote(text, [makeSigner('acme/root')]), verifierOf(root)).ok).toBe(
    false,
  );
  expect(openKeysNote(await signNote(text, [signerAt(1)]), verifierOf(root)).ok).toBe(false);
  expect(openKeysNote(text, verifierOf(root)).ok).toBe(false);
});

test('the root signs no text that rewrites what it has signed', () => {
  const breachOf = (before: Keys, next: Keys): string => findBreach(before, next) ?? 'none';
  const revoked = revokeKey(v3, { vkey: vkeyAt(0), time: TIME, reason: 'stolen' });
  if (!revoked.ok) throw new Error(revoked.error);
  expect(breachOf(v2, v3)).toBe('none');
  expect(breachOf(v1, v3)).toBe('none');
  expect(breachOf(v3, revoked.value)).toBe('none');
  expect(breachOf(v3, v2)).toContain('number');
  expect(breachOf(v3, v3)).toContain('number');
  expect(breachOf(revoked.value, { ...v3, number: 9 })).toContain('revoked');
  expect(breachOf(v2, { ...v3, agent: 'sealtrail/b' })).toContain('sealtrail/b');
  const longer = rotateKeys(v1, vkeyAt(1), new Map([[origin, 200n]]));
  expect(breachOf(v2, { ...longer, number: 3 })).toContain('closed window');
  const back = rotateKeys(v3, vkeyAt(0), new Map([[origin, 300n]]));
  expect(breachOf(v3, back)).toContain('replaced key');
  expect(keysOf(v3)).toEqual([vkeyAt(0), vkeyAt(1), vkeyAt(2)]);
});

test.each([
  ['nothing', ''],
  ['another version', formatKeys(v2).replace('v1', 'v2')],
  ['a key of another name', formatKeys(v2).replace('sealtrail/a ', 'sealtrail/b ')],
  ['a gap between windows', formatKeys(v2).replace(' 101 -', ' 102 -')],
  ['windows that overlap', formatKeys(v2).replace(' 101 -', ' 100 -')],
  ['no first window', formatKeys(v2).replace(' 0 101', ' 1 101')],
  ['no last window', formatKeys(v2).replace(' 101 -', ' 101 500')],
  ['a leading zero', formatKeys(v2).replace(' 0 101', ' 00 101')],
  ['an origin elsewhere', formatKeys(v2).replaceAll(`${AGENT}/i1`, 'sealtrail/b/i1')],
  ['more words', formatKeys(v2).replace(' 0 101', ' 0 101 x')],
  ['a line too few', formatKeys(v2).split('\n').slice(0, -2).join('\n')],
  ['the newest key revoked', `${formatKeys(v2)}revoked ${vkeyAt(1)} ${TIME} gone\n`],
  ['an unknown key revoked', `${formatKeys(v2)}revoked ${vkeyAt(4)} ${TIME} gone\n`],
  ['a revocation without a reason', `${formatKeys(v2)}revoked ${vkeyAt(0)} ${TIME} \n`],
])('%s is no text of a keys note', (_, text) => {
  expect(parseKeys(formatKeys(v2)).ok).toBe(true);
  expect(parseKeys(text).ok).toBe(false);
});
