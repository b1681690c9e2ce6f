/** One Parquet file of OCSF documents: written a row group at a time beside its place, synced, and put there whole. */
import { createReadStream } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import type { JsonObject } from '../../schemas/mapping.ts';
import { cellOf, COLUMNS, schemaElements } from './columns.ts';

const GROUP_ROWS = 5_000;

/** Writes the documents of a file of NDJSON; how many. The same lines give the same bytes. */
export async function writeParquet(linesFile: string, path: string, work: string): Promise<number> {
  const parquet = new ParquetWriter({
    writer: fileWriter(work),
    schema: schemaElements(),
    createdBy: 'sealtrail',
  });
  let rows = 0;
  let group: JsonObject[] = [];
  const writeGroup = async (): Promise<void> => {
    const columnData = Object.keys(COLUMNS).map((name) => ({
      name,
      data: group.map((document) => cellOf(document, name)),
    }));
    await parquet.write({ columnData, rowGroupSize: GROUP_ROWS });
    rows += group.length;
    group = [];
  };
  for await (const line of createInterface({ input: createReadStream(linesFile) })) {
    // It was written a moment ago, by spill.ts.
    group.push(JSON.parse(line) as JsonObject);
    if (group.length === GROUP_ROWS) await writeGroup();
  }
  if (group.length > 0) await writeGroup();
  await parquet.finish();
  await sync(work);
  await mkdir(dirname(path), { recursive: true });
  await rename(work, path);
  await sync(dirname(path));
  return rows;
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
