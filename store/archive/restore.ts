/**
 * Restores from an archive alone: reads it batch by batch in the order of the ledger, proves every record on
 * the way, and hands on what is proven. A stream against which anything speaks is handed on up to the batch
 * before that. Run again, it goes on: what a target has is proven once more and not written again.
 */
import { splitRecord } from '../../ledger/frame.ts';
import type { SeenPurge } from '../../ledger/purge-check.ts';
import { mayRecordPurgeOf, parsePurge, PURGE_ACTION } from '../../ledger/purge-record.ts';
import type { Trust } from '../../ledger/trust.ts';
import { judgeNote } from '../../ledger/verify/judge-note.ts';
import type { Json } from '../../schemas/event.ts';
import type { SealedEvent } from '../../schemas/record.ts';
import { messageOf } from '../../schemas/result.ts';
import { readJson } from '../../schemas/untrusted-json.ts';
import type { StoredRecord } from '../store.ts';
import { openObject, readCatalog, type Catalog } from './catalog.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import { openManifest, planRestore, type Plan, type PlannedBatch } from './plan.ts';
import {
  conclude,
  createRun,
  type RestoreFinding,
  type RestoreTarget,
  type Restoration,
  type Run,
  type TargetOutcome,
} from './restoration.ts';
import { splitLines } from './segment.ts';
import { createStreamProof } from './stream-proof.ts';

type ReadOptions = Pick<RestoreOptions, 'client' | 'nowMs'>;

export interface RestoreOptions {
  readonly client: ArchiveClient;
  /** Null: no signature is verified. */
  readonly trust: Trust | null;
  /** Null: the archive is proven, and nothing is written. */
  readonly target: RestoreTarget | null;
  /** Only this one's records. */
  readonly agent?: string;
  /** The archive as it stood then, by the server's clock; default as it stands. */
  readonly asOf?: Date;
  readonly nowMs: () => number;
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void;
}

/** Restores, or proves, an archive. What the network or the target have against it is `cannot_tell`. */
export async function restoreArchive(options: RestoreOptions): Promise<Restoration> {
  const run = createRun();
  const isTrusted = options.trust !== null;
  try {
    const catalog = await readCatalog(options.client, options.agent, options.asOf);
    const plan = await planRestore(options.client, catalog, options);
    run.findings.push(...plan.findings);
    run.notes.push(...plan.notes);
    const archive = { catalog, plan, purges: await findPurges(options, catalog, plan) };
    const unread = await restoreAll(options, archive, run);
    const end = run.isRefused ? undefined : await options.target?.finish(unread === null);
    const obstacle = unread ?? note(run, end, '');
    return conclude(run, isTrusted, obstacle);
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    return conclude(run, isTrusted, `${messageOf(error)}; run it again, and it goes on`);
  } finally {
    await options.target?.close();
  }
}

interface Archive {
  readonly catalog: Catalog;
  readonly plan: Plan;
  readonly purges: Purges;
}

async function restoreAll(
  options: RestoreOptions,
  archive: Archive,
  run: Run,
): Promise<string | null> {
  const { catalog, plan } = archive;
  const total = [...catalog.objects.values()].reduce(
    (sum, { versions }) => sum + (versions[0]?.bytes ?? 0),
    0,
  );
  for (const batch of plan.batches) {
    const lines = await readBatch(options, catalog, batch, run);
    const obstacle = await takeLines(options, archive, lines, run);
    if (obstacle !== null) return obstacle;
    options.onProgress?.(run.bytes, total);
  }
  for (const key of plan.loose) {
    const lines = await readLoose(options, catalog, key, run);
    const obstacle = await takeLines(options, archive, lines, run);
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
  options: ReadOptions,
  catalog: Catalog,
  { object: name }: PlannedBatch,
  run: Run,
): Promise<readonly PlacedLine[]> {
  const object = catalog.objects.get(name);
  const opened = object && (await openManifest(options.client, object));
  // It was one when the plan was made.
  if (opened?.ok !== true) {
    run.findings.push(opened?.error ?? missing(name));
    return [];
  }
  const { manifest } = opened.value;
  const contents: (readonly string[])[] = [];
  for (const { key, records, retain_until } of manifest.segments) {
    const isOver = Date.parse(retain_until) <= options.nowMs();
    const content = await readSegment(options, catalog, key, isOver, run);
    const lines = content === null ? [] : splitLines(content);
    if (content !== null && lines.length < records) {
      const message = `it places ${records} records in ${key}, which holds ${lines.length}`;
      run.findings.push({ kind: 'tampered', object: name, message });
    }
    contents.push(lines);
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
  { client }: ReadOptions,
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
    const { stream, seq } = eventOf(text)?.chain ?? { stream: '', seq: -1 };
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
  { plan, purges }: Archive,
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
      run.proofs.get(stream) ??
      createStreamProof(stream, plan.checkpoints.get(stream) ?? [], {
        first: { seq, prev_hash: record.prev_hash },
        purge: purges.get(stream) ?? null,
      });
    run.proofs.set(stream, proof);
    proof.take(seq, record, { segment: object, line });
    records.push({ event, ...record });
  }
  if (target === null || run.isRefused) return null;
  const isWanted = ({ event }: StoredRecord): boolean => {
    const proof = run.proofs.get(event.chain.stream);
    const from = target.isStore === true ? (proof?.goneTo ?? 0) : 0;
    return proof?.isClean() === true && event.chain.seq >= from;
  };
  const taken = await target.take(records.filter(isWanted));
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
    for (const message of outcome.left ?? [])
      run.findings.push({ kind: 'refused', object, message });
  }
  return null;
}

type Purges = ReadonlyMap<string, SeenPurge>;

/**
 * The newest purge of each stream that does not begin with its first record: it is told later in the ledger than
 * what it explains, so the archive is read once more. It rests on its record, which has to be under a checkpoint that is trusted as all
 * others: the key under the one that it carries may have been revoked since, but nobody may have made that one up.
 */
async function findPurges(
  options: RestoreOptions,
  catalog: Catalog,
  { batches, beheaded }: Plan,
): Promise<Purges> {
  const purges = new Map<string, SeenPurge>();
  const first = createRun();
  for (const batch of beheaded.length === 0 ? [] : batches)
    for (const { text } of await readBatch(options, catalog, batch, first)) {
      if (!text.includes(PURGE_ACTION)) continue;
      const event = eventOf(text);
      const purge = event === null ? null : parsePurge(event as unknown as Json);
      if (event === null || purge === null || !beheaded.includes(purge.stream)) continue;
      const { stream, seq } = event.chain;
      const isOwn = mayRecordPurgeOf(stream, purge.stream);
      const isNewer = purge.size > (purges.get(purge.stream)?.size ?? 0);
      if (isOwn && isNewer && judgeNote(purge.checkpoint, options.trust).ok)
        purges.set(purge.stream, { ...purge, record: { stream, seq } });
    }
  return purges;
}

/** The event where it says its place in the chain; what else is wrong with it shows in its hash. */
function sealedEventOf(eventText: string): SealedEvent | null {
  const event = readJson(eventText) as Partial<SealedEvent> | null;
  const chain: Partial<SealedEvent['chain']> | undefined = event?.chain;
  if (typeof chain?.stream !== 'string' || !Number.isSafeInteger(chain.seq)) return null;
  return event as SealedEvent;
}

function eventOf(text: string): SealedEvent | null {
  const record = splitRecord(text);
  return record === null ? null : sealedEventOf(record.eventText);
}
