/** Where an archive is restored to: a store of record, or a folder that `sealtrail verify` reads. */
import { join } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { listSegments, SEGMENT_BYTES_DEFAULT, segmentName } from '../../ledger/segment.ts';
import { codeOf, messageOf } from '../../schemas/result.ts';
import { createPostgresStore, type PostgresStoreOptions } from '../postgres.ts';
import type { RestoreTarget, TargetOutcome } from './restoration.ts';
import { linesOf } from './segment.ts';

const NOTHING: TargetOutcome = { kind: 'taken', restored: 0, present: 0 };

/** A PostgreSQL; migrated where the owner's URL is given. What it has is compared record by record. */
export function createStoreTarget(options: PostgresStoreOptions): RestoreTarget {
  const store = createPostgresStore(options);
  let isMigrated = options.ownerUrl === undefined;

  return {
    isStore: true,
    take: async (records): Promise<TargetOutcome> => {
      const migrated = isMigrated ? null : await store.migrate();
      if (migrated?.ok === false)
        return { kind: 'failed', reason: `the store: ${migrated.error.message}` };
      isMigrated = true;
      const appended = await store.appendRecords(records);
      if (!appended.ok) return { kind: 'failed', reason: `the store: ${appended.error.message}` };
      const { stored, repeated, refused } = appended.value;
      const fork = refused.find(({ kind }) => kind === 'fork');
      if (fork !== undefined) return { kind: 'refused', reason: fork.reason };
      const left = refused.map(({ index, reason }) => {
        const { stream, seq } = records[index]?.event.chain ?? { stream: '', seq: -1 };
        return `${stream} seq ${seq} cannot be stored: ${reason}`;
      });
      return { kind: 'taken', restored: stored, present: repeated, left };
    },
    finish: () => Promise.resolve(NOTHING),
    close: () => store.close(),
  };
}

/** A folder of segments. One that stands there must have the same bytes, and none may that the archive does not have. */
export function createFolderTarget(
  filesystem: Filesystem,
  dir: string,
  segmentBytes: number = SEGMENT_BYTES_DEFAULT,
): RestoreTarget {
  let parts: Buffer[] = [];
  let bytes = 0;
  let first = 0;
  let count = 0;
  const own = new Set<number>();

  /** Whole segments only: after a crash the unfinished one is written again. */
  async function cut(): Promise<string | null> {
    if (parts.length === 0) return null;
    const content = Buffer.concat(parts);
    const path = join(dir, segmentName(first));
    await filesystem.makeDir(dir);
    const standing = (await filesystem.exists(path)) ? await filesystem.readFile(path) : null;
    if (standing !== null && !standing.equals(content.subarray(0, standing.length)))
      return `${path} holds other records`;
    if (standing === null || standing.length < content.length)
      await filesystem.replace(path, content);
    own.add(first);
    first += count;
    parts = [];
    bytes = 0;
    count = 0;
    return null;
  }

  async function findStranger(): Promise<string | null> {
    if (!(await filesystem.exists(dir))) return null;
    const stranger = listSegments(await filesystem.list(dir)).find((one) => !own.has(one));
    return stranger === undefined
      ? null
      : `${join(dir, segmentName(stranger))} is no segment of this archive`;
  }

  async function guard(work: () => Promise<TargetOutcome>): Promise<TargetOutcome> {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) === '') throw error;
      return { kind: 'failed', reason: `cannot write ${dir}: ${messageOf(error)}` };
    }
  }

  return {
    take: (records) =>
      guard(async () => {
        for (const record of records) {
          const line = linesOf([record]);
          if (bytes > 0 && bytes + line.length > segmentBytes) {
            const refused = await cut();
            if (refused !== null) return { kind: 'refused', reason: refused };
          }
          parts.push(line);
          bytes += line.length;
          count += 1;
        }
        return { kind: 'taken', restored: records.length, present: 0 };
      }),
    finish: (isAll) =>
      guard(async () => {
        const refused = (await cut()) ?? (isAll ? await findStranger() : null);
        return refused === null ? NOTHING : { kind: 'refused', reason: refused };
      }),
    close: () => Promise.resolve(),
  };
}
