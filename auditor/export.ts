/** A question answered with its certificate: by itself, or as an evidence bundle. */
import type { ClientBase } from 'pg';
import type { NoteSigner } from '../ledger/signing.ts';
import type { Trust } from '../ledger/trust.ts';
import type { Known } from '../ledger/verify/known.ts';
import { err, ok, type Result } from '../schemas/result.ts';
import { createConnection } from '../store/connection.ts';
import type { AnswerRow, Asked, AskError } from './answer.ts';
import type { Auditor, AnswerStream, AuditorOptions } from './ask.ts';
import { writeBundle } from './bundle/write.ts';
import type { Certificate } from './certificate/certificate.ts';
import { certify, type CertifyOptions } from './certificate/certify.ts';
import { findQuestion } from './catalogue.ts';
import { resolveAsked } from './resolve.ts';

export interface CertifiedOptions extends AuditorOptions {
  /** What is known of the streams from elsewhere; null: what the store keeps of checkpoints, judged by `trust`. */
  readonly known: Known | null;
  readonly trust: Trust | null;
  /** Name and version of the program. */
  readonly verifier: string;
  readonly onProgress?: (recordsRead: number) => void;
  /** Takes each row of the answer that is certified. */
  readonly onRow?: (row: AnswerRow, line: string) => void;
  /** Aborted: it is not wanted any longer; then the error says so. */
  readonly signal?: AbortSignal;
}

export interface ExportOptions extends CertifiedOptions {
  /** A folder, or a file that ends in .zip; neither may hold anything. */
  readonly path: string;
  readonly signer: NoteSigner | null;
  /** RFC 3339: when it is made. */
  readonly time: string;
}

const STATEMENT_TIMEOUT_MS = 3_600_000;

/** Asks, and certifies all of the answer. */
export function certifyAnswer(
  auditor: Auditor,
  asked: Asked,
  options: CertifiedOptions,
): Promise<Result<Certificate, AskError>> {
  return answerWith(auditor, asked, options, (given) => certify(given));
}

/** Asks, and writes the answer with all that shows it. Rejects with what the disk has against it. */
export function exportAnswer(
  auditor: Auditor,
  asked: Asked,
  options: ExportOptions,
): Promise<Result<Certificate, AskError>> {
  const { path, signer, time } = options;
  const found = findQuestion(asked.question);
  const title = found.ok ? found.value.title : asked.question;
  return answerWith(auditor, asked, options, (given, { columns }) =>
    writeBundle({ ...given, path, signer, time, title, columns }),
  );
}

/** Answer and certificate are of one snapshot: what comes in or is purged meanwhile is in neither. */
async function answerWith(
  auditor: Auditor,
  asked: Asked,
  { url, tls, known, trust, verifier, onProgress, onRow, signal }: CertifiedOptions,
  use: (given: CertifyOptions, answer: AnswerStream) => Promise<Certificate>,
): Promise<Result<Certificate, AskError>> {
  const found = resolveAsked(asked);
  if (!found.ok) return found;
  const { question, tenant, since, until, timeZone, parameters } = found.value.resolved;
  let client: ClientBase | null = null;
  const answer = await auditor.stream(asked, async () => exportSnapshot(client));
  if (!answer.ok) return answer;
  const connection = createConnection({
    url,
    ...(tls === undefined ? {} : { tls }),
    timeoutMs: STATEMENT_TIMEOUT_MS,
    applicationName: 'sealtrail certificate',
  });
  const drop = (): void => connection.drop();
  signal?.addEventListener('abort', drop);
  try {
    signal?.throwIfAborted();
    client = await connection.client();
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const given: CertifyOptions = {
      client,
      asked: { question, tenant, since, until, timeZone, parameters },
      statement: answer.value.statement,
      rows: rowsOf(answer.value, signal),
      ...{ known, trust, verifier },
      ...(onProgress && { onProgress }),
      ...(onRow && { onRow }),
    };
    const made = await use(given, answer.value);
    return signal?.aborted === true ? GIVEN_UP : ok(made);
  } catch (error) {
    if (signal?.aborted === true) return GIVEN_UP;
    throw error;
  } finally {
    signal?.removeEventListener('abort', drop);
    connection.drop();
  }
}

const GIVEN_UP = err<AskError>({ kind: 'unavailable', message: 'it was given up before its end' });

async function exportSnapshot(client: ClientBase | null): Promise<string> {
  const said = await client?.query<{ id: string }>('SELECT pg_export_snapshot() AS id');
  return said?.rows[0]?.id ?? '';
}

async function* rowsOf(
  { batches }: AnswerStream,
  signal: AbortSignal | undefined,
): AsyncGenerator<AnswerRow> {
  for await (const batch of batches) {
    signal?.throwIfAborted();
    yield* batch;
  }
}
