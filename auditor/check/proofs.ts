/** The proofs of single rows: each is of the record of its row, and verifies by itself. Pure. */
import { formatRecord } from '../../ledger/frame.ts';
import { parseProof, verifyProof } from '../../ledger/proof-file.ts';
import type { Trust } from '../../ledger/trust.ts';
import { chainHash } from '../../schemas/brand.ts';
import { proofName } from '../bundle/names.ts';
import type { Tell } from './line.ts';
import { textOf, type BundleFiles } from './files.ts';
import type { CheckedRow } from './rows.ts';

/** Checks those that are there. */
export function checkProofs(
  files: BundleFiles,
  rows: readonly CheckedRow[],
  trust: Trust | null,
  tell: Tell,
): void {
  const what = 'proofs';
  let proven = 0;
  let open = 0;
  let failed = [...files.keys()].filter((name) => name.startsWith('proofs/')).length;
  for (const { row, record } of rows) {
    const text = textOf(files, proofName(row));
    if (text === null || record === null) continue;
    failed -= 1;
    const { event_bytes, prev_hash, this_hash } = record;
    const line = formatRecord(event_bytes, chainHash(prev_hash), chainHash(this_hash));
    if (parseProof(text)?.record !== line.slice(0, -1))
      tell({ what, state: 'failed', text: 'the proof is of another record', row });
    else if (trust !== null) {
      const said = verifyProof(text, trust);
      if (said.ok) proven += 1;
      else if (said.error.kind === 'cannot_tell') open += 1;
      else tell({ what, state: 'failed', text: said.error.message, row });
    } else open += 1;
  }
  if (failed > 0)
    tell({ what, state: 'failed', text: 'there are proofs of rows that are not here' });
  if (proven > 0)
    tell({
      what,
      state: 'ok',
      text: `${proven} rows are proven one by one, each by a file of its own`,
    });
  if (open > 0)
    tell({
      what,
      state: 'open',
      text: `${open} proofs could not be judged: by no key that is trusted`,
    });
}
