/** Draws up a certificate of what was read. Pure. */
import type { Verification } from '../../ledger/examination.ts';
import type { Finding, FindingKind } from '../../ledger/stream-check.ts';
import type { Known } from '../../ledger/verify/known.ts';
import type { Asked, Statement } from '../answer.ts';
import type { CheckedAnswer } from './answer-check.ts';
import { CERTIFICATE_VERSION, type Certificate, type CertificateFinding } from './certificate.ts';
import type { StreamRead } from './read-stream.ts';
import type { GatheredRows } from './rows.ts';
import { describeFinding, tellNotProven, tellProven, type Facts } from './words.ts';

export interface Concluded {
  readonly asked: Asked;
  readonly statement: Statement;
  readonly login: string;
  readonly verifier: string;
  readonly known: Known | null;
  /** Streams of the tenant. */
  readonly expected: ReadonlySet<string>;
  readonly rows: GatheredRows;
  /** The answer held against the records. */
  readonly checked: CheckedAnswer;
  readonly verification: Verification;
  /** What was read of each stream that has a record. */
  readonly streams: readonly StreamRead[];
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
  const { asked, statement, login, verifier, rows, checked, verification } = concluded;
  const { known, expected, obstacle } = concluded;
  const proofs = concluded.streams.map(({ proof }) => proof);
  const findings = verification.findings.map((finding) => placeFinding(finding, rows));
  const named = new Set(findings.map(({ stream, seq }) => `${stream} ${seq}`));
  const faults = rows.faults.map(({ row, ...fault }) => ({
    ...{ kind: 'row_differs', rows: [row] },
    ...fault,
  }));
  const others = [...concluded.streams.flatMap((one) => one.findings), ...checked.findings];
  // Of a record that is broken nothing else is worth saying.
  for (const fault of [...faults, ...others])
    if (fault.stream === '' || !named.has(`${fault.stream} ${fault.seq}`)) findings.push(fault);
  for (const [stream, [placed]] of rows.byStream)
    if (!expected.has(stream) && placed !== undefined && obstacle === null)
      findings.push({
        kind: 'row_differs',
        rows: [placed.row],
        ...{ stream, seq: placed.seq },
        message: 'the record is of a stream that the tenant does not have',
      });
  const unlisted = checked.findings_total - checked.findings.length;
  const total = Math.max(verification.findings_total, findings.length) + unlisted;
  // The rows that somebody reads come first.
  findings.sort((one, other) => (one.rows[0] ?? Infinity) - (other.rows[0] ?? Infinity) || 0);
  const doubt = obstacle ?? verification.notes.at(-1) ?? 'nothing can be told';
  const isEmpty = proofs.length === 0;
  const verdict =
    total > 0 ? 'broken' : verification.verdict === 'intact' && !isEmpty ? 'intact' : 'cannot_tell';
  const purged = concluded.streams.reduce((sum, one) => sum + one.purged, 0);
  const { judged } = checked;
  const { records } = verification;
  const facts: Facts = { asked, login, rows, records, purged, judged, proofs, known };
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
    ...{ records, purged, judged },
    streams: proofs,
    proven: verdict === 'intact' ? tellProven(facts) : [],
    not_proven: tellNotProven(facts),
    notes: [...verification.notes, ...checked.notes],
  };
}

function placeFinding(finding: Finding, rows: GatheredRows): CertificateFinding {
  const { kind, stream, seq, message, doubted = 0 } = finding;
  const suspects = OF_THE_ABSENT.has(kind)
    ? []
    : (rows.byStream.get(stream) ?? []).filter((one) => one.seq >= seq - doubted && one.seq <= seq);
  return { kind, rows: suspects.map(({ row }) => row), stream, seq, message };
}
