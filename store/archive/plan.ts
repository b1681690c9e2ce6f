/** The batches of an archive in the order in which they are restored, and the checkpoints they carry. */
import { parseCheckpoint, type Checkpoint } from '../../ledger/checkpoint.ts';
import { parseNote } from '../../ledger/note.ts';
import { verifyTrusted, type Trust } from '../../ledger/trust.ts';
import { ok, type Result } from '../../schemas/result.ts';
import { openObject, type Catalog, type ObjectFinding } from './catalog.ts';
import type { ArchiveClient } from './client.ts';
import { parseManifest, type Manifest } from './manifest.ts';
import type { CarriedCheckpoint } from './stream-proof.ts';

export interface PlannedBatch {
  readonly object: string;
  readonly agent: string;
  readonly manifest: Manifest;
}

export interface Plan {
  readonly batches: readonly PlannedBatch[];
  /** Of streams, by origin. */
  readonly checkpoints: ReadonlyMap<string, readonly CarriedCheckpoint[]>;
  /** Segments that no manifest names, in their order. */
  readonly loose: readonly string[];
  readonly findings: readonly PlanFinding[];
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
  trust: Trust | null,
): Promise<Plan> {
  const findings: PlanFinding[] = strangers.map((object) => ({
    kind: 'extra',
    object,
    message: 'no archive writes an object of that name',
  }));
  const read: PlannedBatch[] = [];
  for (const object of objects.values()) {
    if (object.named.kind !== 'manifest') continue;
    const opened = await openObject(client, object);
    findings.push(...(opened.ok ? opened.value.findings : [opened.error]));
    if (!opened.ok) continue;
    const manifest = parseManifest(opened.value.content.toString('utf8'));
    if (manifest === null)
      findings.push({ kind: 'tampered', object: object.key, message: 'it is no manifest' });
    else read.push({ object: object.key, agent: object.named.agent, manifest });
  }
  const batches = dropRepeated(read.sort(inOrder));
  findings.push(...findHoles(batches));
  const signed = gatherCheckpoints(batches, trust);
  const named = new Set(read.flatMap(({ manifest }) => manifest.segments.map(({ key }) => key)));
  const loose = [...objects.values()]
    .filter(({ key, named: { kind } }) => kind === 'segment' && !named.has(key))
    .sort((one, other) => one.named.first - other.named.first)
    .map(({ key }) => key);
  return {
    batches,
    loose,
    checkpoints: signed.checkpoints,
    findings: [...findings, ...signed.findings],
  };
}

/** By agent, then by the first record; of two that begin with the same one, the longer comes first. */
function inOrder(one: PlannedBatch, other: PlannedBatch): number {
  if (one.agent !== other.agent) return one.agent < other.agent ? -1 : 1;
  return one.manifest.from - other.manifest.from || other.manifest.to - one.manifest.to;
}

/** A batch that was put again after a crash has a second manifest, over the same segments or fewer. */
function dropRepeated(batches: readonly PlannedBatch[]): readonly PlannedBatch[] {
  const taken = new Map<string, number>();
  return batches.filter(({ manifest: { segments } }) => {
    const isNew = segments.some(({ key, records }) => records > (taken.get(key) ?? 0));
    for (const { key, records } of segments) taken.set(key, Math.max(records, taken.get(key) ?? 0));
    return isNew;
  });
}

/** Numbers of an agent's ledger that stand in no batch: a manifest, and perhaps more, is missing. */
function findHoles(batches: readonly PlannedBatch[]): readonly PlanFinding[] {
  const findings: PlanFinding[] = [];
  const ends = new Map<string, number>();
  for (const { object, agent, manifest } of batches) {
    const end = ends.get(agent) ?? manifest.from;
    if (manifest.from > end)
      findings.push({
        kind: 'missing',
        object,
        message: `records ${end} to ${manifest.from - 1} of ${agent} are in no manifest before this one: a manifest is missing`,
      });
    ends.set(agent, Math.max(end, manifest.to));
  }
  return findings;
}

function gatherCheckpoints(
  batches: readonly PlannedBatch[],
  trust: Trust | null,
): Pick<Plan, 'checkpoints' | 'findings'> {
  const findings: PlanFinding[] = [];
  const checkpoints = new Map<string, CarriedCheckpoint[]>();
  const newest = new Map(batches.map(({ agent, object }) => [agent, object]));
  for (const { object, agent, manifest } of batches)
    for (const note of manifest.checkpoints) {
      const read = readNote(note, trust);
      if (!read.ok) {
        findings.push({ kind: 'signature', object, message: read.error });
        continue;
      }
      const { origin } = read.value;
      const known = checkpoints.get(origin) ?? [];
      checkpoints.set(origin, known);
      known.push({ ...read.value, object, isNewest: newest.get(agent) === object });
    }
  return { checkpoints, findings };
}

/** With trust, only what a trusted key has signed; without, what stands there. */
function readNote(note: string, trust: Trust | null): Result<Checkpoint, string> {
  const parsed = parseNote(note);
  const checkpoint = parsed.ok ? parseCheckpoint(parsed.value.text) : null;
  if (checkpoint === null) return { ok: false, error: 'a checkpoint in it is none' };
  if (trust === null) return ok(checkpoint);
  const verified = verifyTrusted(note, checkpoint.origin, trust);
  return verified.ok
    ? ok(checkpoint)
    : { ok: false, error: `a checkpoint of ${checkpoint.origin}: ${verified.error.message}` };
}
