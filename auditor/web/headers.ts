/**
 * What goes with every reply, errors included: nothing may be framed, run or loaded that is not ours, nothing is kept
 * by caches, no address goes along to other sites. And which names this server answers to: a foreign name that was
 * made to point here is refused.
 */
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Origins } from './origins.ts';

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types sealtrail',
].join('; ');

/** Of every reply. */
export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'cache-control': 'no-store',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};
const TWO_YEARS_S = 63_072_000;
const SMALL_BYTES = 1024;
const compressBrotli = promisify(brotliCompress);
const compressGzip = promisify(gzip);

/** Adds them, and compresses pages. */
export function addHeaders(app: FastifyInstance, origins: Origins): void {
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers(HEADERS);
    if (origins.isSecure) void reply.header('strict-transport-security', `max-age=${TWO_YEARS_S}`);
    if (!origins.hasHost(request.headers.host))
      return reply
        .code(421)
        .type('text/plain; charset=utf-8')
        .send('This server has another name.');
    return undefined;
  });

  app.addHook('onSend', async (request, reply, payload) => {
    if (typeof payload !== 'string' || payload.length < SMALL_BYTES) return payload;
    return compress(request.headers['accept-encoding'] ?? '', reply, payload);
  });
}

async function compress(accepted: string, reply: FastifyReply, text: string): Promise<unknown> {
  const encoding = pickEncoding(accepted);
  void reply.header('vary', 'accept-encoding');
  if (encoding === 'identity') return text;
  const bytes =
    encoding === 'br'
      ? await compressBrotli(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } })
      : await compressGzip(text);
  void reply.header('content-encoding', encoding).header('content-length', bytes.length);
  return bytes;
}

/** The best encoding of those that an Accept-Encoding names; weights are not looked at but for none. */
export function pickEncoding(accepted: string): 'br' | 'gzip' | 'identity' {
  const names = accepted.split(',').flatMap((one) => {
    const [name = '', ...rest] = one.split(';').map((part) => part.trim());
    return rest.some((part) => /^q=0(\.0*)?$/.test(part)) ? [] : [name];
  });
  if (names.includes('br')) return 'br';
  return names.includes('gzip') ? 'gzip' : 'identity';
}
