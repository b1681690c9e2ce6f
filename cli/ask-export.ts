/** The certificate of what `sealtrail ask` answers, and `--export`: all of it as an evidence bundle. */
import type { Command } from 'commander';
import { VERSION } from '../agent/version.ts';
import type { Asked, AskError } from '../auditor/answer.ts';
import type { Auditor, AuditorOptions } from '../auditor/ask.ts';
import { recordOf, type Certificate } from '../auditor/certificate/certificate.ts';
import { readCertificateKey } from '../auditor/certificate/key.ts';
import { certifyAnswer, exportAnswer, type CertifiedOptions } from '../auditor/export.ts';
import { err, messageOf, ok, type Result } from '../schemas/result.ts';
import { printable } from './printable.ts';
import { createProgress } from './progress.ts';
import { readTrust } from './trust-file.ts';
import { readKnownOf, type KnownOptions } from './verify-known.ts';

export interface ExportFlags extends KnownOptions {
  readonly export?: string;
  readonly certify?: boolean;
  readonly certificateKey?: string;
}

export const EXPORT_EXAMPLES = `
  $ sealtrail ask … --trust keys.txt                                 is it as it was sealed, by keys that you trust?
  $ sealtrail ask … --export finding.zip --trust keys.txt --certificate-key alice.key
  $ sealtrail check finding.zip --trust keys.txt`;

/** Adds the options. */
export function addExportOptions(command: Command): Command {
  return command
    .option('--no-certify', 'do not verify the records behind the answer')
    .option(
      '--export <path>',
      'write all of it as evidence: a new folder, or a new file that ends in .zip',
    )
    .option('--certificate-key <file>', 'key that signs the certificate: `sealtrail auditor-key`')
    .option('--trust <keys>', 'file with the keys of the agents that you trust, or a keys note')
    .option('--root <key>', 'public key of the root that signed the keys note, or a file with it')
    .option('--policy <file>', 'file with the anchors that must have had the checkpoints')
    .option('--checkpoints <path...>', 'checkpoints from elsewhere; default: those in the store');
}

export const CERTIFIED_CODES: Readonly<Record<Certificate['verdict'], number>> = {
  intact: 0,
  broken: 1,
  cannot_tell: 2,
};

/** Certifies all of an answer, and writes it where `--export` says; the error says why it could not. */
export async function certifyAsked(
  auditor: Auditor,
  asked: Asked,
  store: AuditorOptions,
  flags: ExportFlags,
  onRow?: CertifiedOptions['onRow'],
): Promise<Result<Certificate, AskError>> {
  const progress = createProgress('verifying', 'records');
  try {
    const onProgress = (records: number): void => progress.update(records, records);
    const watched = { ...store, onProgress, ...(onRow && { onRow }) };
    return await make(auditor, asked, watched, flags);
  } finally {
    progress.end();
  }
}

async function make(
  auditor: Auditor,
  asked: Asked,
  watched: AuditorOptions & Pick<CertifiedOptions, 'onProgress' | 'onRow'>,
  flags: ExportFlags,
): Promise<Result<Certificate, AskError>> {
  const { export: path, certificateKey, trust: trustPath, root, policy, checkpoints } = flags;
  const trust = trustPath === undefined ? ok(null) : await readTrust(trustPath, root);
  if (!trust.ok) return unavailable(trust.error);
  const signer = certificateKey === undefined ? ok(null) : await readCertificateKey(certificateKey);
  if (!signer.ok) return unavailable(signer.error);
  const isElsewhere = (checkpoints ?? []).length > 0 || policy !== undefined;
  const known = isElsewhere ? await readKnownOf(flags, null) : ok(null);
  if (!known.ok) return unavailable(known.error);
  const options: CertifiedOptions = {
    ...watched,
    known: known.value,
    trust: trust.value,
    verifier: `sealtrail ${VERSION}`,
  };
  try {
    const time = new Date().toISOString();
    return path === undefined
      ? await certifyAnswer(auditor, asked, options)
      : await exportAnswer(auditor, asked, { ...options, path, signer: signer.value, time });
  } catch (error) {
    return unavailable(messageOf(error));
  }
}

function unavailable(reason: string): { ok: false; error: AskError } {
  return err({ kind: 'unavailable', message: `no certificate: ${reason}` });
}

/** What a certificate says, in lines. */
export function describeCertificate({
  finding,
  findings,
  proven,
  not_proven,
  notes,
}: Certificate): string {
  const found = findings.slice(1).map((one) => {
    const where = one.rows.length === 0 ? '' : `row ${one.rows.join(' or ')}`;
    const what = [where, one.kind, recordOf(one)].filter((part) => part !== '').join(', ');
    return `FOUND       ${what}: ${one.message}`;
  });
  const lines = [
    ...found,
    ...proven.map((text) => `proven      ${text}`),
    ...not_proven.map((text) => `not proven  ${text}`),
    ...notes.map((text) => `note        ${text}`),
    finding,
  ];
  return `${lines.map(printable).join('\n')}\n`;
}
