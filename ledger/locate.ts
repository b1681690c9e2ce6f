/**
 * Finds the receipts of events that a producer sends again after it lost the answer. Rare, so it
 * searches the ledger from its end instead of keeping every receipt in memory. A producer's numbers
 * rise, so the first lower one shows that the rest is not there.
 */
import { join } from 'node:path';
import { parseJson } from '../schemas/canonical.ts';
import type { Receipt, SealedEvent } from '../schemas/record.ts';
import type { Filesystem } from './filesystem.ts';
import { splitRecord } from './frame.ts';
import { readBlocksBackward } from './lines.ts';
import { listSegments, segmentName } from './segment.ts';

export interface FoundReceipt extends Receipt {
  /** Shows whether it is the same event that was sent again. */
  readonly event_id: string;
}

/** Receipts by producer number; a number that the ledger does not hold has none. */
export type FoundReceipts = ReadonlyMap<number, FoundReceipt>;

export interface ReceiptQuery {
  readonly producer: string;
  readonly seqs: ReadonlySet<number>;
  /** Called once, as soon as all that can be found is. */
  answer(found: FoundReceipts): void;
}

interface Search extends ReceiptQuery {
  readonly lowest: number;
  readonly found: Map<number, FoundReceipt>;
  /** A lower number was seen: what is missing is not in the ledger. */
  passed: boolean;
}

const NEWLINE = 0x0a;
/** `chain` is the first member that can look like this: of a line only the first hit counts. */
const CHAIN_HEAD = '"chain":{"producer":';
const PRODUCER = /^\{"id":"([^"]*)"(?:,"refused":[0-9]+)?,"seq":([0-9]+)\}/;
const PRODUCER_BYTES_MAX = 128;

/** Answers queries in one pass over the ledger. Rejects as node:fs does; some may be answered then. */
export async function findReceipts(
  filesystem: Filesystem,
  dir: string,
  queries: readonly ReceiptQuery[],
): Promise<void> {
  let open = queries.map((query): Search => {
    const { producer, seqs, answer } = query;
    return { producer, seqs, answer, lowest: Math.min(...seqs), found: new Map(), passed: false };
  });
  for (const first of listSegments(await filesystem.list(dir)).reverse()) {
    const file = await filesystem.openRead(join(dir, segmentName(first)));
    try {
      for await (const block of readBlocksBackward(file)) {
        searchBlock(block, open);
        open = open.filter((search) => !isAnswered(search));
        if (open.length === 0) return;
      }
    } finally {
      await file.close();
    }
  }
  for (const search of open) search.answer(search.found);
}

function isAnswered({ passed, found, seqs, answer }: Search): boolean {
  const isDone = passed || found.size === seqs.size;
  if (isDone) answer(found);
  return isDone;
}

function searchBlock(block: Buffer, searches: readonly Search[]): void {
  for (let hit = block.indexOf(CHAIN_HEAD), end = 0; hit !== -1;) {
    const at = hit + CHAIN_HEAD.length;
    end = block.indexOf(NEWLINE, at);
    const [, id, number] =
      PRODUCER.exec(block.toString('latin1', at, at + PRODUCER_BYTES_MAX)) ?? [];
    for (const search of searches) {
      if (search.producer !== id) continue;
      const seq = Number(number);
      if (seq < search.lowest) search.passed = true;
      if (!search.seqs.has(seq)) continue;
      const receipt = readReceipt(block.toString('utf8', block.lastIndexOf(NEWLINE, hit) + 1, end));
      if (receipt !== null) search.found.set(seq, receipt);
    }
    hit = block.indexOf(CHAIN_HEAD, end);
  }
}

function readReceipt(line: string): FoundReceipt | null {
  const text = splitRecord(line);
  if (text === null) return null;
  const { chain, event_id } = parseJson(text.eventText) as unknown as SealedEvent;
  return { stream: chain.stream, seq: chain.seq, this_hash: text.this_hash, event_id };
}
