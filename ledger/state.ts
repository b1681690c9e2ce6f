/**
 * Ledger state: what an appender must know to go on, and nothing that the records do not say.
 * It is folded from the records; a copy is kept at the start of each segment, so that a restart
 * reads the last segment only. A missing or damaged copy costs a full read, never a guess.
 */
import { createHash } from 'node:crypto';
import { isChainHash, type ChainHash } from '../schemas/brand.ts';
import type { SealedEvent } from '../schemas/record.ts';
import { err, ok, messageOf, type Result } from '../schemas/result.ts';

/** Producers remembered; the one silent the longest is forgotten first. */
export const PRODUCERS_MAX = 65_536;

export interface StreamHead {
  readonly tenant: string;
  readonly next_seq: number;
  readonly head_hash: ChainHash;
  readonly received_at: string;
}

export interface LedgerState {
  /** Records in the ledger: also the number of the next one. */
  records: number;
  readonly streams: Map<string, StreamHead>;
  /** Producer id -> last number appended. Insertion order is order of last use. */
  readonly producers: Map<string, number>;
}

/** The state before the first record. */
export function emptyState(): LedgerState {
  return { records: 0, streams: new Map(), producers: new Map() };
}

/** Folds one record into the state. */
export function foldRecord(state: LedgerState, event: SealedEvent, thisHash: ChainHash): void {
  const { stream, seq, received_at, producer } = event.chain;
  state.streams.set(stream, {
    tenant: event.resource.tenant_id,
    next_seq: seq + 1,
    head_hash: thisHash,
    received_at,
  });
  rememberProducer(state.producers, producer.id, producer.seq);
  forgetSilentProducers(state.producers);
  state.records += 1;
}

/** Notes a producer's last number, moving it to the end of the order of use. */
export function rememberProducer(producers: Map<string, number>, id: string, seq: number): void {
  producers.delete(id);
  producers.set(id, seq);
}

/** Keeps PRODUCERS_MAX of them. Apart from rememberProducer, which a rollback has to undo. */
export function forgetSilentProducers(producers: Map<string, number>): void {
  for (const oldest of producers.keys()) {
    if (producers.size <= PRODUCERS_MAX) return;
    producers.delete(oldest);
  }
}

/** Serializes a state with a checksum over itself. */
export function formatState(state: LedgerState): string {
  const body = JSON.stringify({
    records: state.records,
    streams: [...state.streams],
    producers: [...state.producers],
  });
  return `${body}\n${checksum(body)}\n`;
}

/** Reads a state back; an error names what is wrong with the file. */
export function parseState(text: string): Result<LedgerState, string> {
  const [body, sum] = text.split('\n');
  if (body === undefined || sum !== checksum(body)) return err('its checksum does not match');
  try {
    const parsed: unknown = JSON.parse(body);
    if (!isStateFile(parsed)) return err('it has a wrong form');
    return ok({
      records: parsed.records,
      streams: new Map(parsed.streams),
      producers: new Map(parsed.producers),
    });
  } catch (error) {
    return err(messageOf(error));
  }
}

interface StateFile {
  readonly records: number;
  readonly streams: readonly (readonly [string, StreamHead])[];
  readonly producers: readonly (readonly [string, number])[];
}

function isStateFile(value: unknown): value is StateFile {
  if (typeof value !== 'object' || value === null) return false;
  if (!('records' in value) || !Number.isSafeInteger(value.records)) return false;
  if (!('streams' in value) || !Array.isArray(value.streams)) return false;
  if (!('producers' in value) || !Array.isArray(value.producers)) return false;
  return value.streams.every(
    (pair: unknown) =>
      Array.isArray(pair) && isChainHash((pair[1] as StreamHead | undefined)?.head_hash),
  );
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}
