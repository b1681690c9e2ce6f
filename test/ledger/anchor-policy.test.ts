import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { parsePolicy } from '../../ledger/anchor-policy.ts';
import { judgeAnchors } from '../../agent/checkpoint/anchors/judge.ts';
import { formatSignature } from '../../ledger/note.ts';
import {
  createWitnessSigner,
  formatVkey,
  KEY_TYPE,
  publicBytesOf,
  signWithKey,
} from '../../ledger/signing.ts';
import type { AnchorEvidence } from '../../ledger/anchor-evidence.ts';
import { createTestLog } from '../support/witness.ts';

const NOW = Date.UTC(2026, 2, 1);

function witness(name: string): {
  readonly vkey: string;
  sign(text: string, atMs: number): Promise<AnchorEvidence>;
} {
  const key = generateKeyPairSync('ed25519').privateKey;
  let atMs = 0;
  const signer = createWitnessSigner(name, publicBytesOf(key), signWithKey(key), () =>
    BigInt(atMs / 1000),
  );
  return {
    vkey: signer.vkey,
    sign: async (text, ms) => {
      atMs = ms;
      const line = formatSignature({ name, id: signer.id, bytes: await signer.sign(text) });
      return {
        kind: 'cosignature',
        anchor: `witness/${name}`,
        time: new Date(Math.min(ms, NOW)).toISOString(),
        line,
      };
    },
  };
}

test('a minority that colludes on an old time, or repeats itself, moves nothing', async () => {
  const [a, b, c] = [witness('a'), witness('b'), witness('c')];
  const { note } = await createTestLog().publication(4);
  const text = note.slice(0, note.indexOf('\n\n') + 1);
  const judge = async (rule: string, evidence: readonly AnchorEvidence[]) => {
    const policy = parsePolicy(
      `witness a ${a.vkey}\nwitness b ${b.vkey}\nwitness c ${c.vkey}\nquorum ${rule}\n`,
    );
    if (!policy.ok) throw new Error(policy.error);
    return judgeAnchors({
      note,
      evidence,
      policy: policy.value,
      policyPath: '/',
      roundTime: new Date(NOW).toISOString(),
    });
  };
  const [early, right, late] = [
    await a.sign(text, NOW - 300_000),
    await b.sign(text, NOW + 1_000),
    await c.sign(text, NOW + 9_000),
  ];
  const time = (ms: number): string => new Date(ms).toISOString();
  expect(await judge('2', [early, right, late])).toMatchObject({
    ok: true,
    value: { time: time(NOW + 1_000), by: ['a', 'b'] },
  });
  expect(await judge('all', [late, early, right])).toMatchObject({
    ok: true,
    value: { time: time(NOW + 9_000) },
  });
  expect(await judge('2', [early, early])).toMatchObject({
    ok: false,
    error: { kind: 'cannot_tell' },
  });
  expect(await judge('none', [])).toMatchObject({ ok: true, value: { time: null } });
  const stale = await a.sign(text, NOW - 3_600_000);
  expect(await judge('1', [stale])).toMatchObject({ ok: false, error: { kind: 'cannot_tell' } });
  const other = await a.sign(text.replace('\n4\n', '\n5\n'), NOW);
  expect(await judge('1', [other, right])).toMatchObject({ ok: false, error: { kind: 'invalid' } });
  const never = await a.sign(text, 2 ** 63);
  expect(await judge('1', [never]), 'a time that no date is').toMatchObject({
    ok: false,
    error: { kind: 'cannot_tell' },
  });
  const more = await a.sign(`${text}\nmore\n`, NOW);
  const line = more.kind === 'cosignature' ? `more\n\n${more.line}` : '';
  expect(await judge('1', [{ ...more, line } as AnchorEvidence])).toMatchObject({
    ok: false,
    error: { kind: 'invalid' },
  });
  const stranger = await witness('d').sign(text, NOW);
  expect(await judge('1', [stranger])).toMatchObject({ ok: false, error: { kind: 'cannot_tell' } });
  expect(await judge('1', [stranger, right])).toMatchObject({ ok: true, value: { by: ['b'] } });
});

test('two keys that end alike behind a plus sign of base64 are two keys', () => {
  const [a, b] = ['a', 'b'].map((name, at) =>
    formatVkey(name, KEY_TYPE.witness, Buffer.from([...Array<number>(29).fill(at), 0xf8, 0, 0])),
  );
  expect([a?.slice(-4), b?.slice(-4)]).toEqual(['+AAA', '+AAA']);
  expect(parsePolicy(`witness a ${a}\nwitness b ${b}\nquorum 2\n`)).toMatchObject({ ok: true });
});

test('a policy with a fault is refused by its line', () => {
  const [a, b] = [witness('a').vkey, witness('b').vkey];
  const faults: readonly (readonly [string, string])[] = [
    ['', 'no quorum'],
    [`witness a ${a}`, 'no quorum'],
    [`witness a ${a}\nquorum 2`, 'line 2'],
    [`witness a ${a}\nwitness a ${b}\nquorum 1`, 'line 2'],
    [`witness a ${a}\nwitness b ${a}\nquorum 1`, 'line 2: the key of another witness'],
    ['witness a nonsense\nquorum 1', 'line 1'],
    [`witness a ${a}\ngroup g 2 a a\nquorum g`, 'line 2'],
    [`witness a ${a}\ngroup g 1 z\nquorum g`, 'line 2'],
    [`witness a ${a}\nquorum 1\nquorum 1`, 'line 3'],
    ['log x', 'line 1'],
    [`quorum 2\nwitness a ${a}`, 'line 1: no such quorum'],
    [`witness 2 ${a}\nwitness b ${b}\nquorum 2`, 'line 1: a name that means a number'],
  ];
  for (const [text, message] of faults)
    expect(parsePolicy(text), text).toMatchObject({
      ok: false,
      error: expect.stringContaining(message) as string,
    });
  const early = parsePolicy(`witness a ${a}\nquorum all\nwitness b ${b}\n`);
  if (!early.ok) throw new Error(early.error);
  expect(early.value.isEnough(new Set(['a'])), 'all are those behind the line as well').toBe(false);
  const groups = parsePolicy(
    `# who\nwitness a ${a}\nwitness b ${b}\ngroup g any a b\ngroup h all g a\nquorum h\n`,
  );
  if (!groups.ok) throw new Error(groups.error);
  expect(groups.value.isEnough(new Set(['b']))).toBe(false);
  expect(groups.value.isEnough(new Set(['a']))).toBe(true);
});
