/**
 * A spool file as bytes. Every line is the CRC-32 of a text (8 hex digits), a space, the text and a line
 * end. The first text is the header, which names the producer under which the events are sent; the others
 * are events in the form that goes over the wire, redacted. An event's number is its place, so whoever
 * sends the file again sends the same numbers. Pure.
 */
import { crc32 } from 'node:zlib';
import { EVENT_BYTES_MAX } from '../schemas/wire.ts';
import type { Line } from './arena.ts';
import { isEventId } from './event-id.ts';

export interface SpooledEvent extends Line {
  readonly event_id: string;
  readonly action: string;
}

export interface SpoolContents {
  /** Null where the header did not survive. */
  readonly producer: string | null;
  readonly events: readonly SpooledEvent[];
  /** Bytes of a last line that was never finished; nobody was told that it is kept. */
  readonly tornBytes: number;
  /** Lines that no longer are what was written, or never were written by a spool. */
  readonly corruptLines: number;
}

const PREFIX_BYTES = 9;
const NEWLINE = 0x0a;

/** Encodes one text as a line. */
export function encodeSpoolLine(text: Uint8Array): Buffer {
  const line = Buffer.allocUnsafe(PREFIX_BYTES + text.length + 1);
  line.write(`${checksum(text)} `, 0, 'latin1');
  line.set(text, PREFIX_BYTES);
  line[line.length - 1] = NEWLINE;
  return line;
}

/** Encodes the header of a file whose events are sent as this producer. */
export function encodeSpoolHeader(producer: string): Buffer {
  return encodeSpoolLine(Buffer.from(JSON.stringify({ producer, spool: 1 })));
}

/** Reads whatever bytes are there; never throws. */
export function readSpool(bytes: Buffer): SpoolContents {
  const events: SpooledEvent[] = [];
  let producer: string | null = null;
  let corruptLines = 0;
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end === -1) break;
    const value = readLine(bytes, at, end);
    const event = eventOf(value, { bytes, start: at + PREFIX_BYTES, end });
    if (event !== null) events.push(event);
    else if (at === 0 && isHeader(value)) producer = value.producer;
    else corruptLines += 1;
    at = end + 1;
  }
  return { producer, events, tornBytes: bytes.length - at, corruptLines };
}

function checksum(text: Uint8Array): string {
  return crc32(text).toString(16).padStart(8, '0');
}

function readLine(bytes: Buffer, start: number, end: number): unknown {
  const text = bytes.subarray(start + PREFIX_BYTES, end);
  if (end - start <= PREFIX_BYTES) return null;
  if (bytes.toString('latin1', start, start + PREFIX_BYTES) !== `${checksum(text)} `) return null;
  try {
    return JSON.parse(text.toString('utf8'));
  } catch {
    // Counted as a corrupt line by the caller.
    return null;
  }
}

function eventOf(value: unknown, line: Line): SpooledEvent | null {
  if (typeof value !== 'object' || value === null || !('event_id' in value)) return null;
  if (typeof value.event_id !== 'string' || !isEventId(value.event_id)) return null;
  if (!('event' in value) || line.end - line.start > EVENT_BYTES_MAX) return null;
  const { event } = value;
  if (typeof event !== 'object' || event === null || !('action' in event)) return null;
  return typeof event.action === 'string'
    ? { ...line, event_id: value.event_id, action: event.action }
    : null;
}

function isHeader(value: unknown): value is { readonly producer: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'spool' in value &&
    value.spool === 1 &&
    'producer' in value &&
    typeof value.producer === 'string' &&
    isEventId(value.producer)
  );
}
