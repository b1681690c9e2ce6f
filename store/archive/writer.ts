/**
 * Puts a batch of records into the archive: an object a retention class, then the manifest that names them.
 * When it resolves, all of it stands there under lock. It may be called again with the same records, or with a
 * batch that begins at the same one and ends elsewhere, as after a crash: what stands there is taken as it is.
 */
import type { ArchiveLock } from '../../schemas/archive-config.ts';
import type { StoredRecord } from '../store.ts';
import { ArchiveError, type ArchiveClient } from './client.ts';
import { digestOf, groupOf, manifestKey, segmentKey, type Group } from './layout.ts';
import {
  ARCHIVE_VERSION,
  formatManifest,
  type ManifestSegment,
  type StreamRange,
} from './manifest.ts';
import { confirmLock, headObject, putLocked, requireObjectLock } from './objects.ts';
import { linesOf, pack } from './segment.ts';
import { findStanding, type StandingSegment } from './standing.ts';

/** A record and its place in the ledger. */
export interface NumberedRecord extends StoredRecord {
  readonly number: number;
}

export interface ArchiveWriterOptions {
  readonly client: ArchiveClient;
  readonly lock: ArchiveLock;
  readonly retainDays: Readonly<Record<string, number>>;
  readonly nowMs: () => number;
  /** Signed checkpoints that cover these ranges, as far as there are any. */
  readonly checkpointsOf: (streams: readonly StreamRange[]) => Promise<readonly string[]>;
}

export interface Archived {
  /** Keys of objects that begin with the same record as one of these and go on otherwise. */
  readonly foreign: readonly string[];
}

export interface ArchiveWriter {
  /** Rejects with ArchiveError. */
  archive(records: readonly NumberedRecord[]): Promise<Archived>;
}

const DAY_MS = 86_400_000;

/** Creates a writer; the bucket is asked for its Object Lock before the first batch. */
export function createArchiveWriter(options: ArchiveWriterOptions): ArchiveWriter {
  const { client, lock } = options;
  let isChecked = false;

  /** Until the class of its newest record lets it go, and a day at least: a lock is never in the past. */
  function retainUntil(label: string, records: readonly NumberedRecord[]): Date {
    const days = options.retainDays[label] ?? Math.max(...Object.values(options.retainDays));
    // Not as arguments of Math.max: a batch may have a hundred thousand.
    const newestMs = records.reduce((newest, one) => Math.max(newest, receivedMs(one)), 0);
    return new Date(Math.max(newestMs + days * DAY_MS, options.nowMs() + DAY_MS));
  }

  async function put(
    group: Group,
    records: readonly NumberedRecord[],
    content: Buffer,
  ): Promise<ManifestSegment> {
    const key = segmentKey(group, records[0]?.number ?? 0, digestOf(content));
    const until = retainUntil(group.label, records);
    const body = await pack(content);
    await putLocked(client, lock, {
      key,
      body,
      contentType: 'application/gzip',
      retainUntil: until,
    });
    return describe(key, records, until);
  }

  async function adopt(
    { key, versionId }: StandingSegment,
    group: Group,
    records: readonly NumberedRecord[],
  ): Promise<ManifestSegment> {
    const until = retainUntil(group.label, records);
    const head = await headObject(client, key, versionId);
    if (head === null)
      throw new ArchiveError('NotThere', 0, `${key} stood there, and has gone since: put again`);
    await confirmLock(client, lock, { key, retainUntil: until }, head);
    return describe(key, records, until);
  }

  /** Puts a group's records, as one object or behind what stands there of them. */
  async function putGroup(
    group: Group,
    records: readonly NumberedRecord[],
  ): Promise<{ readonly segments: ManifestSegment[]; readonly foreign: string[] }> {
    const segments: ManifestSegment[] = [];
    const foreign: string[] = [];
    let rest = records;
    while (rest.length > 0) {
      const content = linesOf(rest);
      const found = await findStanding(client, group, rest[0]?.number ?? 0, content);
      foreign.push(...found.foreign);
      if (found.standing === null) {
        segments.push(await put(group, rest, content));
        break;
      }
      const taken = rest.slice(0, found.standing.records);
      segments.push(await adopt(found.standing, group, taken));
      rest = rest.slice(taken.length);
    }
    return { segments, foreign };
  }

  return {
    archive: async (records) => {
      const first = records[0];
      const last = records.at(-1);
      if (first === undefined || last === undefined) return { foreign: [] };
      if (!isChecked) await requireObjectLock(client);
      isChecked = true;
      const groups = gather(records);
      const segments: ManifestSegment[] = [];
      const foreign: string[] = [];
      for (const { group, members } of groups.values()) {
        const done = await putGroup(group, members);
        segments.push(...done.segments);
        foreign.push(...done.foreign);
      }
      const checkpoints = await options.checkpointsOf(segments.flatMap(({ streams }) => streams));
      const content = formatManifest({
        v: ARCHIVE_VERSION,
        from: first.number,
        to: last.number + 1,
        segments,
        order: orderOf(records, segments),
        checkpoints,
      });
      const { agent } = groupFor(first);
      await putLocked(client, lock, {
        key: manifestKey(agent, first.number, digestOf(content)),
        body: await pack(content),
        contentType: 'application/gzip',
        retainUntil: new Date(
          Math.max(...segments.map(({ retain_until }) => Date.parse(retain_until))),
        ),
      });
      return { foreign };
    },
  };
}

/** A stream of another form than an agent's still has a place. */
function groupFor({ event }: StoredRecord): Group {
  return groupOf(event.chain.stream) ?? { agent: 'other', incarnation: 'other', label: 'other' };
}

function gather(
  records: readonly NumberedRecord[],
): ReadonlyMap<string, { readonly group: Group; readonly members: NumberedRecord[] }> {
  const groups = new Map<string, { readonly group: Group; readonly members: NumberedRecord[] }>();
  for (const record of records) {
    const group = groupFor(record);
    const name = Object.values(group).join('/');
    const known = groups.get(name);
    if (known === undefined) groups.set(name, { group, members: [record] });
    else known.members.push(record);
  }
  return groups;
}

function describe(key: string, records: readonly NumberedRecord[], until: Date): ManifestSegment {
  const streams = new Map<string, StreamRange>();
  for (const { event } of records) {
    const { stream, seq } = event.chain;
    const from = streams.get(stream)?.from ?? seq;
    streams.set(stream, { stream, tenant: event.resource.tenant_id, from, to: seq + 1 });
  }
  const received = [records[0], records.at(-1)].map((one) => one?.event.chain.received_at ?? '');
  return {
    key,
    records: records.length,
    retain_until: until.toISOString(),
    received: [received[0] ?? '', received[1] ?? ''],
    streams: [...streams.values()],
  };
}

/** How the lines of the segments stand in the ledger, in runs. */
function orderOf(
  records: readonly NumberedRecord[],
  segments: readonly ManifestSegment[],
): (readonly [segment: number, count: number])[] {
  const runs: [number, number][] = [];
  const left = segments.map((segment) => segment.records);
  const homes = new Map<string, number[]>();
  for (const [at, { streams }] of segments.entries())
    for (const { stream } of streams) homes.set(stream, [...(homes.get(stream) ?? []), at]);
  for (const { event } of records) {
    const home = homes.get(event.chain.stream)?.find((at) => (left[at] ?? 0) > 0) ?? 0;
    left[home] = (left[home] ?? 0) - 1;
    const run = runs.at(-1);
    if (run?.[0] === home) run[1] += 1;
    else runs.push([home, 1]);
  }
  return runs;
}

function receivedMs({ event }: StoredRecord): number {
  return Date.parse(event.chain.received_at);
}
