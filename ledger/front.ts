/**
 * The front of a ledger whose oldest segments were removed: the state kept beside the first segment that
 * is left says where each stream goes on. It is believed where a record of the removal, further on in
 * the ledger, names that file by its SHA-256.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Json } from '../schemas/event.ts';
import { memberOf } from './chain-place.ts';
import type { Filesystem } from './filesystem.ts';
import { stateName } from './segment.ts';
import { parseState, type LedgerState } from './state.ts';

/** Action of the record of a removal. */
export const REMOVAL_ACTION = 'ledger.segment_removed';

export interface Front {
  /** Number of the first record that is left. */
  readonly first: number;
  readonly state: LedgerState;
  readonly sha256: string;
}

/** Reads the state beside the segment that begins with `first`; null where there is none that is whole. */
export async function readFront(
  filesystem: Filesystem,
  dir: string,
  first: number,
): Promise<Front | null> {
  const path = join(dir, stateName(first));
  if (!(await filesystem.exists(path))) return null;
  const bytes = await filesystem.readFile(path);
  const state = parseState(bytes.toString('utf8'));
  if (!state.ok || state.value.records !== first) return null;
  return { first, state: state.value, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** Whether the event is the record of the removal that made this the front. */
export function isRemovalOf({ first, sha256 }: Front, event: Json): boolean {
  const metadata = memberOf(event, 'metadata');
  return (
    memberOf(memberOf(event, 'event'), 'action') === REMOVAL_ACTION &&
    memberOf(metadata, 'next') === first &&
    memberOf(metadata, 'state_sha256') === sha256
  );
}
