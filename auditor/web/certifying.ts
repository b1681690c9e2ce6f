/** The certificate of a question that was asked on the page: asked once more, all of it, with the rights of the person's login. */
import type { AnswerRow, Asked } from '../answer.ts';
import { createAuditor, type AnswerStream, type AuditorOptions } from '../ask.ts';
import { certify, type CertifyOptions } from '../certificate/certify.ts';
import type { Certificate } from '../certificate/certificate.ts';
import type { Trust } from '../../ledger/trust.ts';
import { err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { createConnection } from '../../store/connection.ts';

export interface CertifyingOptions extends AuditorOptions {
  readonly asked: Asked;
  readonly trust: Trust | null;
  /** Name and version of the program. */
  readonly verifier: string;
}

/** Longest wait for one statement: a certificate reads all records of its time. */
const TIMEOUT_MS = 600_000;

/** Certifies; the error says why nothing could be asked. */
export function certifyAnswer(options: CertifyingOptions): Promise<Result<Certificate, string>> {
  return withAnswer(options, (answer) => certify(answer));
}

/** Runs `body` with the answer and a connection whose snapshot begins with its first query, behind the rows. */
export async function withAnswer<T>(
  { url, tls, asked, trust, verifier }: CertifyingOptions,
  body: (answer: CertifyOptions & Pick<AnswerStream, 'columns'>) => Promise<T>,
): Promise<Result<T, string>> {
  const at = { url, ...(tls === undefined ? {} : { tls }) };
  const auditor = createAuditor(at);
  const applicationName = 'sealtrail certificate';
  const connection = createConnection({ ...at, timeoutMs: TIMEOUT_MS, applicationName });
  try {
    const stream = await auditor.stream(asked);
    if (!stream.ok) return err(stream.error.message);
    const { statement, columns, batches } = stream.value;
    const client = await connection.client();
    // What is stored while the rows are read is then no record that stands where another was shown.
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const given = { client, asked, statement, columns, rows: flat(batches), known: null };
    return ok(await body({ ...given, trust, verifier }));
  } catch (error) {
    return err(`the store does not answer: ${messageOf(error)}`);
  } finally {
    auditor.close();
    connection.drop();
  }
}

/** Row by row. */
export async function* flat(
  batches: AsyncIterable<readonly AnswerRow[]>,
): AsyncGenerator<AnswerRow> {
  for await (const batch of batches) yield* batch;
}
