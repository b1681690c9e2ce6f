/**
 * Removes segments from the front of the ledger, oldest first, each once everybody has it: sealed, under
 * anchored checkpoints, in the store of record, below every sink's cursor, older than its local time, and
 * under no hold. The record of the removal comes first and names the state that stands for what is gone
 * (ledger/front.ts), so that a crash in between costs a second such record and nothing else.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { readFront } from '../../ledger/front.ts';
import { listSegments, segmentName, stateName } from '../../ledger/segment.ts';
import { emptyState, type LedgerState } from '../../ledger/state.ts';

/** Recovery reads the last two. */
const SEGMENTS_KEPT = 2;

/** What others still need; numbers of records. */
export interface Needs {
  /** Records before this one are under signed checkpoints, and in trees that are saved. */
  readonly checkpointed: number;
  /** Records before this one are in the store of record and at every sink. */
  readonly delivered: number;
  /** The oldest record that is a dead letter somewhere; Infinity: none is. */
  readonly deadLetter: number;
}

/** Places [from, to) of a stream. */
export interface StreamExtent {
  readonly stream: string;
  readonly from: number;
  readonly to: number;
}

export interface RemovalPorts {
  readonly dir: string;
  readonly filesystem: Filesystem;
  readonly nowMs: () => number;
  readonly keepMs: number;
  needs(): Promise<Needs>;
  /** Whether all of it is under checkpoints that are anchored, as the configuration asks for. */
  isAnchored(extents: readonly StreamExtent[]): Promise<boolean>;
  /** Rejects where the store does not say. */
  isHeld(extents: readonly StreamExtent[]): Promise<boolean>;
  /** False where the ledger does not take it. */
  record(segment: string, metadata: { readonly [name: string]: string | number }): Promise<boolean>;
}

/** Removes what may go; returns how many segments went. Rejects with the system's error. */
export async function removeSegments(ports: RemovalPorts): Promise<number> {
  const { dir, filesystem } = ports;
  await removeLeftStates(ports);
  for (let removed = 0; ; removed += 1) {
    const segments = listSegments(await filesystem.list(dir));
    const [first = 0, next = 0] = segments;
    if (segments.length <= SEGMENTS_KEPT) return removed;
    const after = await readFront(filesystem, dir, next);
    if (after === null || !(await mayGo(ports, first, after.state))) return removed;
    const bytes = await filesystem.readFile(join(dir, segmentName(first)));
    const isRecorded = await ports.record(segmentName(first), {
      ...{ first, next, bytes: bytes.length, state_sha256: after.sha256 },
      sha256: createHash('sha256').update(bytes).digest('hex'),
    });
    if (!isRecorded) return removed;
    await filesystem.remove(join(dir, segmentName(first)));
    await filesystem.syncDir(dir);
    await filesystem.remove(join(dir, stateName(first)));
  }
}

async function mayGo(ports: RemovalPorts, first: number, after: LedgerState): Promise<boolean> {
  const { checkpointed, delivered, deadLetter } = await ports.needs();
  const next = after.records;
  // One record beyond it has to be there: cursors and trees are held against the one before them.
  if (checkpointed <= next || delivered <= next || deadLetter < next) return false;
  const newest = [...after.streams.values()].map(({ received_at }) => Date.parse(received_at));
  if (ports.nowMs() - Math.max(...newest) < ports.keepMs) return false;
  const before =
    first === 0 ? emptyState() : (await readFront(ports.filesystem, ports.dir, first))?.state;
  if (before === undefined) return false;
  const extents = [...after.streams]
    .map(([stream, { next_seq }]) => ({
      ...{ stream, to: next_seq },
      from: before.streams.get(stream)?.next_seq ?? 0,
    }))
    .filter(({ from, to }) => from < to);
  return (await ports.isAnchored(extents)) && !(await ports.isHeld(extents));
}

/** A crash may have left the state of a segment that is gone. */
async function removeLeftStates({ dir, filesystem }: RemovalPorts): Promise<void> {
  const names = await filesystem.list(dir);
  const [first = 0] = listSegments(names);
  for (const name of names)
    if (/^[0-9]{20}\.state\.json$/.test(name) && name < stateName(first))
      await filesystem.remove(join(dir, name));
}
