import { createPrivateKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { isFork, verifyCheckpoint } from '../../ledger/checkpoint.ts';
import { hashLeaf } from '../../ledger/merkle/hash.ts';
import { createRange } from '../../ledger/merkle/range.ts';
import { openNote, signNote } from '../../ledger/note.ts';
import {
  createLogSigner,
  parseVkey,
  publicBytesOf,
  publicKeyOf,
  signWithKey,
  verifyBytes,
  type NoteVerifier,
} from '../../ledger/signing.ts';
import { describeShared, readShared } from '../support/shared.ts';

interface NoteCase {
  readonly name: string;
  readonly note_b64: string;
  readonly vkeys: readonly string[];
  readonly expect: 'ok' | 'err';
  readonly verified?: readonly string[];
  readonly unverified_count?: number;
}

interface CheckpointCase {
  readonly name: string;
  readonly note_utf8: string;
  readonly log_vkeys: readonly string[];
  readonly witness_vkeys: readonly string[];
  readonly witness_quorum: number;
  readonly origin: string;
  readonly expect: 'ok' | 'reject';
  readonly size?: number;
  readonly root_hex?: string;
}

interface SignatureCase {
  readonly tcId: number;
  readonly pk: string;
  readonly msg: string;
  readonly sig: string;
  readonly result: 'valid' | 'invalid';
}

const PKCS8_ED25519 = '302e020100300506032b657004220420';
const read = (path: string): unknown => JSON.parse(readShared(`vectors/${path}`));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function keyOf(vkey: string): NoteVerifier {
  const parsed = parseVkey(vkey);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

describeShared('Ed25519 vectors', () => {
  const cases = read('ed25519/wycheproof.json') as SignatureCase[];

  test('all 151 signatures are judged as published', () => {
    expect(cases).toHaveLength(151);
    const wrong = cases.filter(({ pk, msg, sig, result }) => {
      const key = publicKeyOf(Buffer.from(pk, 'hex'));
      const isValid = verifyBytes(key, Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex'));
      return isValid !== (result === 'valid');
    });
    expect(wrong.map(({ tcId }) => tcId)).toEqual([]);
  });
});

describeShared('signed note vectors', () => {
  const notes = read('note/notes.json') as NoteCase[];
  const vkeys = read('note/vkeys.json') as {
    good: string[];
    bad: string[];
    sign: { skey: string; text: string; expected_note: string };
  };

  test.each(notes)('$name', (vector) => {
    const opened = openNote(Buffer.from(vector.note_b64, 'base64'), vector.vkeys.map(keyOf));
    expect(opened.ok).toBe(vector.expect === 'ok');
    if (!opened.ok) return;
    const { verified, unverified } = opened.value;
    expect(verified.map(({ name, id }) => `${name}+${id}`)).toEqual(vector.verified);
    expect(unverified).toHaveLength(vector.unverified_count ?? 0);
  });

  test.each(vkeys.good)('the key %s is read', (vkey) => expect(parseVkey(vkey).ok).toBe(true));
  test.each(vkeys.bad)('the key %j is refused', (vkey) => expect(parseVkey(vkey).ok).toBe(false));

  test('a note is signed as Go signs it, byte for byte', async () => {
    // PRIVATE+KEY+<name>+<key id>+<base64 of: type, seed>
    const [name = '', , ...secret] = vkeys.sign.skey.slice('PRIVATE+KEY+'.length).split('+');
    const seed = Buffer.from(secret.join('+'), 'base64').subarray(1);
    const key = createPrivateKey({
      key: Buffer.concat([Buffer.from(PKCS8_ED25519, 'hex'), seed]),
      format: 'der',
      type: 'pkcs8',
    });
    const signer = createLogSigner(name, publicBytesOf(key), signWithKey(key));
    expect(await signNote(vkeys.sign.text, [signer])).toBe(vkeys.sign.expected_note);
    expect(vkeys.good).toContain(signer.vkey);
  });
});

describeShared('checkpoint vectors', () => {
  const { cases } = read('note/checkpoints.json') as { cases: CheckpointCase[] };

  test.each(cases)('$name', (vector) => {
    const verified = verifyCheckpoint(vector.note_utf8, {
      origin: vector.origin,
      logKeys: vector.log_vkeys.map(keyOf),
      witnessKeys: vector.witness_vkeys.map(keyOf),
      quorum: vector.witness_quorum,
    });
    expect(verified.ok).toBe(vector.expect === 'ok');
    if (!verified.ok) return;
    expect(verified.value.size).toBe(BigInt(vector.size ?? -1));
    expect(toHex(verified.value.root)).toBe(vector.root_hex);
  });

  test('two valid checkpoints of one size with two roots are a fork; one twice is none', () => {
    const fork = read('note/fork-evidence.json') as {
      origin: string;
      log_vkeys: string[];
      a: string;
      b: string;
    };
    const policy = { origin: fork.origin, logKeys: fork.log_vkeys.map(keyOf) };
    const [a, b] = [verifyCheckpoint(fork.a, policy), verifyCheckpoint(fork.b, policy)];
    if (!a.ok || !b.ok) throw new Error('both verify');
    expect(isFork(a.value, b.value)).toBe(true);
    expect(isFork(a.value, a.value)).toBe(false);
  });

  test('a log of another implementation has the roots that it signed, at every size', () => {
    const log = read('note/tessera-testlog.json') as {
      vkey: string;
      entries_utf8: string[];
      checkpoints_by_size: string[];
    };
    const key = keyOf(log.vkey);
    const range = createRange();
    expect(log.checkpoints_by_size).toHaveLength(log.entries_utf8.length + 1);
    for (const [size, note] of log.checkpoints_by_size.entries()) {
      const verified = verifyCheckpoint(note, { origin: key.name, logKeys: [key] });
      if (!verified.ok) throw new Error(verified.error.message);
      expect(verified.value.size).toBe(BigInt(size));
      expect(toHex(verified.value.root)).toBe(toHex(range.root()));
      range.append(hashLeaf(Buffer.from(log.entries_utf8[size] ?? '')));
    }
  });
});
