/**
 * The certificate of an answer: what was asked, what the records behind the answer and around it were found to be,
 * what that proves and what not. It holds no time of day, so that the same question asked again gives the same
 * bytes where nothing has changed; when it was made, and by whom, stands in the note over it (note.ts). Types, and
 * how a row and a certificate are written. Pure. docs/EVIDENCE.md tells what each member means.
 */
import { canonicalize } from '../../schemas/canonical.ts';
import type { AnswerRow, Asked, Statement } from '../answer.ts';

export const CERTIFICATE_VERSION = 'sealtrail/certificate/v1';

/** `cannot_tell` is never success. */
export type Verdict = 'intact' | 'broken' | 'cannot_tell';

export interface CertificateFinding {
  readonly kind: string;
  /** Rows of the answer, from 1, one of which is the offending record; none: it is a record that is not shown. */
  readonly rows: readonly number[];
  /** '' where it is about figures, and no record. */
  readonly stream: string;
  readonly seq: number;
  readonly message: string;
}

/** What was read of a stream. Hashes are in hex. */
export interface StreamProof {
  readonly stream: string;
  /** The records of the question's time, and all of the answer: [from, to). Each was read and compared whole. */
  readonly from: number;
  readonly to: number;
  /** Of [first, last) the hashes are listed: the range and, where there are any, a neighbour on either side. */
  readonly first: number;
  readonly last: number;
  /** The neighbours, as lines of a ledger: they show that the range is all that was received in that time. */
  readonly before: string | null;
  readonly after: string | null;
  /** SHA-256 of the list: a hash a line. */
  readonly hashes_sha256: string;
  /** Null: places are missing, and there is no tree. */
  readonly tree: {
    readonly size: number;
    readonly root: string;
    /** Compact range of the leaves before the list, and of those behind it. */
    readonly left: readonly string[];
    readonly right: readonly string[];
  } | null;
  /** The signed note of the tree, where one is known that fits. */
  readonly checkpoint: string | null;
  /** Whether a key that the asker trusts has signed it. */
  readonly is_trusted: boolean;
  /** Trusted keys that have signed it, as <name>+<id>. */
  readonly keys: readonly string[];
  /** Since when the anchors that the policy asks for have had the stream, and up to which size. */
  readonly anchored: {
    readonly size: string;
    readonly time: string;
    readonly by: readonly string[];
  } | null;
}

export interface JudgedAnswer {
  /**
   * `rows`: each record that answers is a row. `figures`: each row was computed again. `candidates`: each row is one of
   * the records that could be, and which of them are the database alone has said. `excused`: each record that could be is a
   * row, or what keeps it out was shown.
   */
  readonly by: 'rows' | 'figures' | 'candidates' | 'excused';
  /** Records that answer, count, or could be a row. */
  readonly matching: number;
  /** Of them, repetitions of an event. */
  readonly repeated: number;
  /** Of these, such as no row shows: their event's id stands for another act, and no query shows theirs. */
  readonly masked: number;
}

export interface Certificate {
  readonly _v: typeof CERTIFICATE_VERSION;
  readonly asked: Asked;
  readonly statement: Statement;
  /** Login under which the database was read: its rights bound what could be seen. */
  readonly login: string;
  /** What verified: name and version. */
  readonly verifier: string;
  readonly verdict: Verdict;
  /** The verdict in a sentence. */
  readonly finding: string;
  readonly findings: readonly CertificateFinding[];
  /** All of them, listed or not. */
  readonly findings_total: number;
  readonly rows: {
    readonly count: number;
    /** Of them, rows that are a record each. */
    readonly records: number;
    /** SHA-256 of the rows, as `formatRow` writes them. */
    readonly sha256: string;
  };
  /** Records that were read and compared whole. */
  readonly records: number;
  /** Places in the ranges of which a purge left the hashes alone: whether they answered nobody can tell. */
  readonly purged: number;
  /** How the answer was held against those records, apart from the statement; null: it was not. */
  readonly judged: JudgedAnswer | null;
  readonly streams: readonly StreamProof[];
  readonly proven: readonly string[];
  readonly not_proven: readonly string[];
  readonly notes: readonly string[];
}

/** The record that a finding is about, in words; '' of figures. */
export function recordOf({ stream, seq }: Pick<CertificateFinding, 'stream' | 'seq'>): string {
  return stream === '' ? '' : `record ${stream} seq ${seq}`;
}

/** A row as a line of rows.ndjson; `number` counts from 1. */
export function formatRow(number: number, { values, record }: AnswerRow): string {
  return `${canonicalize({ row: number, values, record })}\n`;
}

/** The bytes of a certificate: RFC 8785, and a newline. */
export function formatCertificate(certificate: Certificate): string {
  return `${canonicalize(certificate)}\n`;
}
