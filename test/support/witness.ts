/** A log of its own and what a test asks a witness with it. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { formatCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import { hashLeaf, type TreeHash } from '../../ledger/merkle/hash.ts';
import { planConsistency } from '../../ledger/merkle/proof.ts';
import { signNote } from '../../ledger/note.ts';
import { createLogSigner, publicBytesOf, signWithKey } from '../../ledger/signing.ts';
import { formatWitnessRequest } from '../../ledger/witness-request.ts';
import type { Publication } from '../../agent/checkpoint/anchors/anchor.ts';
import { naiveRoot } from './naive-tree.ts';

export interface TestLog {
  readonly origin: string;
  readonly vkey: string;
  /** The same key over other leaves from `from` on: a clone of the log. */
  fork(from: number): TestLog;
  publication(size: number): Promise<Publication>;
  /** Body of add-checkpoint. */
  body(old: number, size: number): Promise<string>;
}

const originHash = (origin: string): string => createHash('sha256').update(origin).digest('hex');

/** Creates a log with its key, named `sealtrail/test`. */
export function createTestLog(incarnation: string = randomBytes(16).toString('hex')): TestLog {
  const key = generateKeyPairSync('ed25519').privateKey;
  const signer = createLogSigner('sealtrail/test', publicBytesOf(key), signWithKey(key));
  const origin = `${signer.name}/${incarnation}`;

  function create(leafOf: (at: number) => string): TestLog {
    const leavesOf = (size: number): readonly TreeHash[] =>
      Array.from({ length: size }, (_, at) => hashLeaf(Buffer.from(leafOf(at))));
    const rootOf = (size: number): TreeHash => naiveRoot(leavesOf(size));
    const prove = (from: number, size: number): readonly TreeHash[] =>
      (planConsistency(BigInt(from), BigInt(size)) ?? []).map(({ begin, end }) =>
        naiveRoot(leavesOf(size).slice(Number(begin), Number(end))),
      );
    const publication = async (size: number): Promise<Publication> => {
      const checkpoint: Checkpoint = { origin, size: BigInt(size), root: rootOf(size) };
      return {
        checkpoint,
        note: await signNote(formatCheckpoint(checkpoint), [signer]),
        proveConsistency: (earlier) => Promise.resolve(prove(Number(earlier), size)),
        rootAt: (at) => Promise.resolve(rootOf(Number(at))),
      };
    };
    return {
      origin,
      vkey: signer.vkey,
      fork: (from) => create((at) => (at < from ? leafOf(at) : `other ${at}`)),
      publication,
      body: async (old, size) =>
        formatWitnessRequest({
          oldSize: BigInt(old),
          proof: prove(old, size),
          note: (await publication(size)).note,
        }),
    };
  }

  return create((at) => `leaf ${at}`);
}

export { originHash };
