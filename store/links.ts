/**
 * What the store holds around places in its streams: for whoever must know, before a record is added,
 * that it belongs there. Read by the writer role.
 */
import type { ChainHash } from '../schemas/brand.ts';
import { chainHash } from '../schemas/brand.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { createConnection, type ConnectionOptions } from './connection.ts';
import { classifyDatabaseError } from './database-error.ts';
import type { StoreError } from './store.ts';

export interface StreamPlace {
  readonly stream: string;
  readonly seq: number;
}

/** Answers for the places that were asked about, and their neighbours. */
export interface StoredLinks {
  hashAt(stream: string, seq: number): ChainHash | undefined;
  /** prev_hash of a stored record whose predecessor is one of the places, and is not stored. */
  linkAt(stream: string, seq: number): ChainHash | undefined;
  tenantOf(stream: string): string | undefined;
}

export interface LinkReader {
  read(places: readonly StreamPlace[]): Promise<Result<StoredLinks, StoreError>>;
  close(): void;
}

const KEYS = `
SELECT s.stream, s.tenant_id, k.seq, encode(k.this_hash, 'hex') AS hash
FROM unnest($1::text[], $2::int8[]) AS wanted (stream, seq)
JOIN audit.streams s USING (stream)
LEFT JOIN audit.record_keys k ON k.stream_id = s.stream_id AND k.seq = wanted.seq`;

const LINKS = `
SELECT s.stream, r.seq, encode(r.prev_hash, 'hex') AS hash
FROM unnest($1::text[], $2::int8[]) AS wanted (stream, seq)
JOIN audit.streams s USING (stream)
JOIN audit.records r ON r.stream_id = s.stream_id AND r.seq = wanted.seq`;

/** Creates a reader over a connection of its own; connects at the first call. */
export function createLinkReader(options: ConnectionOptions): LinkReader {
  const connection = createConnection(options);

  async function read(places: readonly StreamPlace[]): Promise<StoredLinks> {
    const hashes = new Map<string, ChainHash>();
    const links = new Map<string, ChainHash>();
    const tenants = new Map<string, string>();
    const client = await connection.client();
    const found = await client.query<Found>(KEYS, parametersOf(neighboursOf(places)));
    for (const { stream, tenant_id, seq, hash } of found.rows) {
      tenants.set(stream, tenant_id);
      if (seq !== null && hash !== null) hashes.set(keyOf(stream, Number(seq)), chainHash(hash));
    }
    // Hardly ever: a record is stored, and the one before it is not.
    const behind = places
      .map(({ stream, seq }) => ({ stream, seq: seq + 1 }))
      .filter(
        ({ stream, seq }) => hashes.has(keyOf(stream, seq)) && !hashes.has(keyOf(stream, seq - 1)),
      );
    if (behind.length > 0) {
      const linked = await client.query<Found>(LINKS, parametersOf(behind));
      for (const { stream, seq, hash } of linked.rows)
        if (hash !== null) links.set(keyOf(stream, Number(seq)), chainHash(hash));
    }
    return {
      hashAt: (stream, seq) => hashes.get(keyOf(stream, seq)),
      linkAt: (stream, seq) => links.get(keyOf(stream, seq)),
      tenantOf: (stream) => tenants.get(stream),
    };
  }

  return {
    read: async (places) => {
      try {
        return ok(await read(places));
      } catch (error) {
        connection.drop();
        const { kind, message } = classifyDatabaseError(error);
        return err({
          kind: kind === 'access' || kind === 'schema' ? kind : 'unavailable',
          message,
        });
      }
    },
    close: () => connection.drop(),
  };
}

interface Found {
  readonly stream: string;
  readonly tenant_id: string;
  readonly seq: string | null;
  readonly hash: string | null;
}

/** Each place, the one before and the one behind it, once. */
function neighboursOf(places: readonly StreamPlace[]): readonly StreamPlace[] {
  const wanted = new Map<string, StreamPlace>();
  for (const { stream, seq } of places)
    for (const at of [seq - 1, seq, seq + 1]) wanted.set(keyOf(stream, at), { stream, seq: at });
  return [...wanted.values()];
}

function parametersOf(places: readonly StreamPlace[]): [string[], number[]] {
  return [places.map(({ stream }) => stream), places.map(({ seq }) => seq)];
}

function keyOf(stream: string, seq: number): string {
  return `${stream} ${seq}`;
}
