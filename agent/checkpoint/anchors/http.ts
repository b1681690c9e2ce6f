/**
 * One request to one anchor over HTTP. Seldom enough that no connection is kept: certificates are read each
 * time, and what a peer holds open costs nothing. Redirects are not followed.
 */
import { Client } from 'undici';
import { codeOf, err, messageOf, ok, type Result } from '../../../schemas/result.ts';
import type { TlsClientConfig } from '../../../schemas/exporter-config.ts';
import { readTls } from '../../../store/tls-files.ts';
import type { AnchorFailure } from './anchor.ts';

export interface HttpRequest {
  readonly url: URL;
  readonly tls: TlsClientConfig | undefined;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface HttpAnswer {
  readonly status: number;
  readonly bytes: Buffer;
}

/** A cosignature takes 200 bytes, a time-stamp with its certificates some 10,000. */
const ANSWER_BYTES_MAX = 256 * 1024;

/** Sends it; the error says why there is no answer. */
export async function request(
  { url, tls, method, headers = {}, body = '' }: HttpRequest,
  signal: AbortSignal,
): Promise<Result<HttpAnswer, AnchorFailure>> {
  let client: Client | null = null;
  try {
    client = new Client(url.origin, { connect: { ...(await readTls(tls)) } });
    const { statusCode: status, body: answer } = await client.request({
      path: url.pathname + url.search,
      method,
      headers,
      ...(method === 'POST' ? { body } : {}),
      signal,
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) return refused('its answer is too large');
      chunks.push(chunk);
    }
    return ok({ status, bytes: Buffer.concat(chunks) });
  } catch (error) {
    const code = codeOf(error);
    const reason = signal.aborted ? 'no answer in time' : messageOf(error) || code;
    return err({ kind: 'unreachable', message: `${url.host}: ${reason}` });
  } finally {
    await client?.destroy();
  }
}

/** What an answer means that is not the one that was asked for. */
export function describeStatus(status: number): AnchorFailure {
  const message = `it answered ${status}`;
  return { kind: status >= 500 || status === 429 ? 'unreachable' : 'refused', message };
}

/** It answers, and does not take it. */
export function refused(message: string): Result<never, AnchorFailure> {
  return err({ kind: 'refused', message });
}
