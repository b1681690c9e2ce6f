/** Sealed records of a time range, out of a ledger's folder or the store of record: a stream, in flat memory. */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { splitRecord } from '../../ledger/frame.ts';
import { listSegments, segmentName } from '../../ledger/segment.ts';
import type { SealedEvent, SealedRecord } from '../../schemas/record.ts';
import type { ChainHash } from '../../schemas/brand.ts';
import { createConnection, type DatabaseAddress } from '../../store/connection.ts';

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
    for await (const line of createInterface({ input: createReadStream(path) })) {
      const record = splitRecord(line);
      // What an agent is writing right now is not whole yet: the next run takes it.
      if (record === null && first === firsts.at(-1)) return;
      if (record === null) throw new Error(`${path}: record ${number} is no record`);
      number += 1;
      const { eventText, prev_hash, this_hash } = record;
      const event = JSON.parse(eventText) as SealedEvent;
      const { time } = event.event;
      if (time >= since && time < until) yield { event, prev_hash, this_hash };
    }
  }
}

interface Row {
  readonly event_bytes: string;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

/** Those of a store that the login may see, each event once, by time; of one snapshot. */
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
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await client.query(
      `DECLARE lake NO SCROLL CURSOR FOR SELECT event_bytes, prev_hash, this_hash FROM audit.events
       WHERE occurred_at >= $1 AND occurred_at < $2 ORDER BY occurred_at, stream, seq`,
      [since, until],
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
