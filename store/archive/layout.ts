/**
 * The archive's keys and what they say. Pure. Below the prefix:
 *
 *   segments/<agent>/<incarnation>/<class>/<first record, 20 digits>-<digest>.ndjson.gz
 *   manifests/<agent>/<first record, 20 digits>-<digest>.json.gz
 *   holds/<matter>/<time>-<add|lift>.json
 *
 * The digest is that of what is inside, before compression: one key can have one content only, so a put that
 * is repeated is the same object, and a version with anything else in it is told by its key.
 */
import { createHash } from 'node:crypto';

export interface SegmentKey {
  readonly kind: 'segment';
  readonly agent: string;
  readonly incarnation: string;
  /** The retention class: what lies in one object goes at one time. */
  readonly label: string;
  readonly first: number;
  readonly digest: string;
}

export interface ManifestKey {
  readonly kind: 'manifest';
  readonly agent: string;
  readonly first: number;
  readonly digest: string;
}

/** Where records lie together: of one agent, in one incarnation, of one retention class. */
export type Group = Pick<SegmentKey, 'agent' | 'incarnation' | 'label'>;

const DIGEST_LENGTH = 32;
const NUMBER = '([0-9]{20})-([0-9a-f]{32})';
const NAME = '([A-Za-z0-9][A-Za-z0-9._-]*)';
const SEGMENT = new RegExp(`^segments/${NAME}/${NAME}/${NAME}/${NUMBER}\\.ndjson\\.gz$`);
const MANIFEST = new RegExp(`^manifests/${NAME}/${NUMBER}\\.json\\.gz$`);
const STREAM = new RegExp(`^sealtrail/${NAME}/${NAME}/[^/]+/${NAME}$`);

/** What is inside an object, as its key names it. */
export function digestOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex').slice(0, DIGEST_LENGTH);
}

/** Where a stream's records lie; null for a name that no agent gives. */
export function groupOf(stream: string): Group | null {
  const [, agent, incarnation, label] = STREAM.exec(stream) ?? [];
  if (agent === undefined || incarnation === undefined || label === undefined) return null;
  return { agent, incarnation, label };
}

/** What the keys of a group's objects that begin with this record have in common. */
export function segmentPrefix({ agent, incarnation, label }: Group, first: number): string {
  return `segments/${agent}/${incarnation}/${label}/${pad(first)}-`;
}

export function segmentKey(group: Group, first: number, digest: string): string {
  return `${segmentPrefix(group, first)}${digest}.ndjson.gz`;
}

export function manifestKey(agent: string, first: number, digest: string): string {
  return `manifests/${agent}/${pad(first)}-${digest}.json.gz`;
}

/** Reads a key, without the archive's prefix; null when it is none of these. */
export function parseKey(key: string): SegmentKey | ManifestKey | null {
  const [, agent = '', incarnation = '', label = '', first = '', digest = ''] =
    SEGMENT.exec(key) ?? [];
  if (agent !== '')
    return { kind: 'segment', agent, incarnation, label, first: Number(first), digest };
  const [, of = '', from = '', inside = ''] = MANIFEST.exec(key) ?? [];
  if (of === '') return null;
  return { kind: 'manifest', agent: of, first: Number(from), digest: inside };
}

function pad(number: number): string {
  return String(number).padStart(20, '0');
}
