/**
 * The note over a certificate: its digest, its verdict and when it was made, signed by the auditor's key. It stands
 * outside the certificate because it is the one thing that differs from one making to the next.
 *
 *   sealtrail/certificate-note/v1
 *   <SHA-256 of the certificate's bytes, hex>
 *   <verdict>
 *   <RFC 3339, UTC: when it was made, by the clock of the auditor's machine>
 *
 * Without a key it is this text and an empty line, and shows nothing. Pure.
 */
import { createHash } from 'node:crypto';
import { signNote } from '../../ledger/note.ts';
import type { NoteSigner } from '../../ledger/signing.ts';
import type { Verdict } from './certificate.ts';

export const NOTE_VERSION = 'sealtrail/certificate-note/v1';

export interface CertificateNote {
  readonly sha256: string;
  readonly verdict: Verdict;
  readonly time: string;
}

const NOTE =
  /^sealtrail\/certificate-note\/v1\n([0-9a-f]{64})\n(intact|broken|cannot_tell)\n(\d{4}-\d\d-\d\dT[0-9:.]{8,12}Z)\n$/;

/** Writes the note over a certificate's bytes. */
export async function writeCertificateNote(
  certificate: string,
  verdict: Verdict,
  time: string,
  signer: NoteSigner | null,
): Promise<string> {
  const sha256 = createHash('sha256').update(certificate).digest('hex');
  const text = `${NOTE_VERSION}\n${sha256}\n${verdict}\n${time}\n`;
  return signer === null ? `${text}\n` : signNote(text, [signer]);
}

/** Reads its text; null where it is none. Says nothing of its signatures. */
export function parseCertificateNote(note: string): CertificateNote | null {
  const text = note.slice(0, note.lastIndexOf('\n\n') + 1);
  const [, sha256 = '', verdict, time = ''] = NOTE.exec(text) ?? [];
  return verdict === undefined ? null : { sha256, verdict: verdict as Verdict, time };
}

/** Whether somebody has signed it. */
export function isSigned(note: string): boolean {
  return !note.endsWith('\n\n');
}
