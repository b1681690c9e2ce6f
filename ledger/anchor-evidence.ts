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
