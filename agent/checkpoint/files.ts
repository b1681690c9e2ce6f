/** The files of the checkpoint stage, opened together and held against each other and against the ledger. */
import { join } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { openAnchorLog, type AnchorLog } from './anchor-log.ts';
import { openJournal, type Journal } from './journal.ts';
import { FIRST_POSITION, isOfLedger, readPosition, type Position } from './position.ts';
import { openStreams, type StreamTrees } from './streams.ts';
import type { Logger } from '../ports.ts';

export interface CheckpointFiles {
  readonly journal: Journal;
  readonly streams: StreamTrees;
  readonly anchor: AnchorLog;
  readonly position: Position;
}

export interface FilesOptions {
  readonly dir: string;
  readonly ledgerDir: string;
  readonly filesystem: Filesystem;
  readonly agent: string;
  readonly incarnation: string;
  readonly durable: number;
  readonly log: Logger;
}

/** Opens them; rejects with what is wrong, be it the disk or a file. */
export async function openFiles(options: FilesOptions): Promise<CheckpointFiles> {
  const { dir, ledgerDir, filesystem, durable, log } = options;
  for (const folder of ['trees', 'anchor']) await filesystem.makeDir(join(dir, folder));
  const journal = await openJournal(filesystem, dir);
  if (!journal.ok) throw new Error(journal.error);
  const { newest } = journal.value;
  try {
    let position = (await readPosition(filesystem, dir)) ?? FIRST_POSITION;
    if (!(await isOfLedger(position, { dir: ledgerDir, filesystem, durable }))) {
      log.warn(
        { component: 'checkpoint' },
        'the trees are of another ledger; they are grown again from its first record',
      );
      // The anchor log is not made of the ledger: it goes on.
      position = { ...FIRST_POSITION, anchor: position.anchor };
    }
    let streams = await openStreams({ ...options, positions: position.streams, newest });
    if (!streams.ok) {
      log.warn(
        { component: 'checkpoint', reason: streams.error },
        'a tree is damaged; all are grown again from the first record',
      );
      position = { ...FIRST_POSITION, anchor: position.anchor };
      streams = await openStreams({ ...options, positions: [], newest });
    }
    if (!streams.ok) throw new Error(streams.error);
    const anchor = await openAnchorLog({ ...options, position: position.anchor, newest });
    if (!anchor.ok) throw new Error(anchor.error);
    for (const [origin, size] of anchor.value.late) streams.value.find(origin)?.noteAnchored(size);
    return { journal: journal.value, streams: streams.value, anchor: anchor.value, position };
  } catch (error) {
    await journal.value.close();
    throw error;
  }
}
