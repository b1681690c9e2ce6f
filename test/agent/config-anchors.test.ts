/** Anchors of a configuration: a quorum is of different places, each of which can be reached and not be forged. */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { formatVkey, KEY_TYPE, publicBytesOf } from '../../ledger/signing.ts';
import { faultsOf, LEAST } from '../support/config.ts';

const publicKey = publicBytesOf(generateKeyPairSync('ed25519').privateKey);
const witness = (name: string, keyName = name, key = publicKey): object => ({
  name,
  url: 'https://witness.example',
  vkey: formatVkey(keyName, KEY_TYPE.witness, key),
});
const fieldsOf = async (anchors: object): Promise<readonly string[]> =>
  (await faultsOf({ ...LEAST, anchors })).map(({ field }) => field);

test('one place, and one key, is one anchor under whatever names', async () => {
  const other = { name: 'b' };
  const twice: readonly (readonly [string, object, object])[] = [
    ['witness/1/vkey', witness('a'), witness('b', 'another-name')],
    ['file/1/path', { name: 'a', path: '/mnt/worm/x' }, { ...other, path: '/mnt/worm/x' }],
    [
      'postgresql/1/url',
      { name: 'a', url: 'postgresql://w@db/x' },
      { ...other, url: 'postgresql://w@db/x' },
    ],
    [
      'timestamp/1/url',
      { name: 'a', url: 'https://tsa.example', ca_file: 'a.pem' },
      { ...other, url: 'https://tsa.example', ca_file: 'b.pem' },
    ],
  ];
  for (const [field, first, second] of twice) {
    const [kind = ''] = field.split('/');
    expect(await fieldsOf({ quorum: 1, [kind]: [first] }), kind).toEqual([]);
    expect(await fieldsOf({ quorum: 2, [kind]: [first, second] })).toEqual([`/anchors/${field}`]);
  }
});

test('two keys that begin alike before a plus sign of base64 are two witnesses', async () => {
  const [a, b] = [1, 2].map((byte) =>
    witness(`w${byte}`, `w${byte}`, Buffer.from([0x0f, 0xbe, ...Array<number>(30).fill(byte)])),
  );
  expect(JSON.stringify([a, b])).toMatch(/\+BA\+.*\+BA\+/);
  expect(await fieldsOf({ quorum: 2, witness: [a, b] })).toEqual([]);
});

test('a quorum that cannot be reached, and answers that can be changed on their way, are refused', async () => {
  expect(await fieldsOf({ quorum: 2, witness: [witness('a')] })).toEqual(['/anchors/quorum']);
  const plain = { ...witness('a'), url: 'http://witness.example' };
  expect(await fieldsOf({ witness: [plain] })).toEqual(['/anchors/witness/0/url']);
  const log = { ...witness('a'), vkey: formatVkey('a', KEY_TYPE.log, publicKey) };
  expect(await fieldsOf({ witness: [log] })).toEqual(['/anchors/witness/0/vkey']);
});
