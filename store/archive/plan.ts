/**
 * The batches of an archive in the order in which they are restored, and the checkpoints they carry. Of each
 * manifest a line is kept and not the whole: there may be a million of them.
 */
import type { Trust } from '../../ledger/trust.ts';
import { judgeNote } from '../../ledger/verify/judge-note.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { openObject, type Catalog, type CatalogObject, type ObjectFinding } from './catalog.ts';
import type { ArchiveClient } from './client.ts';
import { parseManifest, type Manifest, type ManifestSegment } from './manifest.ts';
import type { CarriedCheckpoint } from './stream-proof.ts';

export interface PlannedBatch extends Pick<Manifest, 'from' | 'to'> {
  readonly object: string;
  readonly agent: string;
  readonly segments: readonly Pick<ManifestSegment, 'key' | 'records'>[];
  /** When the first of its segments may go. */
  readonly endsMs: number;
}

export interface Plan {
  readonly batches: readonly PlannedBatch[];
  /** Of streams, by origin. */
  readonly checkpoints: ReadonlyMap<string, readonly CarriedCheckpoint[]>;
  /** Streams whose first record is in no segment that is there: perhaps a purge took it. */
  readonly beheaded: readonly string[];
  /** Segments that no manifest names, in their order. */
  readonly loose: readonly string[];
  readonly findings: readonly PlanFinding[];
  readonly notes: readonly string[];
}

export interface PlanFinding {
  readonly kind: ObjectFinding['kind'] | 'signature';
  readonly object: string;
  readonly message: string;
}

/** Reads all manifests. Rejects with ArchiveError. */
export async function planRestore(
  client: ArchiveClient,
  { objects, strangers }: Catalog,
  { trust, nowMs }: { readonly trust: Trust | null; readonly nowMs: () => number },
): Promise<Plan> {
  const findings: PlanFinding[] = strangers.map((object) => ({
    kind: 'extra',
    object,
    message: 'no archive writes an object of that name',
  }));
  const read: PlannedBatch[] = [];
  const notes: { readonly batch: PlannedBatch; readonly note: string }[] = [];
  const begins = new Map<string, number>();
  for (const object of objects.values()) {
    if (object.named.kind !== 'manifest') continue;
    const opened = await openManifest(client, object);
    findings.push(...(opened.ok ? opened.value.findings : [opened.error]));
    if (!opened.ok) continue;
    const { from, to, segments, checkpoints } = opened.value.manifest;
    const { agent } = object.named;
    const named = segments.map(({ key, records }) => ({ key, records }));
    // Not as arguments of Math.min: whoever may put may name a million.
    const endsMs = segments.reduce(
      (least, { retain_until }) => Math.min(least, Date.parse(retain_until)),
      Infinity,
    );
    const batch = { object: object.key, agent, from, to, segments: named, endsMs };
    read.push(batch);
    notes.push(...checkpoints.map((note) => ({ batch, note })));
    for (const { key, streams } of segments)
      for (const { stream, from: seq } of objects.has(key) ? streams : [])
        begins.set(stream, Math.min(seq, begins.get(stream) ?? seq));
  }
  const batches = dropRepeated(read.sort(inOrder));
  const holes = findHoles(batches, nowMs());
  findings.push(...holes.findings);
  const signed = gatherCheckpoints(notes, batches, trust);
  const named = new Set(read.flatMap(({ segments }) => segments.map(({ key }) => key)));
  const loose = [...objects.values()]
    .filter(({ key, named: { kind } }) => kind === 'segment' && !named.has(key))
    .sort((one, other) => one.named.first - other.named.first)
    .map(({ key }) => key);
  return {
    batches,
    loose,
    beheaded: [...begins].filter(([, seq]) => seq > 0).map(([stream]) => stream),
    checkpoints: signed.checkpoints,
    findings: [...findings, ...signed.findings],
    notes: [...holes.notes, ...signed.notes],
  };
}

export interface OpenedManifest {
  readonly manifest: Manifest;
  readonly findings: readonly ObjectFinding[];
}

/** Reads a manifest; the error is the finding where no version of it is one. Rejects with ArchiveError. */
export async function openManifest(
  client: ArchiveClient,
  object: CatalogObject,
): Promise<Result<OpenedManifest, ObjectFinding>> {
  const opened = await openObject(client, object);
  if (!opened.ok) return opened;
  const manifest = parseManifest(opened.value.content.toString('utf8'));
  if (manifest !== null) return ok({ manifest, findings: opened.value.findings });
  const message = 'it is no manifest, or none that places each of its records once';
  return err({ kind: 'tampered', object: object.key, message });
}

/** By agent, then by the first record; of two that begin with the same one, the longer comes first. */
function inOrder(one: PlannedBatch, other: PlannedBatch): number {
  if (one.agent !== other.agent) return one.agent < other.agent ? -1 : 1;
  return one.from - other.from || other.to - one.to;
}

/** A batch that was put again after a crash has a second manifest, over the same segments or fewer. */
function dropRepeated(batches: readonly PlannedBatch[]): readonly PlannedBatch[] {
  const taken = new Map<string, number>();
  return batches.filter(({ segments }) => {
    const isNew = segments.some(({ key, records }) => records > (taken.get(key) ?? 0));
    for (const { key, records } of segments) taken.set(key, Math.max(records, taken.get(key) ?? 0));
    return isNew;
  });
}

/**
 * Numbers of an agent's ledger that stand in no batch: a manifest, and perhaps more, is missing. Behind one whose
 * retention is over, its own may have been as well; what the streams lack is then for their chains to say.
 */
function findHoles(
  batches: readonly PlannedBatch[],
  nowMs: number,
): Pick<Plan, 'findings' | 'notes'> {
  const findings: PlanFinding[] = [];
  const notes: string[] = [];
  const lasts = new Map<string, Pick<PlannedBatch, 'to' | 'endsMs'>>();
  for (const { object, agent, from, to, endsMs } of batches) {
    // Of what was before the first one there is no manifest left that could end later.
    const last = lasts.get(agent) ?? { to: 0, endsMs: -Infinity };
    const message = `records ${last.to} to ${from - 1} of ${agent} are in no manifest before this one`;
    if (from > last.to && last.endsMs <= nowMs)
      notes.push(`${object}: ${message}; they expired, or were never archived`);
    else if (from > last.to)
      findings.push({ kind: 'missing', object, message: `${message}: a manifest is missing` });
    lasts.set(agent, { to: Math.max(last.to, to), endsMs });
  }
  return { findings, notes };
}

/** Those of repeated batches as well: each was signed, and whoever adds a manifest takes none away. */
function gatherCheckpoints(
  notes: readonly { readonly batch: PlannedBatch; readonly note: string }[],
  batches: readonly PlannedBatch[],
  trust: Trust | null,
): Pick<Plan, 'checkpoints' | 'findings' | 'notes'> {
  const findings: PlanFinding[] = [];
  const checkpoints = new Map<string, CarriedCheckpoint[]>();
  const newest = new Map(batches.map(({ agent, from }) => [agent, from]));
  let unknown = 0;
  for (const { batch, note } of notes) {
    const { object, agent, to } = batch;
    const read = judgeNote(note, trust);
    if (!read.ok) {
      const { stream, message } = read.error;
      findings.push({
        kind: 'signature',
        object,
        message: `a checkpoint of ${stream || 'nothing'}: ${message}`,
      });
      continue;
    }
    // Of a key that was revoked, for one: the archive keeps what it has signed, and it shows nothing.
    if (trust !== null && !read.value.isSigned) {
      unknown += 1;
      continue;
    }
    const { origin } = read.value;
    const known = checkpoints.get(origin) ?? [];
    checkpoints.set(origin, known);
    known.push({ ...read.value, object, isNewest: to > (newest.get(agent) ?? 0) });
  }
  const said = unknown === 0 ? [] : [`${unknown} checkpoints are signed by no key that is trusted`];
  return { checkpoints, findings, notes: said };
}
