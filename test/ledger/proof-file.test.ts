/** Proof files that somebody made up: each is judged, and none ends the judge. */
import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { formatHeartbeat, formatStreamHead } from '../../ledger/anchor-leaf.ts';
import { formatCheckpoint } from '../../ledger/checkpoint.ts';
import { formatRecord } from '../../ledger/frame.ts';
import { hashLeaf, hashRecordLeaf, type TreeHash } from '../../ledger/merkle/hash.ts';
import { planInclusion } from '../../ledger/merkle/proof.ts';
import { signNote } from '../../ledger/note.ts';
import { formatProof, verifyProof, type AnchorProof, type Proof } from '../../ledger/proof-file.ts';
import { createLogSigner, publicBytesOf, signWithKey } from '../../ledger/signing.ts';
import { rehash } from '../../ledger/content-check.ts';
import { parseTrust } from '../../ledger/trust.ts';
import { chainHash, GENESIS_PREV_HASH } from '../../schemas/brand.ts';
import { canonicalize } from '../../schemas/canonical.ts';
import type { Json } from '../../schemas/event.ts';
import { naiveRoot } from '../support/naive-tree.ts';

const LOG = 'sealtrail/test/inc';
const STREAM = `${LOG}/t1/standard`;
const key = generateKeyPairSync('ed25519').privateKey;
const signer = createLogSigner('sealtrail/test', publicBytesOf(key), signWithKey(key));
const parsed = parseTrust(signer.vkey);
if (!parsed.ok) throw new Error(parsed.error);
const trust = parsed.value;

const note = (origin: string, leaves: readonly TreeHash[]): Promise<string> =>
  signNote(formatCheckpoint({ origin, size: BigInt(leaves.length), root: naiveRoot(leaves) }), [
    signer,
  ]);

function prove(leaves: readonly TreeHash[], index: number): AnchorProof['heartbeat'] {
  const plan = planInclusion(BigInt(index), BigInt(leaves.length)) ?? [];
  const inclusion = plan.map(({ begin, end }) =>
    naiveRoot(leaves.slice(Number(begin), Number(end))),
  );
  return { leaf: '', index: BigInt(index), inclusion };
}

/** A proof of one event, true in all that can be made up without the agent's key. */
async function proofOf(event: Json): Promise<Proof> {
  const eventText = canonicalize(event);
  const thisHash = chainHash(rehash(GENESIS_PREV_HASH, eventText));
  const leaves = [hashRecordLeaf(thisHash)];
  return {
    record: formatRecord(eventText, GENESIS_PREV_HASH, thisHash).trimEnd(),
    checkpoint: await note(STREAM, leaves),
    inclusion: [],
    anchor: null,
  };
}

const EVENT = { chain: { stream: STREAM, seq: 0 }, event: { action: 'a' }, event_id: 'e' };

test('a record that is none is no proof, whatever hash fits it, and the untouched one is proven', async () => {
  expect(verifyProof(formatProof(await proofOf(EVENT)), trust)).toMatchObject({ ok: true });
  const made: readonly Json[] = [
    null,
    [],
    'text',
    {},
    { chain: null },
    { chain: { stream: STREAM } },
    { chain: { stream: STREAM, seq: 0.5 } },
    { chain: { stream: STREAM, seq: 1e300 } },
    { chain: { stream: STREAM, seq: '0' } },
    { chain: { stream: [STREAM], seq: 0 } },
  ];
  for (const event of made)
    expect(
      verifyProof(formatProof(await proofOf(event)), trust),
      JSON.stringify(event),
    ).toMatchObject({ ok: false, error: { kind: 'cannot_tell' } });
  const negative = { ...EVENT, chain: { stream: STREAM, seq: -1 } };
  expect(verifyProof(formatProof(await proofOf(negative)), trust)).toMatchObject({
    ok: false,
    error: { kind: 'invalid' },
  });
});

test('heartbeats say between which rounds an entry was made: one on the wrong side of it is refused', async () => {
  const proof = await proofOf(EVENT);
  const streamKey = Buffer.alloc(32, 1);
  const text = proof.checkpoint.slice(0, proof.checkpoint.indexOf('\n\n') + 1);
  const beats = [0, 60_000, 120_000].map((ms) => formatHeartbeat(Date.UTC(2026, 2, 1) + ms));
  const head = formatStreamHead(streamKey, STREAM, text);
  const [first = '', second = '', third = ''] = beats;
  const texts = [first, second, head, third];
  const leaves = texts.map((leaf) => hashLeaf(Buffer.from(leaf)));
  const beatAt = (beat: number) => ({ ...prove(leaves, beat), leaf: texts[beat] ?? '' });
  const judge = async (beat: number, later?: number): Promise<ReturnType<typeof verifyProof>> => {
    const anchor: AnchorProof = {
      ...prove(leaves, 2),
      stream_key: streamKey.toString('hex'),
      checkpoint: await note(LOG, leaves),
      heartbeat: beatAt(beat),
      later: later === undefined ? null : beatAt(later),
      evidence: [],
    };
    return verifyProof(formatProof({ ...proof, anchor }), trust);
  };
  expect(await judge(1)).toMatchObject({
    ok: true,
    value: { anchor: { time: '2026-03-01T00:01:00.000Z', by: null } },
  });
  expect(await judge(1, 3)).toMatchObject({
    ok: true,
    value: { anchor: { time: '2026-03-01T00:01:00.000Z', by: '2026-03-01T00:02:00.000Z' } },
  });
  for (const later of [0, 1, 2])
    expect(await judge(1, later)).toMatchObject({ ok: false, error: { kind: 'invalid' } });
  // An older one is as true, and bounds less: "not before".
  expect(await judge(0)).toMatchObject({ ok: true });
  expect(await judge(3)).toMatchObject({ ok: false, error: { kind: 'invalid' } });
  expect(await judge(2)).toMatchObject({ ok: false, error: { kind: 'invalid' } });
});
