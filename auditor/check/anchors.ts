/** What a bundle shows of anchors: that a checkpoint is in its agent's anchor log, and since when at the earliest. Pure. */
import type { AnchorEvidence } from '../../ledger/anchor-evidence.ts';
import { parseAnchor, verifyAnchorOf } from '../../ledger/proof-file.ts';
import type { Trust } from '../../ledger/trust.ts';
import { anchorName } from '../bundle/names.ts';
import type { Certificate } from '../certificate/certificate.ts';
import { textOf, type BundleFiles } from './files.ts';
import type { Tell } from './line.ts';

/** A stream whose checkpoint is anchored; judging what anchors gave takes a policy, and is not done here. */
export interface AnchoredStream {
  readonly stream: string;
  /** Of the stream's checkpoint. */
  readonly size: number;
  /** Of a heartbeat before it in the anchor log, by the agent's clock. */
  readonly time: string;
  /** The anchor log's checkpoint, and what anchors gave for it. */
  readonly note: string;
  readonly evidence: readonly AnchorEvidence[];
}

/** Checks what is there; none is no fault. */
export function checkAnchors(
  files: BundleFiles,
  { streams }: Certificate,
  trust: Trust | null,
  tell: Tell,
): readonly AnchoredStream[] {
  const what = 'anchor';
  const found: AnchoredStream[] = [];
  let left = [...files.keys()].filter((name) => name.startsWith('anchors/')).length;
  for (const [index, { stream, checkpoint, tree }] of streams.entries()) {
    const text = textOf(files, anchorName(index));
    if (text === null) continue;
    left -= 1;
    const anchor = parseAnchor(text);
    if (anchor === null || checkpoint === null || tree === null) {
      tell({ what, state: 'failed', text: `${anchorName(index)} shows nothing of ${stream}` });
      continue;
    }
    const said = trust === null ? null : verifyAnchorOf(checkpoint, stream, anchor, trust);
    if (said?.ok === true) {
      const { size, time, note, evidence } = said.value;
      found.push({ stream, size: tree.size, time, note, evidence });
      tell({
        what,
        state: 'ok',
        text: `${stream}: its checkpoint is in the agent's anchor log, signed at size ${size}; by the agent's clock not before ${time}`,
      });
    } else {
      const text = said === null ? 'no key was named that is trusted' : said.error.message;
      const state = said?.error.kind === 'invalid' ? 'failed' : 'open';
      tell({ what, state, text: `${stream}: ${text}` });
    }
  }
  if (left > 0)
    tell({ what, state: 'failed', text: 'there are anchors of streams that are not here' });
  return found;
}
