/**
 * Writes an OCSF lake: first every record into the lines of its day, then each day's file, whole, in place of the one
 * that was there. Done again it gives the same files; cut off it leaves every file that is there as it was.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MappingAgent } from '../../schemas/mapping.ts';
import { mapToOcsf } from '../../schemas/ocsf.ts';
import type { SealedRecord } from '../../schemas/record.ts';
import { definitionOf } from '../../schemas/agent-actions.ts';
import type { Vocabulary } from '../../schemas/vocabulary.ts';
import { writeParquet } from './parquet-file.ts';
import type { RecordFeed } from './records.ts';
import { FILE_NAME, partitionOf } from './partition.ts';
import { createSpill } from './spill.ts';

export interface LakeOptions {
  readonly out: string;
  readonly region: string;
  readonly vocabulary: Vocabulary;
  readonly agent: MappingAgent;
  readonly onRecord?: (count: number) => void;
}

export interface LakeFile {
  /** Below the lake. */
  readonly path: string;
  readonly rows: number;
}

/** Writes the files of these records; throws what the source or the disk has against it. */
export async function writeLake(
  source: AsyncIterable<SealedRecord> | RecordFeed,
  options: LakeOptions,
): Promise<readonly LakeFile[]> {
  const { out, region, vocabulary, agent } = options;
  await mkdir(out, { recursive: true });
  // On the same disk, so that a rename puts a file in its place; what begins with a dot no query reads.
  const work = await mkdtemp(join(out, '.work-'));
  try {
    const spill = createSpill(join(work, 'days'));
    let count = 0;
    const take = (record: SealedRecord): void => {
      const { event, resource } = record.event;
      const document = mapToOcsf(record, definitionOf(vocabulary, event.action), agent);
      const partition = partitionOf(document, resource.tenant_id, region);
      spill.add(partition, JSON.stringify(document));
      count += 1;
      options.onRecord?.(count);
    };
    if (typeof source === 'function') await source(take);
    else for await (const record of source) take(record);
    const files: LakeFile[] = [];
    for (const [partition, lines] of spill.finish()) {
      const path = join(partition, FILE_NAME);
      const rows = await writeParquet(lines, join(out, path), join(work, FILE_NAME));
      files.push({ path, rows });
      await rm(lines);
    }
    return files;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
