/**
 * Where a record stands: stream, number and hashes, cut out of its line without decoding the event, for
 * whoever follows the ledger and needs no more of it.
 */
import type { ChainHash } from '../schemas/brand.ts';
import { ENDS_LENGTH, splitEnds } from './frame.ts';

export interface RecordPlace {
  readonly stream: string;
  readonly seq: number;
  readonly prev_hash: ChainHash;
  readonly this_hash: ChainHash;
}

const CHAIN_AT = Buffer.from('},"chain":{');
/** Longer than the member is with the longest producer id and stream. */
const CHAIN_BYTES_MAX = 1_024;
const CHAIN = /"salt":"[0-9a-f]{32}","seq":(\d{1,16}),"stream":"([A-Za-z0-9._/-]{1,512})","v":/;

/**
 * Reads a line, without its newline; null where it has another form than a sealed record. No string in
 * an event can look like the member `chain`: quotes are escaped there.
 */
export function findPlace(line: Buffer): RecordPlace | null {
  const endsAt = line.length - ENDS_LENGTH;
  const chainAt = line.indexOf(CHAIN_AT);
  if (chainAt === -1 || chainAt > endsAt) return null;
  const chainEnd = Math.min(chainAt + CHAIN_BYTES_MAX, endsAt);
  const [, seq, stream] = CHAIN.exec(line.toString('latin1', chainAt, chainEnd)) ?? [];
  const ends = splitEnds(line.toString('latin1', endsAt));
  if (seq === undefined || stream === undefined || ends === null) return null;
  return { stream, seq: Number(seq), ...ends };
}
