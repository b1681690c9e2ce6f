/** Where an archive is restored to: a store of record, or a folder that `sealtrail verify` reads. */
import { join } from 'node:path';
import type { Filesystem } from '../../ledger/filesystem.ts';
import { SEGMENT_BYTES_DEFAULT, segmentName } from '../../ledger/segment.ts';
import { codeOf, messageOf } from '../../schemas/result.ts';
import { readStreamHeads, type StoredHead } from '../heads.ts';
import { createPostgresStore, type PostgresStoreOptions } from '../postgres.ts';
import type { StoredRecord } from '../store.ts';
import type { RestoreTarget, TargetOutcome } from './restoration.ts';
import { linesOf } from './segment.ts';

const HEADS_TIMEOUT_MS = 60_000;
const NOTHING: TargetOutcome = { kind: 'taken', restored: 0, present: 0 };

/** A PostgreSQL; migrated where the owner's URL is given. What it has is compared at the end of each stream. */
export function createStoreTarget(
  options: PostgresStoreOptions & { readonly url: string },
): RestoreTarget {
  const store = createPostgresStore(options);
  let heads: ReadonlyMap<string, StoredHead> | null = null;

  async function open(): Promise<string | null> {
    if (options.ownerUrl !== undefined) {
      const migrated = await store.migrate();
      if (!migrated.ok) return `the store: ${migrated.error.message}`;
    }
    const { url, tls } = options;
    const address = { url, timeoutMs: HEADS_TIMEOUT_MS, ...(tls !== undefined && { tls }) };
    const read = await readStreamHeads(address, '');
    if (!read.ok) return `the store: ${read.error}`;
    heads = new Map(read.value.map((head) => [head.stream, head]));
    return null;
  }

  return {
    take: async (records): Promise<TargetOutcome> => {
      const obstacle = heads === null ? await open() : null;
      if (obstacle !== null || heads === null) return { kind: 'failed', reason: obstacle ?? '' };
      const fresh: StoredRecord[] = [];
      for (const record of records) {
        const { stream, seq } = record.event.chain;
        const head = heads.get(stream);
        if (head === undefined || seq >= head.next_seq) fresh.push(record);
        else if (seq === head.next_seq - 1 && head.head_hash !== record.this_hash)
          return { kind: 'refused', reason: `the store holds another record at ${stream} ${seq}` };
      }
      const appended = await store.appendRecords(fresh);
      if (!appended.ok) return { kind: 'failed', reason: `the store: ${appended.error.message}` };
      const { stored, repeated, refused } = appended.value;
      const [first] = refused;
      if (first !== undefined) return { kind: 'refused', reason: first.reason };
      return {
        kind: 'taken',
        restored: stored,
        present: repeated + records.length - fresh.length,
      };
    },
    finish: async () => {
      await store.close();
      return NOTHING;
    },
  };
}

/** A folder of segments. A segment that stands there must have the same bytes; others are not touched. */
export function createFolderTarget(
  filesystem: Filesystem,
  dir: string,
  segmentBytes: number = SEGMENT_BYTES_DEFAULT,
): RestoreTarget {
  let parts: Buffer[] = [];
  let bytes = 0;
  let first = 0;
  let count = 0;

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
    first += count;
    parts = [];
    bytes = 0;
    count = 0;
    return null;
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
    finish: () =>
      guard(async () => {
        const refused = await cut();
        return refused === null ? NOTHING : { kind: 'refused', reason: refused };
      }),
  };
}
