/** Sealed records of a time range, out of a ledger's folder, the store of record or the archive: in flat memory. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClientBase } from 'pg';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import { splitRecord } from '../../ledger/frame.ts';
import { readLines } from '../../ledger/lines.ts';
import { listSegments, segmentName } from '../../ledger/segment.ts';
import type { SealedEvent, SealedRecord } from '../../schemas/record.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import { restoreArchive, type RestoreOptions } from '../../store/archive/restore.ts';
import { createConnection, type DatabaseAddress } from '../../store/connection.ts';
import { noteAccess } from '../access.ts';

/** RFC 3339, of the time of the event: [since, until). */
export interface Range {
  readonly since: string;
  readonly until: string;
}

const FETCH_ROWS = 1_000;
const TIMEOUT_MS = 600_000;

/** Those of a ledger, in its order; throws where it cannot be read, or a segment is missing. */
export async function* ledgerRecords(
  dir: string,
  { since, until }: Range,
): AsyncGenerator<SealedRecord> {
  const firsts = listSegments(await readdir(dir));
  if (firsts.length === 0) throw new Error(`${dir} holds no ledger`);
  let number = firsts[0] ?? 0;
  for (const first of firsts) {
    const path = join(dir, segmentName(first));
    if (first !== number) throw new Error(`records ${number} to ${first - 1} are missing`);
    const file = await nodeFilesystem.openRead(path);
    try {
      for await (const lines of readLines(file, 0, await file.size()))
        for (const { bytes, whole } of lines) {
          // What an agent is writing right now is not whole yet: the next run takes it.
          if (!whole && first === firsts.at(-1)) return;
          const record = splitRecord(bytes.toString('utf8'));
          if (record === null) throw new Error(`${path}: record ${number} is no record`);
          number += 1;
          const { eventText, prev_hash, this_hash } = record;
          const event = JSON.parse(eventText) as SealedEvent;
          const { time } = event.event;
          if (time >= since && time < until) yield { event, prev_hash, this_hash };
        }
    } finally {
      await file.close();
    }
  }
}

/** Hands records on, one after the other; rejects with what is against it. */
export type RecordFeed = (take: (record: SealedRecord) => void) => Promise<void>;

/** Those of an archive, proven as a restore proves them; nothing of one that is not whole. An event that two agents sealed stands twice. */
export function archiveRecords(
  options: Omit<RestoreOptions, 'target'>,
  { since, until }: Range,
): RecordFeed {
  return async (take) => {
    const found = await restoreArchive({
      ...options,
      target: {
        take: (records) => {
          for (const { event, prev_hash, this_hash } of records)
            if (event.event.time >= since && event.event.time < until)
              take({ event, prev_hash, this_hash });
          return Promise.resolve({ kind: 'taken', restored: records.length, present: 0 });
        },
        finish: () => Promise.resolve({ kind: 'taken', restored: 0, present: 0 }),
        close: () => Promise.resolve(),
      },
    });
    const [first] = found.findings;
    const why = first === undefined ? found.notes.at(-1) : `${first.object}: ${first.message}`;
    if (found.verdict !== 'intact')
      throw new Error(
        `the archive is not told to be whole: ${why}; see \`sealtrail restore --check\``,
      );
  };
}

interface Row {
  readonly event_bytes: string;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

/**
 * Those of a store that the login may see, each event once, by time; of one snapshot. That they are copied is on record
 * before, for each tenant.
 */
export async function* storeRecords(
  url: DatabaseAddress,
  { since, until }: Range,
): AsyncGenerator<SealedRecord> {
  const connection = createConnection({
    url,
    timeoutMs: TIMEOUT_MS,
    applicationName: 'sealtrail lake',
  });
  try {
    const client = await connection.client();
    const tenants = await noteCopying(client, { since, until });
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query(
      `DECLARE lake NO SCROLL CURSOR FOR SELECT event_bytes, prev_hash, this_hash FROM audit.events
       WHERE occurred_at >= $1 AND occurred_at < $2 AND tenant_id = ANY ($3::text[])
       ORDER BY occurred_at, stream, seq`,
      [since, until, tenants],
    );
    for (;;) {
      const { rows } = await client.query<Row>(`FETCH ${FETCH_ROWS} FROM lake`);
      if (rows.length === 0) return;
      for (const { event_bytes, prev_hash, this_hash } of rows)
        yield { event: JSON.parse(event_bytes) as SealedEvent, prev_hash, this_hash };
    }
  } finally {
    connection.drop();
  }
}

/** Files it; returns the tenants whose events may be read now. */
async function noteCopying(client: ClientBase, range: Range): Promise<readonly string[]> {
  const { rows } = await client.query<{ tenant: string }>(
    'SELECT DISTINCT tenant_id AS tenant FROM audit.streams ORDER BY 1',
  );
  const tenants = rows.map(({ tenant }) => tenant);
  for (const tenant of tenants) {
    const asked = { question: 'lake', tenant, timeZone: 'UTC', parameters: {}, ...range };
    const noted = await noteAccess(client, asked);
    if (!noted.ok) throw new Error(noted.error.message);
  }
  return tenants;
}
