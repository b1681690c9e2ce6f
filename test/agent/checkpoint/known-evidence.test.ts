/** How far anchors had an anchor log, where they had only some of its checkpoints. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evidencePath } from '../../../agent/checkpoint/anchors/evidence-file.ts';
import { findAnchored, type AnchoredLog } from '../../../agent/checkpoint/known-evidence.ts';
import { parsePolicy } from '../../../ledger/anchor-policy.ts';
import { formatCheckpoint } from '../../../ledger/checkpoint.ts';
import { signNote } from '../../../ledger/note.ts';
import { createWitnessSigner, publicBytesOf, signWithKey } from '../../../ledger/signing.ts';
import { TEST_INCARNATION, TEST_SIGNER } from '../../support/checkpoints.ts';
import { makeTempDir } from '../../support/ledger.ts';

const COUNT = 400;
const ROUND_MS = Date.UTC(2026, 2, 1);
const sizes = Array.from({ length: COUNT }, (_, n) => n + 1);
const [witness, stranger] = ['w.example', 'x.example'].map((name) => {
  const { privateKey } = generateKeyPairSync('ed25519');
  const seconds = BigInt(ROUND_MS / 1000);
  return createWitnessSigner(
    ...([name, publicBytesOf(privateKey), signWithKey(privateKey), () => seconds] as const),
  );
}) as [ReturnType<typeof createWitnessSigner>, ReturnType<typeof createWitnessSigner>];

let temp: Awaited<ReturnType<typeof makeTempDir>>;
/** Of each checkpoint its evidence from the witness of the policy, and from another. */
const lines: { readonly had: string; readonly not: string }[] = [];

beforeAll(async () => {
  temp = await makeTempDir();
  await mkdir(join(temp.path, 'anchor'));
  for (const size of sizes) {
    const origin = `sealtrail/test/${TEST_INCARNATION}`;
    const text = formatCheckpoint({ origin, size: BigInt(size), root: new Uint8Array(32) });
    const note = await signNote(text, [TEST_SIGNER]);
    const lineOf = async (signer: typeof witness): Promise<string> => {
      const line = (await signNote(text, [signer])).slice(text.length + 1);
      const time = new Date(ROUND_MS).toISOString();
      const evidence = { kind: 'cosignature', anchor: 'witness/w1', time, line };
      return `${JSON.stringify({ size: String(size), quorum: 1, note, evidence })}\n`;
    };
    lines.push({ had: await lineOf(witness), not: await lineOf(stranger) });
  }
});
afterAll(() => temp[Symbol.asyncDispose]());

async function find(isHad: (size: number) => boolean, rule = 'quorum 1'): Promise<AnchoredLog> {
  const text = lines.map(({ had, not }, at) => (isHad(at + 1) ? had : not));
  await writeFile(evidencePath(temp.path, TEST_INCARNATION), text.join(''));
  const policy = parsePolicy(`witness w1 ${witness.vkey}\n${rule}\n`);
  if (!policy.ok) throw new Error(policy.error);
  return findAnchored({
    ...{ dir: temp.path, incarnation: TEST_INCARNATION, published: sizes.map(BigInt) },
    policy: { policy: policy.value, path: join(temp.path, 'policy.txt') },
    timeBefore: () => new Date(ROUND_MS).toISOString(),
    report: (kind) => expect.unreachable(kind),
  });
}

const LACKS = 'the policy asks for 1, and the proof has none of its anchors';

test('the newest that anchors had is told, and of newer ones which they are and what they lack', async () => {
  const anchored = (size: number) => ({ size: BigInt(size), by: ['w1'] });
  expect(await find(() => true)).toMatchObject({ anchored: anchored(400), hole: null });
  expect(await find((size) => size < 100 || size === 400)).toMatchObject({ hole: null });
  expect(await find((size) => size <= 397)).toMatchObject({
    anchored: anchored(397),
    hole: `3 checkpoints, of sizes 398 to 400, are shown at too few anchors: ${LACKS}`,
  });
  expect(await find((size) => size <= 250)).toMatchObject({
    anchored: anchored(250),
    hole: `150 checkpoints, of sizes 251 to 400, are shown at too few anchors (of those but the newest some were looked at): ${LACKS}`,
  });
  expect(await find(() => false)).toMatchObject({
    anchored: null,
    hole: expect.stringContaining('400 checkpoints, of sizes 1 to 400,') as string,
  });
});

test('what stands behind a hole may be missed, and then is among what is told', async () => {
  const { anchored, hole } = await find((size) => size <= 150 || (size > 200 && size <= 300));
  expect([150n, 300n]).toContain(anchored?.size);
  expect(hole).toContain(`of sizes ${Number(anchored?.size) + 1} to 400, `);
});

test('a policy that asks for no anchor lacks none', async () => {
  expect(await find(() => false, 'quorum none')).toEqual({ anchored: null, hole: null });
});
