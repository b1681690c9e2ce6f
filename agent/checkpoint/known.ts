/**
 * Reads what is known of streams from elsewhere than their records, for the verifier: the checkpoints in an agent's
 * data directory, the anchor log that fixes them, what anchors gave for that, and files that somebody kept. It
 * changes nothing, and needs no agent. What the files themselves have against one another are findings.
 */
import { join } from 'node:path';
import type { AnchorPolicy } from '../../ledger/anchor-policy.ts';
import { nodeFilesystem } from '../../ledger/filesystem.ts';
import type { CompactRange } from '../../ledger/merkle/range.ts';
import { splitRange } from '../../ledger/merkle/shape.ts';
import type { Finding, Place } from '../../ledger/stream-check.ts';
import { openTreeFile } from '../../ledger/tree-file.ts';
import type { Trust } from '../../ledger/trust.ts';
import type {
  Anchoring,
  Known,
  KnownCheckpoint,
  KnownReceipt,
  KnownStream,
} from '../../ledger/verify/known.ts';
import { findForgery, judgeNote } from '../../ledger/verify/judge-note.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import { proveAnchored } from './anchor-proof.ts';
import { readKnownAnchors, type LogCheckpoint } from './known-anchors.ts';
import { treePath } from './streams.ts';

export interface KnownSources {
  /** The agent's folder of checkpoints; null: there is none. */
  readonly dir: string | null;
  /** Files with checkpoints from elsewhere: a signed note, or a line of JSON with a member `note` each. */
  readonly files: readonly NamedText[];
  /** Files with receipts: a line of JSON with `stream`, `seq` and `this_hash` each. */
  readonly receipts: readonly NamedText[];
  /** Null: signatures are not judged. */
  readonly trust: Trust | null;
  readonly policy: { readonly policy: AnchorPolicy; readonly path: string } | null;
}

export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/** Reads all of it. Rejects with the system's error. */
export async function readKnown(sources: KnownSources): Promise<Known> {
  const { dir, trust, policy } = sources;
  const findings: Finding[] = [];
  let unknown = 0;
  const streams = new Map<string, Mutable>();
  const logs = new Map<string, LogCheckpoint[]>();

  const streamOf = (stream: string): Mutable => {
    const known = streams.get(stream) ?? { checkpoints: [], receipts: [], anchoring: null };
    streams.set(stream, known);
    return known;
  };
  const report = (
    kind: Finding['kind'],
    where: { readonly stream: string; readonly seq: number },
    place: Place,
    message: string,
  ): void => void findings.push({ kind, ...where, ...place, message });

  /** Takes a note; one that is none, or whose signature is wrong, is a finding. */
  function takeNote(note: string, place: Place): void {
    const said = judgeNote(note, trust);
    if (!said.ok) {
      const { kind, stream, seq, message } = said.error;
      report(kind, { stream, seq }, place, message);
      return;
    }
    const { origin, size, root, isSigned } = said.value;
    if (trust !== null && !isSigned) unknown += 1;
    if (isOfStream(origin)) streamOf(origin).checkpoints.push(said.value);
    else {
      // Of a log that its agent keeps there are a year's: what it is compared by is enough.
      const log = logs.get(origin) ?? [];
      if (log.length === 0) logs.set(origin, log);
      log.push({ origin: log[0]?.origin ?? origin, size, root, isSigned });
    }
  }

  function takeLines(text: string, name: string, isJournal: boolean): void {
    const lines = text.split('\n');
    // An unfinished last line of the journal was published to nobody.
    const rest = lines.pop() ?? '';
    if (!isJournal && rest !== '') lines.push(rest);
    for (const [at, line] of lines.entries()) {
      const value = readJson(line);
      const note =
        typeof value === 'object' && value !== null && 'note' in value ? value.note : null;
      const place = { segment: name, line: at + 1 };
      if (typeof note === 'string') takeNote(note, place);
      else report('checkpoint_unreadable', NOWHERE, place, 'this line holds no checkpoint');
    }
  }

  if (dir !== null && (await nodeFilesystem.exists(join(dir, JOURNAL))))
    takeLines((await nodeFilesystem.readFile(join(dir, JOURNAL))).toString('utf8'), JOURNAL, true);
  for (const { name, text } of sources.files) {
    if (text.trimStart().startsWith('{')) takeLines(text, name, false);
    else takeNote(text, { segment: name, line: 1 });
  }
  for (const file of sources.receipts)
    for (const [stream, receipt] of readReceipts(file, report))
      streamOf(stream).receipts.push(receipt);

  const anchors = await readKnownAnchors({ dir, logs, takeNote, policy, report });
  for (const checkpoint of anchors.checkpoints)
    streamOf(checkpoint.origin).checkpoints.push(checkpoint);
  for (const [stream, anchoring] of anchors.anchorings) streamOf(stream).anchoring = anchoring;

  return {
    streams,
    isJudged: trust !== null,
    isAnchorAsked: policy !== null,
    findings,
    notes: [
      ...anchors.notes,
      ...(unknown === 0 ? [] : [`${unknown} checkpoints are signed by no key that is trusted`]),
    ],
    judge: (note, origin) => findForgery(note, origin, trust),
    readBase: (stream, size) => readBase(dir, stream, size),
    readAnchor: async (stream, size) => (dir === null ? null : proveAnchored(dir, stream, size)),
  };
}

interface Mutable extends KnownStream {
  readonly checkpoints: KnownCheckpoint[];
  readonly receipts: KnownReceipt[];
  anchoring: Anchoring | null;
}

const JOURNAL = 'journal.ndjson';
const NOWHERE = { stream: '', seq: -1 };
/** sealtrail/<agent>/<incarnation> is an anchor log; streams stand below it. */
function isOfStream(origin: string): boolean {
  return origin.split('/').length > 3;
}

function* readReceipts(
  { name, text }: NamedText,
  report: (
    kind: 'checkpoint_unreadable',
    where: typeof NOWHERE,
    place: Place,
    message: string,
  ) => void,
): Generator<readonly [string, KnownReceipt]> {
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const value = readJson(line);
    const { stream, seq, this_hash } = (
      typeof value === 'object' && value !== null ? value : {}
    ) as Record<string, unknown>;
    if (
      typeof stream === 'string' &&
      typeof seq === 'number' &&
      Number.isSafeInteger(seq) &&
      typeof this_hash === 'string'
    )
      yield [stream, { seq, this_hash }];
    else
      report(
        'checkpoint_unreadable',
        NOWHERE,
        { segment: name, line: at + 1 },
        'this line holds no receipt',
      );
  }
}

async function readBase(
  dir: string | null,
  stream: string,
  size: bigint,
): Promise<CompactRange | null> {
  if (dir === null) return null;
  const tree = await openTreeFile({
    filesystem: nodeFilesystem,
    path: treePath(dir, stream),
    size,
  });
  if (!tree.ok) return null;
  const range = { begin: 0n, end: size };
  return { ...range, hashes: await tree.value.read(splitRange(range)) };
}
