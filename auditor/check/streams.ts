/** The ranges of a bundle: its records in their places, link by link, and up to the root that was signed. Pure. */
import { hashRecordLeaf, isSameHash } from '../../ledger/merkle/hash.ts';
import { createRange, isCompactRange, type CompactRange } from '../../ledger/merkle/range.ts';
import { parseCheckpoint } from '../../ledger/checkpoint.ts';
import { memberOf, readChain } from '../../ledger/chain-place.ts';
import { isCanonical, rehash } from '../../ledger/content-check.ts';
import { splitRecord } from '../../ledger/frame.ts';
import { parseNote } from '../../ledger/note.ts';
import { verifyTrusted, type Trust } from '../../ledger/trust.ts';
import { GENESIS_PREV_HASH, isChainHash, type ChainHash } from '../../schemas/brand.ts';
import type { RecordOfRow } from '../answer.ts';
import { checkpointName, rangeName } from '../bundle/names.ts';
import type { Certificate, StreamProof } from '../certificate/certificate.ts';
import { isOutside } from '../certificate/neighbours.ts';
import type { Tell } from './line.ts';
import { sha256Of, textOf, type BundleFiles } from './files.ts';
import type { CheckedRow } from './rows.ts';

/** Checks each stream that the certificate names, and that each record is in one of them. */
export function checkStreams(
  files: BundleFiles,
  certificate: Certificate,
  rows: readonly CheckedRow[],
  trust: Trust | null,
  tell: Tell,
): void {
  const { streams, asked } = certificate;
  const byStream = new Map<string, PlacedRow[]>(streams.map(({ stream }) => [stream, []]));
  const ranges = new Map(streams.map((proof) => [proof.stream, proof]));
  if (ranges.size < streams.length)
    tell({ what: 'range', state: 'failed', text: 'a stream is certified twice' });
  for (const { row, record } of rows) {
    if (record === null) continue;
    const { from = 0, to = 0 } = ranges.get(record.stream) ?? {};
    byStream.get(record.stream)?.push({ row, record });
    if (record.seq < from || record.seq >= to)
      tell({
        what: 'range',
        state: 'failed',
        text: 'the record is in no range that was certified',
        row,
      });
  }
  if (streams.length === 0)
    tell({ what: 'checkpoint', state: 'open', text: 'no record stands behind the answer' });
  for (const [index, proof] of streams.entries()) {
    const bytes = files.get(rangeName(index)) ?? new Uint8Array();
    const hashes = (textOf(files, rangeName(index)) ?? '').split('\n').slice(0, -1);
    const fail = (text: string, row?: number): void =>
      tell({ what: 'range', state: 'failed', text, ...(row === undefined ? {} : { row }) });
    if (sha256Of(bytes) !== proof.hashes_sha256 || !hashes.every(isChainHash)) {
      fail(`${rangeName(index)} is not the list of hashes that was certified`);
      continue;
    }
    const list = hashes as ChainHash[];
    // A list with holes is what a broken certificate is about.
    if (certificate.verdict !== 'intact') continue;
    if (list.length !== proof.last - proof.first) {
      fail(`${rangeName(index)} does not hold a hash for each record of its range`);
      continue;
    }
    const isPlaced = checkPlaces(proof, list, byStream.get(proof.stream) ?? [], fail);
    if (proof.before === null && proof.from > 0)
      tell({
        what: 'range',
        state: 'open',
        text: `what stood before seq ${proof.from} of ${proof.stream} is not shown: it was purged, or left out here`,
      });
    if (checkNeighbours(proof, list, asked, fail) && isPlaced)
      tell({
        what: 'range',
        state: 'ok',
        text: `the records shown of ${proof.stream} stand where they say, linked to those before and behind them`,
      });
    checkTree(files, index, proof, list, trust, tell);
  }
}

interface PlacedRow {
  readonly row: number;
  readonly record: RecordOfRow;
}

/** Each record has the hash that the list has in its place, and links to the one before. */
function checkPlaces(
  { first }: StreamProof,
  list: readonly ChainHash[],
  rows: readonly PlacedRow[],
  fail: (text: string, row?: number) => void,
): boolean {
  let isPlaced = true;
  for (const { row, record } of rows) {
    const at = record.seq - first;
    const before = record.seq === 0 ? GENESIS_PREV_HASH : list[at - 1];
    if (list[at] === record.this_hash && (before === undefined || before === record.prev_hash))
      continue;
    isPlaced = false;
    fail('the record is not the one that stands in this place of its stream', row);
  }
  return isPlaced;
}

/** The neighbours were received before and behind the time that was asked for: the range is all of it. */
function checkNeighbours(
  { stream, from, to, first, before, after, tree }: StreamProof,
  list: readonly ChainHash[],
  asked: Certificate['asked'],
  fail: (text: string) => void,
): boolean {
  const sides = [
    [before, from - 1, 'before'],
    [after, to, 'behind'],
  ] as const;
  if (after === null && tree !== null && tree.size > to) {
    fail(`the record behind the range of ${stream} is not shown`);
    return false;
  }
  for (const [line, seq, side] of sides) {
    if (line === null) continue;
    const record = splitRecord(line);
    const said = record === null ? null : readChain(record.eventText);
    const isRight =
      record !== null &&
      rehash(record.prev_hash, record.eventText) === record.this_hash &&
      isCanonical(record.eventText) &&
      said?.chain.stream === stream &&
      said.chain.seq === seq &&
      memberOf(memberOf(said.event, 'resource'), 'tenant_id') === asked.tenant &&
      list[seq - first] === record.this_hash;
    if (!isRight || !isOutside(side, said?.event, asked)) {
      fail(`the neighbour seq ${seq} of ${stream} does not show that the range is whole`);
      return false;
    }
  }
  return true;
}

function checkTree(
  files: BundleFiles,
  index: number,
  proof: StreamProof,
  list: readonly ChainHash[],
  trust: Trust | null,
  tell: Tell,
): void {
  const { stream, tree, checkpoint, to } = proof;
  const what = 'checkpoint';
  const root = tree === null ? null : growRoot(proof, list);
  if (tree === null || root === null || Buffer.from(root).toString('hex') !== tree.root) {
    tell({
      what,
      state: 'failed',
      text: `the list of hashes of ${stream} does not give the tree that was certified`,
    });
    return;
  }
  if (checkpoint === null) {
    tell({ what, state: 'open', text: `no checkpoint was signed over the records of ${stream}` });
    return;
  }
  const parsed = parseNote(checkpoint);
  const signed = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  const isSame = textOf(files, checkpointName(index)) === checkpoint;
  if (
    !isSame ||
    signed?.origin !== stream ||
    signed.size !== BigInt(tree.size) ||
    !isSameHash(signed.root, root)
  ) {
    tell({
      what,
      state: 'failed',
      text: `the checkpoint of ${stream} is not over the tree of its records`,
    });
    return;
  }
  const said = trust === null ? null : verifyTrusted(checkpoint, stream, trust);
  const rest =
    tree.size < to ? `; records from seq ${tree.size} on are under no checkpoint yet` : '';
  if (said?.ok === true) {
    const keys = said.value.signedBy.map(({ name, id }) => `${name}+${id}`).join(', ');
    tell({
      what,
      state: 'ok',
      text: `${stream}: in the tree of ${tree.size} records that ${keys} signed${rest}`,
    });
  } else {
    const isWrong =
      said !== null &&
      !['no_known_key', 'log_key_missing', 'key_revoked'].includes(said.error.kind);
    const why = said === null ? 'no key was named that is trusted' : said.error.message;
    tell({
      what,
      state: isWrong ? 'failed' : 'open',
      text: `the signature under the checkpoint of ${stream}: ${why}`,
    });
  }
}

/** The root over left range, list and right range; null where they do not make a tree. */
function growRoot(
  { first, last, tree }: StreamProof,
  list: readonly ChainHash[],
): Uint8Array | null {
  if (tree === null) return null;
  const { size } = tree;
  const left = rangeOf(0, Math.min(first, size), tree.left);
  const right = rangeOf(Math.min(last, size), size, tree.right);
  if (left === null || right === null) return null;
  const whole = createRange(left);
  for (const hash of list.slice(0, Math.max(0, Math.min(last, size) - first)))
    whole.append(hashRecordLeaf(hash));
  if (whole.end() !== right.begin) return null;
  if (right.end > right.begin) whole.merge(right);
  return whole.root();
}

function rangeOf(begin: number, end: number, hex: readonly string[]): CompactRange | null {
  const hashes = hex.map((one) => Buffer.from(one, 'hex'));
  const range = { begin: BigInt(begin), end: BigInt(end), hashes };
  return isCompactRange(range) ? range : null;
}
