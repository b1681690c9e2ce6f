/**
 * The check of an answer's records in the browser (docs/FORMAT.md): each has the hash that it states, says of itself what
 * the row says of it, and where the record before it is there as well, follows on it. SHA-256 by @noble/hashes, none of
 * the server's. Pure.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

export interface Fault {
  /** In the answer, from 1. */
  readonly row: number;
  /** The hash that the record states. */
  readonly hash: string;
  readonly reason: string;
  readonly place: string;
}

export interface Checked {
  readonly count: number;
  /** Hashes of records that are what they state. */
  readonly good: ReadonlySet<string>;
  readonly faults: readonly Fault[];
}

interface Sealed {
  readonly stream: string;
  readonly seq: number;
  readonly event_id: string;
  readonly event_bytes: string;
  readonly prev_hash: string;
  readonly this_hash: string;
}

/** Checks a line of JSON a record; `onProgress` hears how many were checked. */
export async function checkRecords(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  onProgress: (count: number) => void,
): Promise<Checked> {
  const good = new Set<string>();
  const faults: Fault[] = [];
  const hashes = new Map<string, string>();
  let count = 0;

  const check = (line: string): void => {
    count += 1;
    const record = readRecord(line);
    const { stream, seq, this_hash: hash } = record;
    const reason = faultOf(record, hashes.get(`${stream} ${seq - 1}`));
    hashes.set(`${stream} ${seq}`, hash);
    if (reason === null) good.add(hash);
    else faults.push({ row: count, hash, reason, place: `${stream}, number ${seq}` });
  };

  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    const lines = `${rest}${value ?? ''}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) check(line);
    onProgress(count);
    if (done) break;
  }
  if (rest !== '') throw new Error('the last record is cut off');
  return { count, good, faults };
}

function faultOf(record: Sealed, before: string | undefined): string | null {
  const {
    stream,
    seq,
    event_id: id,
    event_bytes: bytes,
    prev_hash: prev,
    this_hash: hash,
  } = record;
  if (bytesToHex(sha256(utf8ToBytes(prev + bytes))) !== hash)
    return 'its bytes do not have the hash that it states';
  if (before !== undefined && before !== prev) return 'it does not follow on the record before it';
  const event = readObject(bytes);
  const chain = asObject(event['chain']);
  if (event['event_id'] !== id || chain['stream'] !== stream || chain['seq'] !== seq)
    return 'it stands in a place that is not its own';
  return null;
}

function readRecord(line: string): Sealed {
  const { stream, seq, event_id, event_bytes, prev_hash, this_hash } = readObject(line);
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  return {
    stream: text(stream),
    seq: typeof seq === 'number' ? seq : -1,
    event_id: text(event_id),
    event_bytes: text(event_bytes),
    prev_hash: text(prev_hash),
    this_hash: text(this_hash),
  };
}

function readObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return asObject(value);
  } catch (error) {
    // A record that is no JSON has none of the members that are looked for.
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
