/**
 * What the published vectors have no case of: notes, keys, checkpoints and proofs that are nearly right. Each refusal
 * stands beside the form that is taken.
 */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { verifyCheckpoint } from '../../ledger/checkpoint.ts';
import { EMPTY_ROOT, hashLeaf } from '../../ledger/merkle/hash.ts';
import { createRange } from '../../ledger/merkle/range.ts';
import { verifyConsistency, verifyInclusion } from '../../ledger/merkle/verify-proof.ts';
import { openNote, parseNote, signNote } from '../../ledger/note.ts';
import {
  createLogSigner,
  createWitnessSigner,
  formatVkey,
  KEY_TYPE,
  parseVkey,
  publicBytesOf,
  signWithKey,
  type NoteSigner,
  type NoteVerifier,
} from '../../ledger/signing.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const publicKey = publicBytesOf(privateKey);
const NAME = 'log.example/odd';
const signer = createLogSigner(NAME, publicKey, signWithKey(privateKey));
const key = keyOf(signer);

function keyOf({ vkey }: Pick<NoteSigner, 'vkey'>): NoteVerifier {
  const parsed = parseVkey(vkey);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

const sign = (text: string): Promise<string> => signNote(text, [signer]);
const isOpened = (note: string | Uint8Array): boolean => openNote(note, [key]).ok;

describe('a note', () => {
  test('is the same bytes: another end of line, a mark in front, a blank, a missing newline are another note', async () => {
    const note = await sign('one\ntwo\n');
    expect(isOpened(note)).toBe(true);
    for (const other of [
      note.replaceAll('\n', '\r\n'),
      note.replace('one\n', 'one\r\n'),
      `\ufeff${note}`,
      ` ${note}`,
      note.slice(0, -1),
      `${note}\n`,
      `${note} `,
      note.replace('\n\n', '\n'),
      note.replace('\n\n', '\n\n\n'),
      note.replace('\u2014', '-'),
      note.replace('\u2014 ', '\u2014  '),
      note.replace('\u2014 ', '\u2014\u00a0'),
      note.replace(/ (\S+)\n$/, ' $1=\n'),
      note.replace(/ (\S+)\n$/, ' $1\t\n'),
      note.replace('one', 'one\u0000'),
      note.replace('one', 'o\ud800e'),
    ])
      expect(isOpened(other), JSON.stringify(other)).toBe(false);
    const latin = Buffer.from(await sign('caf\u00e9\n'));
    expect(isOpened(latin)).toBe(true);
    expect(isOpened(Buffer.from(latin.toString('utf8'), 'latin1'))).toBe(false);
  });

  test('may hold any text: empty lines, marks of other texts, characters beyond the first plane', async () => {
    for (const text of ['\n', '\n\n', '\ufeffx\n', '\u2014 a b\n', 'a\u2028b\n', '\u{1f600}\n']) {
      const opened = openNote(await sign(text), [key]);
      expect(opened.ok && opened.value.text, JSON.stringify(text)).toBe(text);
    }
  });

  test('half a character is none, whatever would be signed in its place', async () => {
    const note = await sign('a\ufffdb\n');
    expect(isOpened(note)).toBe(true);
    expect(isOpened(note.replace('\ufffd', '\udc00'))).toBe(false);
    expect(parseNote(note.replace('\ufffd', '\udc00')).ok).toBe(false);
  });

  test('base64 has one spelling: bits behind the end, no padding, the other alphabet are none', async () => {
    const note = await sign('text\n');
    const [, body = ''] = / (\S+)\n$/.exec(note) ?? [];
    // 68 bytes: one = at the end, before which two bits mean nothing.
    expect(body).toMatch(/[^=]=$/);
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    const last = alphabet.indexOf(body.at(-2) ?? '');
    const spelled = `${body.slice(0, -2)}${alphabet[last | 1]}=`;
    expect(Buffer.from(spelled, 'base64')).toEqual(Buffer.from(body, 'base64'));
    const urlSafe = `--__${body.slice(4)}`;
    for (const other of [
      spelled,
      body.slice(0, -1),
      `${body}=`,
      urlSafe,
      `${body.slice(0, 8)} ${body.slice(8)}`,
    ])
      expect(parseNote(note.replace(body, other)).ok, other).toBe(false);
  });

  test('signatures: twice the same is once, unknown ones are left aside, a known one that fails refuses', async () => {
    const note = await sign('text\n');
    const line = note.slice(note.indexOf('\u2014'));
    const twice = openNote(note + line, [key]);
    expect(twice.ok && twice.value.verified).toHaveLength(1);
    const other = createLogSigner('other', publicKey, signWithKey(privateKey));
    const both = openNote(await signNote('text\n', [other, signer]), [key]);
    expect(both.ok && both.value.unverified).toHaveLength(1);
    // An unknown type of signature under a name that is known: another key id, so another key.
    const strange = Buffer.concat([Buffer.from('01020304', 'hex'), Buffer.alloc(2000, 7)]);
    const unknown = openNote(`${note}\u2014 ${NAME} ${strange.toString('base64')}\n`, [key]);
    expect(unknown.ok && unknown.value.unverified).toHaveLength(1);
    for (const length of [0, 63, 65, 72]) {
      const bytes = Buffer.concat([Buffer.from(signer.id, 'hex'), Buffer.alloc(length, 1)]);
      expect(isOpened(`text\n\n\u2014 ${NAME} ${bytes.toString('base64')}\n`), `${length}`).toBe(
        false,
      );
    }
  });

  test('names: letters of any language and control characters that are no blanks; no blank, no plus', async () => {
    const named = (name: string): boolean =>
      parseVkey(formatVkey(name, KEY_TYPE.log, publicKey)).ok;
    for (const name of ['\u0142\u00f3d\u017a', '\u{1f512}', 'a/b', 'a\u007f', '\u200b'])
      expect(named(name), JSON.stringify(name)).toBe(true);
    for (const name of [
      '',
      'a b',
      'a+b',
      'a\u00a0b',
      'a\u0085',
      'a\u2003b',
      'a\u3000',
      'a\n',
      'a\ud800',
    ])
      expect(named(name), JSON.stringify(name)).toBe(false);
    const polish = createLogSigner('\u0142\u00f3d\u017a', publicKey, signWithKey(privateKey));
    const note = await signNote('text\n', [polish]);
    expect(openNote(note, [keyOf(polish)]).ok).toBe(true);
  });
});

test('a key of an unknown type, of another length, or with an id that is not its own is refused', () => {
  const [name = '', id = '', text = ''] = signer.vkey.split('+', 3);
  const rest = signer.vkey.slice(name.length + id.length + 2);
  expect(text).not.toBe('');
  expect(parseVkey(`${name}+${id}+${rest}`).ok).toBe(true);
  for (const type of [0x00, 0x02, 0x03, 0x06, 0xff])
    expect(parseVkey(formatVkey(NAME, type as 1, publicKey)).ok, String(type)).toBe(false);
  expect(parseVkey(formatVkey(NAME, KEY_TYPE.log, publicKey.subarray(1))).ok).toBe(false);
  expect(parseVkey(formatVkey(NAME, KEY_TYPE.log, Buffer.concat([publicKey, publicKey]))).ok).toBe(
    false,
  );
  for (const vkey of [
    `${name}+${id}+${rest}\n`,
    `${name}+${id}+${rest} `,
    `${name}+${id}+${rest.replace(/=*$/, '')}==`,
    `${name}+0${id}+${rest}`,
    `${name}+${'0'.repeat(8)}+${rest}`,
    `${name} +${id}+${rest}`,
  ])
    expect(parseVkey(vkey).ok, JSON.stringify(vkey)).toBe(false);
});

describe('a checkpoint', () => {
  const root = Buffer.from(EMPTY_ROOT).toString('base64');
  const any = Buffer.alloc(32, 9).toString('base64');
  const verify = async (text: string, origin = 'o'): Promise<boolean> =>
    verifyCheckpoint(await sign(text), { origin, logKeys: [key] }).ok;

  test('states its size in one way, up to 2^64 - 1, and beyond 2^53 to the last digit', async () => {
    for (const size of ['1', '9007199254740993', '18446744073709551615']) {
      const verified = verifyCheckpoint(await sign(`o\n${size}\n${any}\n`), {
        origin: 'o',
        logKeys: [key],
      });
      expect(verified.ok && verified.value.size, size).toBe(BigInt(size));
    }
    for (const size of [
      '',
      '01',
      '+1',
      '-0',
      '1.0',
      '1e3',
      '0x1',
      ' 1',
      '1 ',
      '\u0661',
      '18446744073709551616',
    ])
      expect(await verify(`o\n${size}\n${any}\n`), size).toBe(false);
  });

  test('of no records has the root of none; of one record any', async () => {
    expect(await verify(`o\n0\n${root}\n`)).toBe(true);
    expect(await verify(`o\n0\n${any}\n`)).toBe(false);
    expect(await verify(`o\n1\n${any}\n`)).toBe(true);
  });

  test('has an origin, a root of 32 bytes, and no empty line behind it', async () => {
    expect(await verify(`o\n1\n${any}\nextension\n`)).toBe(true);
    for (const text of [
      `\n1\n${any}\n`,
      `o\n1\n${any}`.concat('\n\n'),
      `o\n1\n${any}\n\nextension\n`,
      `o\n1\n\n`,
      `o\n1\n${Buffer.alloc(31).toString('base64')}\n`,
      `o\n1\n${Buffer.alloc(33).toString('base64')}\n`,
      `o\n1\n${any} \n`,
      `o\n1\n`,
    ])
      expect(await verify(text), JSON.stringify(text)).toBe(false);
    expect(await verify(`\n1\n${any}\n`, '')).toBe(false);
    // A name is its characters: composed and not composed are two origins.
    expect(await verify(`caf\u00e9\n1\n${any}\n`, 'caf\u00e9')).toBe(true);
    expect(await verify(`cafe\u0301\n1\n${any}\n`, 'caf\u00e9')).toBe(false);
  });

  test('a cosignature is no signature of the log, and a witness with two keys is one', async () => {
    const witness = createWitnessSigner(NAME, publicKey, signWithKey(privateKey), () => 7n);
    const text = `o\n1\n${any}\n`;
    const cosigned = await signNote(text, [witness]);
    expect(verifyCheckpoint(cosigned, { origin: 'o', logKeys: [keyOf(witness)] }).ok).toBe(false);
    const second = generateKeyPairSync('ed25519').privateKey;
    const two = createWitnessSigner(NAME, publicBytesOf(second), signWithKey(second), () => 8n);
    const note = await signNote(text, [signer, witness, two]);
    const policy = { origin: 'o', logKeys: [key], witnessKeys: [witness, two].map(keyOf) };
    expect(verifyCheckpoint(note, { ...policy, quorum: 1 }).ok).toBe(true);
    expect(verifyCheckpoint(note, { ...policy, quorum: 2 }).ok).toBe(false);
  });
});

describe('a proof', () => {
  const leaves = Array.from({ length: 7 }, (_, at) => hashLeaf(Buffer.of(at)));
  const rootOf = (size: number): Uint8Array => {
    const range = createRange();
    for (const leaf of leaves.slice(0, size)) range.append(leaf);
    return range.root();
  };

  test('of inclusion has as many hashes as the sizes ask for, of 32 bytes each', () => {
    const [leaf = EMPTY_ROOT, sibling = EMPTY_ROOT] = leaves;
    const one = { index: 0n, size: 1n, root: leaf, leaf };
    expect(verifyInclusion({ ...one, proof: [] })).toBe(true);
    expect(verifyInclusion({ ...one, proof: [sibling] })).toBe(false);
    const two = { index: 0n, size: 2n, root: rootOf(2), leaf };
    expect(verifyInclusion({ ...two, proof: [sibling] })).toBe(true);
    expect(verifyInclusion({ ...two, proof: [] })).toBe(false);
    expect(verifyInclusion({ ...two, proof: [sibling, sibling] })).toBe(false);
    expect(verifyInclusion({ ...two, proof: [sibling.subarray(1)] })).toBe(false);
    // An inner node, shown as a leaf of a smaller tree.
    expect(
      verifyInclusion({ index: 0n, size: 1n, root: rootOf(2), leaf: rootOf(2), proof: [] }),
    ).toBe(true);
    expect(
      verifyInclusion({ index: 0n, size: 2n, root: rootOf(4), leaf: rootOf(2), proof: [] }),
    ).toBe(false);
    for (const [index, size] of [
      [-1n, 1n],
      [1n, 1n],
      [0n, 0n],
      [2n ** 64n, 2n ** 64n],
    ] as const)
      expect(verifyInclusion({ ...one, index, size, proof: [] }), `${index} of ${size}`).toBe(
        false,
      );
    const endless = Array.from({ length: 10_000 }, () => sibling);
    expect(verifyInclusion({ ...one, size: 2n ** 63n, proof: endless })).toBe(false);
  });

  test('of consistency says nothing from no records on, and nothing backwards', () => {
    const from = (size1: number, size2: number, proof: readonly Uint8Array[]): boolean =>
      verifyConsistency({
        ...{ size1: BigInt(size1), size2: BigInt(size2), proof },
        ...{ root1: rootOf(size1), root2: rootOf(size2) },
      });
    expect(from(0, 0, [])).toBe(true);
    expect(from(0, 7, [])).toBe(false);
    expect(from(7, 7, [])).toBe(true);
    expect(from(7, 7, [EMPTY_ROOT])).toBe(false);
    expect(from(7, 6, [])).toBe(false);
    const [, , third = EMPTY_ROOT] = leaves;
    expect(from(2, 3, [third])).toBe(true);
    expect(from(2, 3, [])).toBe(false);
    expect(from(2, 3, [third, third])).toBe(false);
    expect(from(1, 3, [third])).toBe(false);
  });
});
