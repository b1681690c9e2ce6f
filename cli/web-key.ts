/**
 * The key that signs the bundles of the page: the one that is named, else one of the page's own beside the agent's keys,
 * made at its first start.
 */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { createCertificateKey, readCertificateKey } from '../auditor/certificate/key.ts';
import { isKeyName, type NoteSigner } from '../ledger/signing.ts';
import { err, ok, type Result } from '../schemas/result.ts';

export interface PageKey {
  /** Null: bundles are not signed. */
  readonly signer: NoteSigner | null;
  /** Why they are not, for the log. */
  readonly reason: string | null;
}

/** Reads or makes it. A key that is there and cannot be read is an error: nobody goes on unsigned by accident. */
export async function readPageKey(
  named: string | null,
  dataDir: string,
): Promise<Result<PageKey, string>> {
  const path = named ?? join(dataDir, 'keys', 'page.key');
  if (named === null && !existsSync(path)) {
    const made = existsSync(dirname(path))
      ? await createCertificateKey(path, keyName())
      : err(`${dirname(path)} is not there: name a key with --certificate-key`);
    // Another page may have made it meanwhile.
    if (!made.ok && !existsSync(path)) return ok({ signer: null, reason: made.error });
  }
  const read = await readCertificateKey(path);
  return read.ok ? ok({ signer: read.value, reason: null }) : read;
}

function keyName(): string {
  const name = `page/${hostname()}`;
  return isKeyName(name) ? name : 'page';
}
