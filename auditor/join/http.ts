/** One JSON answer over HTTP. The error says what came instead; a password in the address is never part of it. */
import { request } from 'undici';
import { codeOf, err, messageOf, ok, type Result } from '../../schemas/result.ts';
import { readJson } from '../../schemas/untrusted-json.ts';

export type Headers = Readonly<Record<string, string>>;

export interface JsonRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
  readonly headers?: Headers;
}

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** A search through months of an index takes its time before it says anything. */
const SILENCE_MS = 60_000;
const TIMEOUT_MS = 5 * 60_000;
/** A trace beyond this is for the server's own page. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

/** Headers as OpenTelemetry's variables have them: `authorization=Bearer%20x,x-scope-orgid=acme`; null: they are none. */
export function parseHeaders(text: string): Headers | null {
  if (text.trim() === '') return {};
  const pairs = text
    .split(',')
    .map((pair) => /^\s*([!#$%&'*+.^_`|~\w-]+)\s*=\s*(.*?)\s*$/.exec(pair));
  if (pairs.some((pair) => pair === null)) return null;
  try {
    return Object.fromEntries(
      pairs.map((pair) => [pair?.[1]?.toLowerCase() ?? '', decodeURIComponent(pair?.[2] ?? '')]),
    );
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

/** Asks a server; any status is an answer. User and password of the URL become the Authorization header. */
export async function askJson(
  base: string,
  { method, path, body, headers }: JsonRequest,
): Promise<Result<JsonAnswer, string>> {
  const url = new URL(base);
  const credentials =
    url.username === ''
      ? {}
      : { authorization: `Basic ${basic(decodeURIComponent(url.username), url.password)}` };
  const { host } = url;
  try {
    const answer = await request(`${url.origin}${url.pathname.replace(/\/$/, '')}${path}`, {
      method,
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...credentials,
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headersTimeout: SILENCE_MS,
      bodyTimeout: SILENCE_MS,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const blocks: Buffer[] = [];
    let bytes = 0;
    for await (const block of answer.body as AsyncIterable<Buffer>) {
      bytes += block.length;
      if (bytes > ANSWER_BYTES_MAX)
        return err(`${host} answered more than ${ANSWER_BYTES_MAX} bytes`);
      blocks.push(block);
    }
    return ok({
      status: answer.statusCode,
      body: readJson(Buffer.concat(blocks).toString('utf8')),
    });
  } catch (error) {
    return err(`${host} does not answer: ${messageOf(error) || codeOf(error)}`);
  }
}

function basic(user: string, password: string): string {
  return Buffer.from(`${user}:${decodeURIComponent(password)}`).toString('base64');
}
