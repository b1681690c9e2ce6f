/** Draws up a certificate of what was read. Pure. */
import type { Verification } from '../../ledger/examination.ts';
import { parseNote } from '../../ledger/note.ts';
import type { Finding, FindingKind } from '../../ledger/stream-check.ts';
import type { Cover, Known, KnownCheckpoint } from '../../ledger/verify/known.ts';
import type { Asked, Statement } from '../answer.ts';
import {
  CERTIFICATE_VERSION,
  type Certificate,
  type CertificateFinding,
  type StreamProof,
} from './certificate.ts';
import type { GatheredRows } from './rows.ts';
import type { TreeParts } from './tree.ts';
import { describeFinding, tellNotProven, tellProven, type Facts } from './words.ts';

export interface StreamFacts extends Omit<
  StreamProof,
  'tree' | 'hashes_sha256' | 'checkpoint' | 'is_trusted' | 'keys' | 'anchored'
> {
  readonly grown: ReturnType<TreeParts['conclude']>;
  /** The checkpoint that was to vouch for the range. */
  readonly checkpoint: KnownCheckpoint | null;
  readonly cover: Cover | null;
}

/** What is certified of a stream; a checkpoint is named only where the tree has its root. */
export function describeStream(facts: StreamFacts): StreamProof {
  const { grown, checkpoint, cover, ...rest } = facts;
  const root = checkpoint === null ? '' : Buffer.from(checkpoint.root).toString('hex');
  const fits = checkpoint !== null && grown.tree?.root === root ? checkpoint : null;
  return {
    ...rest,
    ...grown,
    checkpoint: fits?.note ?? null,
    is_trusted: fits?.isSigned ?? false,
    keys: fits === null ? [] : signersOf(fits.note),
    anchored: fits === null ? null : (cover?.anchored ?? null),
  };
}

export interface Concluded {
  readonly asked: Asked;
  readonly statement: Statement;
  readonly login: string;
  readonly verifier: string;
  readonly known: Known | null;
  /** Streams of the tenant. */
  readonly expected: ReadonlySet<string>;
  readonly rows: GatheredRows;
  readonly verification: Verification;
  readonly proofs: readonly StreamProof[];
  /** Why the store could not be read, or nothing can be told of it. */
  readonly obstacle: string | null;
}

/** Kinds that tell of records which are not there: no row of the answer can be the offender. */
const OF_THE_ABSENT: ReadonlySet<string> = new Set<FindingKind>([
  'deleted',
  'truncated',
  'rewritten',
  'purge_mismatch',
  'purge_beyond_checkpoint',
  'stub_without_purge',
  'bad_signature',
  'checkpoint_unreadable',
]);
const FINDINGS_MAX = 100;

/** Draws it up. */
export function concludeCertificate(concluded: Concluded): Certificate {
  const { asked, statement, login, verifier, rows, verification, proofs } = concluded;
  const { known, expected, obstacle } = concluded;
  const findings = verification.findings.map((finding) => placeFinding(finding, rows));
  const named = new Set(findings.map(({ stream, seq }) => `${stream} ${seq}`));
  for (const { row, ...fault } of rows.faults)
    if (!named.has(`${fault.stream} ${fault.seq}`))
      findings.push({ kind: 'row_differs', rows: [row], ...fault });
  for (const [stream, [placed]] of rows.byStream)
    if (!expected.has(stream) && placed !== undefined && obstacle === null)
      findings.push({
        kind: 'row_differs',
        rows: [placed.row],
        ...{ stream, seq: placed.seq },
        message: 'the record is of a stream that the tenant does not have',
      });
  const total = Math.max(verification.findings_total, findings.length);
  // The rows that somebody reads come first.
  findings.sort((one, other) => (one.rows[0] ?? Infinity) - (other.rows[0] ?? Infinity) || 0);
  const doubt = obstacle ?? verification.notes.at(-1) ?? 'nothing can be told';
  const isEmpty = proofs.length === 0;
  const verdict =
    total > 0 ? 'broken' : verification.verdict === 'intact' && !isEmpty ? 'intact' : 'cannot_tell';
  const facts: Facts = { asked, login, rows, records: verification.records, proofs, known };
  return {
    _v: CERTIFICATE_VERSION,
    ...{ asked, statement, login, verifier, verdict },
    finding: describeFinding(
      verdict,
      facts,
      findings,
      isEmpty && obstacle === null
        ? `there is no record of tenant ${asked.tenant} that the login ${login} may see`
        : doubt,
    ),
    findings: findings.slice(0, FINDINGS_MAX),
    findings_total: total,
    rows: { count: rows.count, records: rows.records, sha256: rows.sha256 },
    records: verification.records,
    streams: proofs,
    proven: verdict === 'intact' ? tellProven(facts) : [],
    not_proven: tellNotProven(facts),
    notes: verification.notes,
  };
}

function placeFinding(finding: Finding, rows: GatheredRows): CertificateFinding {
  const { kind, stream, seq, message, doubted = 0 } = finding;
  const suspects = OF_THE_ABSENT.has(kind)
    ? []
    : (rows.byStream.get(stream) ?? []).filter((one) => one.seq >= seq - doubted && one.seq <= seq);
  return { kind, rows: suspects.map(({ row }) => row), stream, seq, message };
}

/** The keys whose names stand under a note, as <name>+<id>. */
export function signersOf(note: string): readonly string[] {
  const parsed = parseNote(note);
  return parsed.ok ? parsed.value.signatures.map(({ name, id }) => `${name}+${id}`) : [];
}
