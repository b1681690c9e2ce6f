/**
 * One line of a dead-letter file: why the record is there, then the record itself as it stood in the
 * ledger, so that it can be sent again after its segment went.
 *
 *   {"at":…,"sink":…,"number":…,"stream":…,"seq":…,"event_id":…,"reason":…,"attempts":…,"record":R}\n
 *
 * R is the ledger's line verbatim. In a JSON string a quote is escaped, so the first `,"record":` is
 * the member, and R is cut out without parsing.
 */
import { formatRecord, splitRecord, type RecordText } from '../../ledger/frame.ts';
import type { DeadLetter, DeliveryRecord } from '../ports.ts';

export interface KeptLetter {
  readonly letter: DeadLetter;
  readonly text: RecordText;
}

const RECORD = ',"record":';

/** The letter of a record that a sink will not take. */
export function letterOf(
  sink: string,
  record: DeliveryRecord,
  why: { readonly reason: string; readonly attempts: number; readonly atMs: number },
): KeptLetter {
  const { event, number } = record;
  const letter = {
    at: new Date(why.atMs).toISOString(),
    sink,
    number,
    stream: event.chain.stream,
    seq: event.chain.seq,
    event_id: event.event_id,
    reason: why.reason,
    attempts: why.attempts,
  };
  return { letter, text: record };
}

/** Formats the line, newline included. */
export function formatLetter({ letter, text }: KeptLetter): string {
  const record = formatRecord(text.eventText, text.prev_hash, text.this_hash).trimEnd();
  return `${JSON.stringify(letter).slice(0, -1)}${RECORD}${record}}\n`;
}

/** Reads a line, without its newline; null when it is none. */
export function parseLetter(line: string): KeptLetter | null {
  const at = line.indexOf(RECORD);
  const text = at === -1 ? null : splitRecord(line.slice(at + RECORD.length, -1));
  if (text === null || !line.endsWith('}')) return null;
  try {
    // Its shape is that of letterOf: nothing else writes this file, and the record checks itself.
    return { letter: JSON.parse(`${line.slice(0, at)}}`) as DeadLetter, text };
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
