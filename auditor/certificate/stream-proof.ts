/** What is certified of a stream, out of what was read of it. Pure. */
import { verifyTrusted, type Trust } from '../../ledger/trust.ts';
import type { Cover, KnownCheckpoint } from '../../ledger/verify/known.ts';
import type { StreamProof } from './certificate.ts';
import type { TreeParts } from './tree.ts';

export interface StreamFacts extends Omit<
  StreamProof,
  'tree' | 'hashes_sha256' | 'checkpoint' | 'is_trusted' | 'keys' | 'anchored'
> {
  readonly grown: ReturnType<TreeParts['conclude']>;
  /** The checkpoint that was to vouch for the range. */
  readonly checkpoint: KnownCheckpoint | null;
  readonly trust: Trust | null;
  readonly cover: Cover | null;
}

/** What is certified of a stream; a checkpoint is named only where the tree has its root. */
export function describeStream(facts: StreamFacts): StreamProof {
  const { grown, checkpoint, trust, cover, ...rest } = facts;
  const root = checkpoint === null ? '' : Buffer.from(checkpoint.root).toString('hex');
  const fits = checkpoint !== null && grown.tree?.root === root ? checkpoint : null;
  return {
    ...rest,
    ...grown,
    checkpoint: fits?.note ?? null,
    is_trusted: fits?.isSigned ?? false,
    keys: fits === null ? [] : signersOf(fits, trust),
    anchored: fits === null ? null : (cover?.anchored ?? null),
  };
}

/** The trusted keys that have signed a checkpoint, as <name>+<id>: whoever keeps it can put other names under it. */
function signersOf({ note, origin }: KnownCheckpoint, trust: Trust | null): readonly string[] {
  const said = trust === null ? null : verifyTrusted(note, origin, trust);
  return said?.ok === true ? said.value.signedBy.map(({ name, id }) => `${name}+${id}`) : [];
}
