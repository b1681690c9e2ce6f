/**
 * The tap: events as they become durable, or as a sink has them, for somebody who looks on. It reads
 * the ledger behind the count of its source, a few records at a time, and knows nothing of commits or
 * deliveries: with nobody at the tap nothing runs, and one who is too slow loses records, by number.
 */
import type { Writable } from 'node:stream';
import { formatRecord } from '../../ledger/frame.ts';
import { createLedgerReader, type LedgerReader, type LedgerRecord } from '../../ledger/reader.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import { pause } from '../pause.ts';

/** What somebody wants to see. */
export interface TapFilter {
  /** Records as this sink has them; absent: as they become durable. */
  readonly sink?: string;
  readonly tenant?: string;
  /** An action, or `payment.*` for all that begin so. */
  readonly action?: string;
  /** Ends after so many; 0: never. */
  readonly limit: number;
}

export interface TapSource {
  readonly ledgerDir: string;
  /** Records of the ledger that are fsynced. */
  durable(): number;
  /** Next record of a sink; null: there is no such sink. */
  cursor(sink: string): number | null;
}

export interface Tap {
  isFull(): boolean;
  /** Streams NDJSON into `out`: records as the ledger has them, and `{"tap": …}` about the stream itself. */
  open(filter: TapFilter, out: Writable): void;
  /** Ends every stream. */
  close(): void;
}

export const TAPS_MAX = 4;
/** With the pause between two looks: 5,000 records a second at most, of a core a few percent. */
const RECORDS_PER_LOOK = 100;
const BYTES_PER_LOOK = 1024 * 1024;
const LOOK_MS = 20;
/** So far behind, what lies between is passed over. Finding the new place reads a segment, so not often. */
const BEHIND_MAX = 10_000;
const JUMP_INTERVAL_MS = 1_000;

/** Creates a tap that nobody is at. */
export function createTap(source: TapSource): Tap {
  const open = new Set<AbortController>();

  function start(filter: TapFilter, out: Writable): void {
    const ended = new AbortController();
    open.add(ended);
    out.once('close', () => ended.abort());
    void stream(source, filter, out, ended.signal).then((why) => {
      open.delete(ended);
      out.end(why === null ? undefined : formatNote({ ended: why }));
    });
  }

  return {
    isFull: () => open.size >= TAPS_MAX,
    open: start,
    close: () => {
      for (const ended of open) ended.abort();
    },
  };
}

/** Streams until the limit, the signal or an obstacle; resolves with why, null at the limit. */
async function stream(
  source: TapSource,
  filter: TapFilter,
  out: Writable,
  signal: AbortSignal,
): Promise<string | null> {
  const reach = (): number | null =>
    filter.sink === undefined ? source.durable() : source.cursor(filter.sink);
  let next = reach() ?? 0;
  let reader: LedgerReader | null = null;
  let shown = 0;
  let lost = 0;
  let jumpedMs = -Infinity;
  out.write(formatNote({ from: next }));
  try {
    for (; !signal.aborted; await pause(LOOK_MS, signal)) {
      const upTo = reach();
      if (upTo === null) return `there is no sink ${filter.sink ?? ''} any more`;
      if (upTo - next > BEHIND_MAX && performance.now() - jumpedMs > JUMP_INTERVAL_MS) {
        jumpedMs = performance.now();
        lost += upTo - next;
        next = upTo;
        await reader?.close();
        reader = null;
      }
      let text = lost === 0 ? '' : formatNote({ lost });
      lost = 0;
      if (next < upTo) {
        reader ??= createLedgerReader({ dir: source.ledgerDir, from: next });
        const limits = { recordsMax: RECORDS_PER_LOOK, bytesMax: BYTES_PER_LOOK, upTo };
        const read = await reader.read(limits);
        if (!read.ok) return `${read.error.kind}: ${read.error.message}`;
        next = reader.position();
        const wanted = read.value.filter((record) => isWanted(record, filter));
        const room = filter.limit === 0 ? wanted.length : filter.limit - shown;
        const lines = wanted.slice(0, room);
        shown += lines.length;
        text += lines
          .map(({ eventText, prev_hash, this_hash }) =>
            formatRecord(eventText, prev_hash, this_hash),
          )
          .join('');
      }
      if (text !== '' && !out.write(text)) await whenDrained(out, signal);
      if (filter.limit > 0 && shown >= filter.limit) return null;
    }
    return 'the agent stops';
  } finally {
    await reader?.close();
  }
}

function isWanted({ eventText }: LedgerRecord, { tenant, action }: TapFilter): boolean {
  if (tenant === undefined && action === undefined) return true;
  // The ledger holds what the agent sealed.
  const event = JSON.parse(eventText) as SealedEvent;
  if (tenant !== undefined && event.resource.tenant_id !== tenant) return false;
  const { action: done } = event.event;
  if (action === undefined) return true;
  return action.endsWith('.*') ? done.startsWith(action.slice(0, -1)) : done === action;
}

function formatNote(note: { readonly [name: string]: string | number }): string {
  return `${JSON.stringify({ tap: note })}\n`;
}

function whenDrained(out: Writable, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) {
      done();
      return;
    }
    const end = (): void => {
      out.off('drain', end);
      signal.removeEventListener('abort', end);
      done();
    };
    out.once('drain', end);
    signal.addEventListener('abort', end, { once: true });
  });
}
