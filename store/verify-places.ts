/**
 * What a verifier reads of a stream: its places in order, whole records and what purges left of others,
 * and the records of those purges.
 */
import type { ClientBase } from 'pg';
import { parseJson } from '../schemas/canonical.ts';
import { chainHash, type ChainHash } from '../schemas/brand.ts';
import { rehash } from '../ledger/content-check.ts';
import { memberOf } from '../ledger/chain-place.ts';
import { mayRecordPurgeOf, parsePurge, PURGE_ACTION } from '../ledger/purge-record.ts';
import type { SeenPurge, StubReference } from '../ledger/purge-check.ts';
import { SEALED_ROW_COLUMNS, type SealedRow } from './sealed-row.ts';

/** What is left of a record between records that are held. */
export interface Stub {
  readonly seq: number;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
  readonly purge: StubReference;
}

/** A record of which the hashes alone are read. */
export type Link = Omit<Stub, 'purge'>;

/** The record of a purge. It excuses something where it stands, and nowhere else: there its hash has to be. */
export interface StoredPurge extends SeenPurge {
  readonly this_hash: string;
}

export type StoredPlace =
  | { readonly kind: 'record'; readonly row: SealedRow }
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'stub'; readonly stub: Stub };

/** What of a stream is read, and how. */
export interface Window {
  /** Reading begins at this place; default with the stream. */
  readonly begin?: number;
  /** Records [from, to) are read whole, of the others the hashes. */
  readonly from: number;
  readonly to: number;
  /** Reading ends before this place; null: with the stream. */
  readonly end: number | null;
}

export const ALL: Window = { from: 0, to: Number.MAX_SAFE_INTEGER, end: null };
const BATCH_RECORDS = 1_000;

/**
 * Records of purges by the stream that they purge, as the login sees them; the newest last, by what they say themselves: one that was
 * never carried out would else be made the one that counts. One that does not have its hash
 * excuses nothing: where only the hashes of its stream are read, nobody else would notice. Nor does one that lies with
 * another tenant, agent or class than what it purges: the store takes no purge by it. `onForeign` is told of those.
 */
export async function readPurges(
  client: ClientBase,
  onForeign?: (text: string) => void,
): Promise<ReadonlyMap<string, readonly StoredPurge[]>> {
  const found = await client.query<PurgeRow>(
    `SELECT s.stream, t.tenant_id, r.seq, r.event_bytes, encode(r.prev_hash, 'hex') AS prev_hash,
       encode(r.this_hash, 'hex') AS this_hash
     FROM audit.records r JOIN audit.streams s USING (stream_id)
     JOIN audit.streams t ON t.stream = r.payload -> 'metadata' ->> 'stream'
     WHERE r.action = $1 ORDER BY r.received_at, r.seq`,
    [PURGE_ACTION],
  );
  const purges = new Map<string, (StoredPurge & { readonly ms: number })[]>();
  for (const { stream, tenant_id, seq, event_bytes, prev_hash, this_hash } of found.rows) {
    if (rehash(prev_hash, event_bytes) !== this_hash) continue;
    const event = parseJson(event_bytes);
    const said = parsePurge(event);
    if (said === null) continue;
    const record = { stream, seq: Number(seq) };
    const chain = memberOf(event, 'chain');
    const isOwn =
      memberOf(chain, 'stream') === stream &&
      memberOf(chain, 'seq') === record.seq &&
      memberOf(memberOf(event, 'resource'), 'tenant_id') === tenant_id &&
      mayRecordPurgeOf(stream, said.stream);
    if (isOwn) {
      const before = purges.get(said.stream) ?? [];
      const ms = Date.parse(String(memberOf(chain, 'received_at')));
      purges.set(said.stream, [...before, { ...said, record, this_hash, ms }]);
    } else
      onForeign?.(
        `record ${seq} of ${stream} tells of a purge of ${said.stream}, which is of another tenant, agent or class: it excuses nothing`,
      );
  }
  for (const all of purges.values())
    all.sort((one, other) => one.ms - other.ms || one.record.seq - other.record.seq);
  return purges;
}

interface PurgeRow extends Record<'stream' | 'tenant_id' | 'seq' | 'event_bytes', string> {
  readonly prev_hash: string;
  readonly this_hash: string;
}

/** How many stubs the login sees, of one stream or of all. */
export async function countStubs(client: ClientBase, streamId: number): Promise<number> {
  const found = await client.query<{ n: string }>(
    'SELECT count(*) AS n FROM audit.stubs WHERE stream_id = $1',
    [streamId],
  );
  return Number(found.rows[0]?.n);
}

/** The places of a stream, ascending; of one number the record first. */
export async function* readPlaces(
  client: ClientBase,
  streamId: number,
  window: Window = ALL,
): AsyncGenerator<readonly StoredPlace[]> {
  const stubs =
    (await countStubs(client, streamId)) > 0 ? readStubs(client, streamId, window) : null;
  let waiting = stubs === null ? null : await nextOf(stubs);
  for await (const records of readRecords(client, streamId, window)) {
    const places: StoredPlace[] = [];
    for (const one of records) {
      const seq = one.kind === 'record' ? Number(one.row.seq) : one.link.seq;
      while (stubs !== null && waiting !== null && waiting.seq < seq) {
        places.push({ kind: 'stub', stub: waiting });
        waiting = await nextOf(stubs);
      }
      places.push(one);
    }
    yield places;
  }
  while (stubs !== null && waiting !== null) {
    yield [{ kind: 'stub', stub: waiting }];
    waiting = await nextOf(stubs);
  }
}

async function nextOf(stubs: AsyncGenerator<Stub>): Promise<Stub | null> {
  const next = await stubs.next();
  return next.done === true ? null : next.value;
}

async function* readStubs(
  client: ClientBase,
  streamId: number,
  { begin = 0, end }: Window,
): AsyncGenerator<Stub> {
  const rows = readCursor<{ [name: string]: string | null }>(
    client,
    'stubs',
    `SELECT u.seq, encode(u.prev_hash, 'hex') AS prev_hash, encode(u.this_hash, 'hex') AS this_hash,
       p.stream, u.purge_seq
     FROM audit.stubs u LEFT JOIN audit.streams p ON p.stream_id = u.purge_stream_id
     WHERE u.stream_id = ${Number(streamId)} AND u.seq >= ${begin}
       AND u.seq < ${end ?? Number.MAX_SAFE_INTEGER} ORDER BY u.seq`,
  );
  for await (const batch of rows)
    for (const { seq, prev_hash, this_hash, stream, purge_seq } of batch)
      yield {
        seq: Number(seq),
        prev_hash: chainHash(prev_hash ?? ''),
        this_hash: chainHash(this_hash ?? ''),
        purge: { stream: stream ?? '', seq: Number(purge_seq) },
      };
}

type StoredRecord = Exclude<StoredPlace, { readonly kind: 'stub' }>;

/** Before the window, in it, and behind it. */
async function* readRecords(
  client: ClientBase,
  streamId: number,
  { begin = 0, from, to, end }: Window,
): AsyncGenerator<readonly StoredRecord[]> {
  const last = end ?? Number.MAX_SAFE_INTEGER;
  const within = (low: number, high: number): string =>
    `FROM audit.sealed_records s WHERE stream_id = ${Number(streamId)}
       AND s.seq >= ${low} AND s.seq < ${Math.min(high, last)} ORDER BY s.seq, s.occurred_at`;
  async function* readLinks(low: number, high: number): AsyncGenerator<readonly StoredRecord[]> {
    const select = `SELECT seq, prev_hash, this_hash ${within(low, high)}`;
    for await (const rows of readCursor<LinkRow>(client, 'sealed', select))
      yield rows.map(({ seq, prev_hash, this_hash }) => ({
        kind: 'link',
        link: {
          seq: Number(seq),
          prev_hash: chainHash(prev_hash),
          this_hash: chainHash(this_hash),
        },
      }));
  }
  if (from > begin) yield* readLinks(begin, from);
  const whole = `SELECT ${SEALED_ROW_COLUMNS} ${within(from, to)}`;
  if (to > from)
    for await (const rows of readCursor<SealedRow>(client, 'sealed', whole))
      yield rows.map((row) => ({ kind: 'record', row }));
  if (to < last) yield* readLinks(to, last);
}

interface LinkRow {
  readonly seq: string;
  readonly prev_hash: string;
  readonly this_hash: string;
}

/** Rows through a server-side cursor; the next batch is on its way while one is judged. */
async function* readCursor<Row extends object>(
  client: ClientBase,
  name: string,
  select: string,
): AsyncGenerator<Row[]> {
  await client.query(`DECLARE ${name} NO SCROLL CURSOR FOR ${select}`);
  const fetch = (): Promise<{ rows: Row[] }> =>
    client.query<Row>(`FETCH ${BATCH_RECORDS} FROM ${name}`);
  let ahead = fetch();
  try {
    for (;;) {
      const { rows } = await ahead;
      if (rows.length === 0) break;
      ahead = fetch();
      yield rows;
    }
  } finally {
    await Promise.allSettled([ahead]);
  }
  await client.query(`CLOSE ${name}`);
}
