/**
 * Finds the receipts of events that a producer sends again after it lost the answer. Rare, so it
 * searches the ledger, newest segment first, instead of keeping every receipt in memory.
 */
import { join } from 'node:path';
import { parseJson } from '../schemas/canonical.ts';
import type { Receipt, SealedEvent } from '../schemas/record.ts';
import type { Filesystem } from './filesystem.ts';
import { splitRecord } from './frame.ts';
import { listSegments, segmentName } from './segment.ts';

const NEWLINE = 0x0a;

/** Receipts by producer number; a number that the ledger does not hold has none. Rejects as node:fs does. */
export async function findReceipts(
  filesystem: Filesystem,
  dir: string,
  producer: string,
  seqs: ReadonlySet<number>,
): Promise<Map<number, Receipt>> {
  const found = new Map<number, Receipt>();
  const segments = listSegments(await filesystem.list(dir)).reverse();
  for (const first of segments) {
    const bytes = await filesystem.readFile(join(dir, segmentName(first)));
    searchSegment(bytes, producer, seqs, found);
    if (found.size === seqs.size) break;
  }
  return found;
}

function searchSegment(
  bytes: Buffer,
  producer: string,
  seqs: ReadonlySet<number>,
  found: Map<number, Receipt>,
): void {
  const needle = `"producer":{"id":"${producer}"`;
  for (
    let hit = bytes.indexOf(needle);
    hit !== -1;
    hit = bytes.indexOf(needle, hit + needle.length)
  ) {
    const start = bytes.lastIndexOf(NEWLINE, hit) + 1;
    const end = bytes.indexOf(NEWLINE, hit);
    if (end === -1) return;
    const text = splitRecord(bytes.toString('utf8', start, end));
    if (text === null) continue;
    // Metadata can hold the same words: only the chain member counts.
    const { chain } = parseJson(text.eventText) as unknown as SealedEvent;
    if (chain.producer.id !== producer || !seqs.has(chain.producer.seq)) continue;
    found.set(chain.producer.seq, {
      stream: chain.stream,
      seq: chain.seq,
      this_hash: text.this_hash,
    });
  }
}
