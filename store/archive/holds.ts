/**
 * Legal holds on objects. S3 knows one flag a version and no matters; so each matter's hold is an object of its
 * own in the archive, locked like the rest, that says whom it concerns and who put it. An object is let go when
 * the last matter that holds it is lifted. A hold outlives every retention date.
 */
import type { ArchiveLock } from '../../schemas/archive-config.ts';
import { err, ok, type Result } from '../../schemas/result.ts';
import { memberOf, readJson } from '../../schemas/untrusted-json.ts';
import { openObject, readCatalog, type Catalog } from './catalog.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import { parseManifest, type ManifestSegment } from './manifest.ts';
import { headObject, listVersions, putLocked, readVersion } from './objects.ts';

/** Which objects: those that hold a record of all that is named; what is absent is every one. */
export interface ObjectFilter {
  readonly tenant?: string;
  /** Retention class. */
  readonly label?: string;
  /** Received in [from, to), ISO 8601. */
  readonly from?: string;
  readonly to?: string;
}

export interface MatterHold {
  readonly matter: string;
  readonly filter: ObjectFilter;
  readonly reason: string;
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
}

export interface HoldOptions {
  readonly client: ArchiveClient;
  readonly lock: ArchiveLock;
  /** Of the objects that say who held what, as for the longest class. */
  readonly retainDays: number;
  readonly nowMs: () => number;
}

const MATTER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{3})?Z)?$/;
const DAY_MS = 86_400_000;

/** Holds every object of the filter; run again, it holds those that came since. */
export async function addHold(
  options: HoldOptions,
  hold: Omit<MatterHold, 'at'>,
): Promise<Result<{ readonly objects: number }, string>> {
  if (!MATTER.test(hold.matter)) return err('a matter is named in letters, digits, dot, _ and -');
  const fault = findFault(hold.filter);
  if (fault !== null) return err(fault);
  // Written first: a crash in between leaves a hold that is finished by adding it again.
  await write(options, 'add', hold);
  const keys = await selectObjects(options.client, hold.filter);
  for (const key of keys) await setFlag(options.client, key, 'ON');
  return ok({ objects: keys.length });
}

/** What is wrong with a filter; null for nothing. Times are compared as text: another form would select nothing. */
export function findFault({ from, to }: ObjectFilter): string | null {
  const wrong = [from, to].find((time) => time !== undefined && !TIME.test(time));
  if (wrong === undefined) return null;
  return `${wrong} is no time in UTC, such as 2026-01-01 or 2026-01-01T00:00:00.000Z`;
}

/** Lifts a matter's hold; objects that another matter holds stay held. */
export async function liftHold(
  options: HoldOptions,
  hold: Pick<MatterHold, 'matter' | 'reason' | 'by'>,
): Promise<Result<{ readonly objects: number; readonly kept: number }, string>> {
  const open = await listHolds(options.client);
  const own = open.filter(({ matter }) => matter === hold.matter);
  if (own.length === 0) return err(`no hold of matter ${hold.matter} is open`);
  const catalog = await readCatalog(options.client);
  const kept = new Set<string>();
  for (const { matter, filter } of open)
    if (matter !== hold.matter)
      for (const key of await selectObjects(options.client, filter, catalog)) kept.add(key);
  const keys = new Set<string>();
  for (const { filter } of own)
    for (const key of await selectObjects(options.client, filter, catalog)) keys.add(key);
  const freed = [...keys].filter((key) => !kept.has(key));
  for (const key of freed) await setFlag(options.client, key, 'OFF');
  // Written last: until all are free, the matter is open.
  await write(options, 'lift', { ...hold, filter: {} });
  return ok({ objects: freed.length, kept: keys.size - freed.length });
}

/** Holds that are open, the oldest first. */
export async function listHolds(client: ArchiveClient): Promise<readonly MatterHold[]> {
  const open = new Map<string, MatterHold[]>();
  const entries: { readonly key: string; readonly versionId: string }[] = [];
  for await (const page of listVersions(client, 'holds/'))
    entries.push(...page.filter(({ isDeleteMarker }) => !isDeleteMarker));
  entries.sort((one, other) => (one.key < other.key ? -1 : 1));
  for (const entry of entries) {
    const [, matter = '', name = ''] = entry.key.split('/');
    if (name.endsWith('-lift.json')) open.delete(matter);
    if (!name.endsWith('-add.json')) continue;
    const hold = parseHold((await readVersion(client, entry)).toString('utf8'));
    if (hold !== null) open.set(matter, [...(open.get(matter) ?? []), hold]);
  }
  return [...open.values()].flat().sort((one, other) => (one.at < other.at ? -1 : 1));
}

/** Whoever may put objects may put anything there. */
function parseHold(text: string): MatterHold | null {
  const value = readJson(text);
  const names = ['matter', 'reason', 'by', 'at'];
  const filter = memberOf(value, 'filter');
  const isHold =
    names.every((name) => typeof memberOf(value, name) === 'string') &&
    typeof filter === 'object' &&
    filter !== null &&
    Object.values(filter).every((one) => typeof one === 'string');
  return isHold ? (value as MatterHold) : null;
}

/** Keys of the segments that hold a record which the filter is about. */
export async function selectObjects(
  client: ArchiveClient,
  filter: ObjectFilter,
  known?: Catalog,
): Promise<readonly string[]> {
  const catalog = known ?? (await readCatalog(client));
  const keys = new Set<string>();
  for (const object of catalog.objects.values()) {
    if (object.named.kind !== 'manifest') continue;
    const opened = await openObject(client, object);
    const text = opened.ok ? opened.value.content.toString('utf8') : '';
    for (const segment of parseManifest(text)?.segments ?? [])
      if (isOf(segment, filter)) keys.add(segment.key);
  }
  return [...keys];
}

function isOf(
  { key, received: [first, last], streams }: ManifestSegment,
  { tenant, label, from, to }: ObjectFilter,
): boolean {
  if (label !== undefined && key.split('/')[3] !== label) return false;
  if (tenant !== undefined && !streams.some((one) => one.tenant === tenant)) return false;
  return (from === undefined || last >= from) && (to === undefined || first < to);
}

/** Sets the flag of every version: what was put on top must not be what is held. */
async function setFlag(client: ArchiveClient, key: string, status: 'ON' | 'OFF'): Promise<void> {
  const { bucket, prefix } = client.address;
  for await (const page of listVersions(client, key))
    for (const { versionId, isDeleteMarker } of page) {
      if (isDeleteMarker) continue;
      await client.run((s3, to, options) =>
        to.send(
          new s3.PutObjectLegalHoldCommand({
            Bucket: bucket,
            Key: prefix + key,
            VersionId: versionId,
            LegalHold: { Status: status },
          }),
          options,
        ),
      );
      const head = await headObject(client, key, versionId);
      if (head?.isHeld !== (status === 'ON'))
        throw new ArchiveError(
          'NotHeld',
          0,
          `${key}: the server did not turn the legal hold ${status}`,
        );
    }
}

async function write(
  { client, lock, retainDays, nowMs }: HoldOptions,
  verb: 'add' | 'lift',
  hold: Omit<MatterHold, 'at'>,
): Promise<void> {
  const at = new Date(nowMs());
  await putLocked(client, lock, {
    key: `holds/${hold.matter}/${at.toISOString()}-${verb}.json`,
    body: Buffer.from(`${JSON.stringify({ ...hold, at: at.toISOString() })}\n`),
    contentType: 'application/json',
    retainUntil: new Date(at.getTime() + retainDays * DAY_MS),
  });
}
