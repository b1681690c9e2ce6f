/**
 * What an anchor gives for a checkpoint of the anchor log; kept beside the checkpoint, and a part of proofs.
 *
 *   cosignature  a signature line of a witness: it saw this checkpoint continue the one before it
 *   timestamp    an RFC 3161 token over SHA-256 of the note's bytes
 *   copy         where the note lies unchanged; shows nothing offline, and whoever audits compares it there
 *
 * Pure.
 */

interface EvidenceBase {
  /** Name of the anchor as configured. */
  readonly anchor: string;
  /** RFC 3339; by the anchor's clock, for a copy by the agent's. */
  readonly time: string;
}

export type AnchorEvidence =
  | (EvidenceBase & {
      readonly kind: 'cosignature';
      /** As it stands in a note: dash, name, base64, newline. */
      readonly line: string;
    })
  | (EvidenceBase & {
      readonly kind: 'timestamp';
      /** Base64 of the DER of the TimeStampToken. */
      readonly token: string;
    })
  | (EvidenceBase & {
      readonly kind: 'copy';
      /** A path, a table, an object with its version: no credentials. */
      readonly place: string;
    });

const MEMBERS = { cosignature: 'line', timestamp: 'token', copy: 'place' } as const;

/** Reads evidence out of JSON; null when it is none. Says nothing of its truth. */
export function parseEvidence(value: unknown): AnchorEvidence | null {
  if (typeof value !== 'object' || value === null) return null;
  const { kind, anchor, time, ...rest } = value as Record<string, unknown>;
  if (typeof anchor !== 'string' || typeof time !== 'string' || typeof kind !== 'string')
    return null;
  if (Number.isNaN(Date.parse(time)) || !Object.hasOwn(MEMBERS, kind)) return null;
  const member = MEMBERS[kind as keyof typeof MEMBERS];
  const given = rest[member];
  if (typeof given !== 'string') return null;
  return { kind, anchor, time, [member]: given } as unknown as AnchorEvidence;
}
