/**
 * `npm run bench -- merkle`: what chain, tree and checkpoints cost an event, beside a plain insert into PostgreSQL
 * without any of them. Appending is hashing, so it is measured on real leaves;
 * a proof over ten million leaves reads stored hashes, so for those any bytes do. Figures are CPU of this
 * process, which others on the machine disturb least.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { ulid } from 'ulid';
import { createSealer } from '../agent/append/sealer.ts';
import { formatCheckpoint } from '../ledger/checkpoint.ts';
import { hashRecordLeaf, type TreeHash } from '../ledger/merkle/hash.ts';
import { planConsistency, planInclusion, readProof } from '../ledger/merkle/proof.ts';
import { createRange } from '../ledger/merkle/range.ts';
import { storedPlace, type Subtree } from '../ledger/merkle/shape.ts';
import { verifyConsistency, verifyInclusion } from '../ledger/merkle/verify-proof.ts';
import { signNote } from '../ledger/note.ts';
import { createLogSigner, publicBytesOf, signWithKey } from '../ledger/signing.ts';
import { emptyState } from '../ledger/state.ts';
import { chainHash } from '../schemas/brand.ts';
import { canonicalize } from '../schemas/canonical.ts';
import { canonicalEvent } from '../schemas/canonical-event.ts';
import { startPostgresql } from './peers.ts';
import { benchEvent } from './sealed-ledger.ts';

export interface MerkleRow {
  readonly what: string;
  readonly us: number;
}

const PROOF_LEAVES = 10_000_000n;
const PROOFS = 2_000;

/** Measures for about so many seconds a row. */
export async function runMerkle(
  seconds: number,
  say: (line: string) => void,
): Promise<readonly MerkleRow[]> {
  const rows: MerkleRow[] = [];
  const note = (what: string, us: number): void => {
    rows.push({ what, us });
    say(`${what.padEnd(52)} ${us.toFixed(2)} us`);
  };
  note('append a record to the tree: leaf, nodes, stored order', measureAppend(seconds));
  note('seal an event: chain member, hash, line', measureSealing(seconds));
  note('sign a checkpoint, a 1,024th of it', (await measureSigning()) / CHECKPOINT_RECORDS);
  for (const [what, us] of await measureProofs()) note(what, us);
  const insert = await measureInserts(seconds, say);
  if (insert !== null) note('insert the event into PostgreSQL, one commit (time)', insert);
  return rows;
}

const CHECKPOINT_RECORDS = 1_024;

/** The agent's own sealer, with an event that is canonical already. */
function measureSealing(seconds: number): number {
  const sealer = createSealer({
    agent: { name: 'bench', version: '0', publicKey: '' },
    state: emptyState(),
    incarnation: '0'.repeat(32),
    reason: 'benchmark',
    producer: ulid(),
    nowMs: Date.now,
  });
  const event = benchEvent(0);
  const sealed = {
    canonical: canonicalEvent(canonicalize(event)),
    tenant: event.resource.tenant_id,
    retention_class: 'standard',
  };
  const id = ulid();
  let seq = 0;
  const until = performance.now() + seconds * 1_000;
  const begun = process.cpuUsage();
  while (performance.now() < until) {
    sealer.begin();
    for (let n = 0; n < 1_000; n++) sealer.seal(sealed, { id, seq: seq++, refused: 0 });
    sealer.batch();
    sealer.commit();
  }
  return cpuSince(begun) / seq;
}

async function measureSigning(): Promise<number> {
  const key = generateKeyPairSync('ed25519').privateKey;
  const signer = createLogSigner('sealtrail/bench', publicBytesOf(key), signWithKey(key));
  const root = randomBytes(32);
  return timed(async () => {
    for (let n = 0; n < PROOFS; n++)
      await signNote(formatCheckpoint({ origin: 'sealtrail/bench/0/t/s', size: BigInt(n), root }), [
        signer,
      ]);
  });
}

/** Microseconds from one answer to the next, by one client; null where there is no PostgreSQL. */
async function measureInserts(
  seconds: number,
  say: (line: string) => void,
): Promise<number | null> {
  const dir = await mkdtemp(join(tmpdir(), 'sealtrail-bench-'));
  const peer = await startPostgresql(dir, say);
  try {
    if (peer === null) return null;
    const client = new pg.Client({ connectionString: peer.target.address });
    await client.connect();
    const text = canonicalize(benchEvent(0));
    let inserts = 0;
    const begun = performance.now();
    while (performance.now() - begun < seconds * 1_000) {
      const insert = 'INSERT INTO bench_audit (id, payload) VALUES ($1, $2)';
      await client.query({ name: 'insert', text: insert, values: [String(inserts++), text] });
    }
    const took = performance.now() - begun;
    await client.end();
    return (took * 1_000) / inserts;
  } finally {
    await peer?.stop();
    await rm(dir, { recursive: true });
  }
}

function measureAppend(seconds: number): number {
  const hashes = Array.from({ length: 1_000 }, () => chainHash(randomBytes(32).toString('hex')));
  const stored = Buffer.alloc(2_000 * 32);
  let at = 0;
  const keep = (hash: TreeHash): void => {
    stored.set(hash, (at % 2_000) * 32);
    at += 1;
  };
  const tree = createRange();
  const until = performance.now() + seconds * 1_000;
  const begun = process.cpuUsage();
  while (performance.now() < until)
    for (const hash of hashes) tree.append(hashRecordLeaf(hash), keep);
  return cpuSince(begun) / Number(tree.end());
}

async function measureProofs(): Promise<readonly (readonly [string, number])[]> {
  const bytes = randomBytes(32 * 4_096);
  // As a file would be read: a place is computed, and 32 bytes are taken from there.
  const read = (subtrees: readonly Subtree[]): Promise<TreeHash[]> =>
    Promise.resolve(
      subtrees.map((one) => {
        const at = Number(storedPlace(one) % 4_096n) * 32;
        return bytes.subarray(at, at + 32);
      }),
    );
  const size = PROOF_LEAVES;
  const root = bytes.subarray(0, 32);
  const leaf = root;
  const indexes = Array.from({ length: PROOFS }, (_, at) => (BigInt(at) * size) / BigInt(PROOFS));
  const included: (readonly TreeHash[])[] = [];
  const consistent: (readonly TreeHash[])[] = [];
  const makeInclusion = await timed(async () => {
    for (const index of indexes)
      included.push(await readProof(planInclusion(index, size) ?? [], read));
  });
  const makeConsistency = await timed(async () => {
    for (const index of indexes)
      consistent.push(await readProof(planConsistency(index + 1n, size) ?? [], read));
  });
  const inclusion = await timed(() => {
    for (const [at, proof] of included.entries())
      verifyInclusion({ index: indexes[at] ?? 0n, size, root, leaf, proof });
  });
  const consistency = await timed(() => {
    for (const [at, proof] of consistent.entries())
      verifyConsistency({
        size1: (indexes[at] ?? 0n) + 1n,
        size2: size,
        root1: root,
        root2: root,
        proof,
      });
  });
  return [
    ['make an inclusion proof in 10 M leaves', makeInclusion],
    ['make a consistency proof to 10 M leaves', makeConsistency],
    ['verify an inclusion proof', inclusion],
    ['verify a consistency proof', consistency],
  ];
}

/** Microseconds a proof. */
async function timed(run: () => void | Promise<void>): Promise<number> {
  const begun = process.cpuUsage();
  await run();
  return cpuSince(begun) / PROOFS;
}

function cpuSince(begun: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(begun);
  return user + system;
}
