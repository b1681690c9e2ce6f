/**
 * Restores from an archive alone: reads it batch by batch in the order of the ledger, proves every record on
 * the way, and hands on what is proven. A stream against which anything speaks is handed on up to the batch
 * before that. Run again, it goes on: what a target has is proven once more and not written again.
 */
import { splitRecord } from '../../ledger/frame.ts';
import type { Trust } from '../../ledger/trust.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import { messageOf } from '../../schemas/result.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import type { StoredRecord } from '../store.ts';
import { openObject, readCatalog, type Catalog } from './catalog.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import type { Manifest } from './manifest.ts';
import { planRestore, type Plan, type PlanFinding } from './plan.ts';
import { splitLines } from './segment.ts';
import { createStreamProof, type StreamOutcome, type StreamProof } from './stream-proof.ts';

/** Where proven records go. */
export interface RestoreTarget {
  /** Takes records in the ledger's order, on disk when it resolves. The error says why it does not go on. */
  take(records: readonly StoredRecord[]): Promise<TargetOutcome>;
  /** After the last record; resolves with what is against the end of it. */
  finish(): Promise<TargetOutcome>;
}

export type TargetOutcome =
  | { readonly kind: 'taken'; readonly restored: number; readonly present: number }
  /** It holds another record in the place of one of these. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface RestoreFinding {
  readonly kind: PlanFinding['kind'] | StreamOutcome['findings'][number]['kind'] | 'refused';
  /** Key of the object. */
  readonly object: string;
  readonly message: string;
  readonly stream?: string;
  readonly seq?: number;
  /** 1-based, in the object. */
  readonly line?: number;
}

export interface Restoration {
  readonly verdict: 'intact' | 'broken' | 'cannot_tell';
  /** Read and proven, or not. */
  readonly records: number;
  readonly restored: number;
  /** There before. */
  readonly present: number;
  readonly objects: number;
  readonly bytes: number;
  readonly is_trusted: boolean;
  readonly streams: readonly Omit<StreamOutcome, 'findings' | 'note'>[];
  readonly findings: readonly RestoreFinding[];
  readonly notes: readonly string[];
}

export interface RestoreOptions {
  readonly client: ArchiveClient;
  /** Null: no signature is verified. */
  readonly trust: Trust | null;
  /** Null: the archive is proven, and nothing is written. */
  readonly target: RestoreTarget | null;
  /** Only this one's records. */
  readonly agent?: string;
  readonly nowMs: () => number;
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void;
}

interface Run {
  readonly proofs: Map<string, StreamProof>;
  readonly findings: RestoreFinding[];
  readonly notes: string[];
  readonly opened: Set<string>;
  /** Its target holds something else: nothing more is written, and the rest is proven all the same. */
  isRefused: boolean;
  records: number;
  restored: number;
  present: number;
  bytes: number;
}

/** Restores, or proves, an archive. What the network or the target have against it is `cannot_tell`. */
export async function restoreArchive(options: RestoreOptions): Promise<Restoration> {
  const run: Run = {
    proofs: new Map(),
    findings: [],
    notes: [],
    opened: new Set(),
    isRefused: false,
    records: 0,
    restored: 0,
    present: 0,
    bytes: 0,
  };
  try {
    const catalog = await readCatalog(options.client, options.agent);
    const plan = await planRestore(options.client, catalog, options.trust);
    run.findings.push(...plan.findings);
    const unread = await restoreAll(options, catalog, plan, run);
    const end = run.isRefused ? undefined : await options.target?.finish();
    const obstacle = unread ?? note(run, end, '');
    return conclude(options, run, obstacle);
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    return conclude(options, run, `${messageOf(error)}; run it again, and it goes on`);
  }
}

async function restoreAll(
  options: RestoreOptions,
  catalog: Catalog,
  plan: Plan,
  run: Run,
): Promise<string | null> {
  const total = [...catalog.objects.values()].reduce(
    (sum, { versions }) => sum + (versions[0]?.bytes ?? 0),
    0,
  );
  for (const { manifest } of plan.batches) {
    const lines = await readBatch(options, catalog, manifest, run);
    const obstacle = await takeLines(options, plan, lines, run);
    if (obstacle !== null) return obstacle;
    options.onProgress?.(run.bytes, total);
  }
  for (const key of plan.loose) {
    const lines = await readLoose(options, catalog, key, run);
    const obstacle = await takeLines(options, plan, lines, run);
    if (obstacle !== null) return obstacle;
  }
  return null;
}

interface PlacedLine {
  readonly text: string;
  readonly object: string;
  /** 1-based. */
  readonly line: number;
}

/** The lines of a batch in the ledger's order, out of its segments. */
async function readBatch(
  options: RestoreOptions,
  catalog: Catalog,
  manifest: Manifest,
  run: Run,
): Promise<readonly PlacedLine[]> {
  const contents: (readonly string[])[] = [];
  for (const { key, retain_until } of manifest.segments) {
    const isOver = Date.parse(retain_until) <= options.nowMs();
    const content = await readSegment(options, catalog, key, isOver, run);
    contents.push(content === null ? [] : splitLines(content));
  }
  const places = contents.map(() => 0);
  return manifest.order.flatMap(([segment, count]) => {
    const from = places[segment] ?? 0;
    places[segment] = from + count;
    const object = manifest.segments[segment]?.key ?? '';
    const lines = contents[segment]?.slice(from, from + count) ?? [];
    return lines.map((text, at) => ({ text, object, line: from + at + 1 }));
  });
}

async function readSegment(
  { client }: RestoreOptions,
  catalog: Catalog,
  key: string,
  isOver: boolean,
  run: Run,
): Promise<Buffer | null> {
  const object = catalog.objects.get(key);
  if (object === undefined && isOver) {
    run.notes.push(`${key} is gone; its retention had ended`);
    return null;
  }
  const opened =
    object === undefined
      ? ({ ok: false, error: missing(key) } as const)
      : await openObject(client, object);
  if (!run.opened.has(key))
    run.findings.push(...(opened.ok ? opened.value.findings : [opened.error]));
  run.opened.add(key);
  if (!opened.ok) return null;
  run.bytes += opened.value.version.bytes;
  return opened.value.content;
}

function missing(key: string): RestoreFinding & { readonly kind: 'missing' } {
  return { kind: 'missing', object: key, message: 'the manifest names it, and it is not there' };
}

/** A segment that no manifest names: of a batch that was on its way, or somebody else's. */
async function readLoose(
  options: RestoreOptions,
  catalog: Catalog,
  key: string,
  run: Run,
): Promise<readonly PlacedLine[]> {
  const content = await readSegment(options, catalog, key, false, run);
  if (content === null) return [];
  const lines = splitLines(content).map((text, at) => ({ text, object: key, line: at + 1 }));
  const isBehind = ({ text }: PlacedLine): boolean => {
    const { stream, seq } = chainOf(text) ?? { stream: '', seq: -1 };
    return (run.proofs.get(stream)?.next() ?? 0) <= seq;
  };
  if (!lines.every(isBehind)) {
    const message = 'no manifest names it, and it tells of records that stand elsewhere';
    run.findings.push({ kind: 'extra', object: key, message });
    return [];
  }
  run.notes.push(`${key} is in no manifest: its batch was on its way when the archive ended`);
  return lines;
}

/** Proves records, and hands on those of streams against which nothing speaks. */
async function takeLines(
  { target }: RestoreOptions,
  plan: Plan,
  lines: readonly PlacedLine[],
  run: Run,
): Promise<string | null> {
  const records: StoredRecord[] = [];
  for (const { text, object, line } of lines) {
    run.records += 1;
    const record = splitRecord(text);
    const event = record === null ? null : sealedEventOf(record.eventText);
    if (record === null || event === null) {
      run.findings.push({ kind: 'malformed', object, line, message: 'this is no record' });
      continue;
    }
    const { stream, seq } = event.chain;
    const proof =
      run.proofs.get(stream) ?? createStreamProof(stream, plan.checkpoints.get(stream) ?? []);
    run.proofs.set(stream, proof);
    proof.take(seq, record, { segment: object, line });
    records.push({ event, ...record });
  }
  if (target === null || run.isRefused) return null;
  const isProven = ({ event }: StoredRecord): boolean =>
    run.proofs.get(event.chain.stream)?.isClean() === true;
  const taken = await target.take(records.filter(isProven));
  return note(run, taken, lines[0]?.object ?? '');
}

/** Adds what a target did; returns why it does not go on. */
function note(run: Run, outcome: TargetOutcome | undefined, object: string): string | null {
  if (outcome?.kind === 'failed') return outcome.reason;
  if (outcome?.kind === 'refused') {
    run.isRefused = true;
    run.findings.push({ kind: 'refused', object, message: outcome.reason });
  }
  if (outcome?.kind === 'taken') {
    run.restored += outcome.restored;
    run.present += outcome.present;
  }
  return null;
}

/** The event where it says its place in the chain; what else is wrong with it shows in its hash. */
function sealedEventOf(eventText: string): SealedEvent | null {
  const event = readJson(eventText) as Partial<SealedEvent> | null;
  const chain: Partial<SealedEvent['chain']> | undefined = event?.chain;
  if (typeof chain?.stream !== 'string' || !Number.isSafeInteger(chain.seq)) return null;
  return event as SealedEvent;
}

function chainOf(text: string): SealedEvent['chain'] | null {
  const record = splitRecord(text);
  return record === null ? null : (sealedEventOf(record.eventText)?.chain ?? null);
}

function conclude(options: RestoreOptions, run: Run, obstacle: string | null): Restoration {
  const outcomes = [...run.proofs.values()].map((proof) => proof.conclude());
  const findings: RestoreFinding[] = [
    ...run.findings,
    // What could not be read to its end cannot be told to be cut off.
    ...(obstacle === null ? outcomes.flatMap(findingsOf) : []),
  ];
  const notes = [...run.notes, ...outcomes.flatMap(({ note }) => note ?? [])];
  if (obstacle !== null) notes.push(obstacle);
  if (run.records === 0 && obstacle === null) notes.push('the archive holds no record');
  const isRead = obstacle === null && run.records > 0;
  return {
    verdict: findings.length > 0 ? 'broken' : isRead ? 'intact' : 'cannot_tell',
    records: run.records,
    restored: run.restored,
    present: run.present,
    objects: run.opened.size,
    bytes: run.bytes,
    is_trusted: options.trust !== null,
    streams: outcomes.map(({ findings: _findings, note: _note, ...rest }) => rest),
    findings,
    notes,
  };
}

function findingsOf({ findings }: StreamOutcome): readonly RestoreFinding[] {
  return findings.map((found) => {
    const { kind, stream, message } = found;
    if ('object' in found) return { kind, object: found.object, stream, message };
    return { kind, object: found.segment, line: found.line, stream, seq: found.seq, message };
  });
}
