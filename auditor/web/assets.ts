/**
 * The style and the script of the page: bundled by scripts/web-client.mjs, read once, served from memory under a name
 * that holds their hash, so that a browser may keep them for ever.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

export interface Asset {
  readonly path: string;
  readonly type: string;
  readonly encodings: Readonly<Record<'br' | 'gzip' | 'identity', Buffer>>;
}

export interface Assets {
  readonly style: Asset;
  readonly script: Asset;
}

/** Reads them. Rejects when the build has not made them. */
export async function loadAssets(): Promise<Assets> {
  const dir = join(import.meta.dirname, 'generated');
  const load = async (file: string, type: string): Promise<Asset> => {
    const bytes = await readFile(join(dir, file));
    const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, 16);
    const br = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });
    return {
      path: `/assets/${hash}-${file}`,
      type,
      encodings: { br, gzip: gzipSync(bytes), identity: bytes },
    };
  };
  return {
    style: await load('page.css', 'text/css; charset=utf-8'),
    script: await load('page.js', 'text/javascript; charset=utf-8'),
  };
}
