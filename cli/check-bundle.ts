/** `sealtrail check BUNDLE`: judges an evidence bundle, a folder or a .zip, with nothing but its bytes and trusted keys. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { checkBundle, type BundleCheck } from '../auditor/check/bundle.ts';
import { BUNDLE_BYTES_MAX, FILES_MAX, TOO_LARGE, unzipBundle } from '../auditor/bundle/unzip.ts';
import type { BundleFiles } from '../auditor/check/files.ts';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';
import { printable } from './printable.ts';
import { readTrust } from './trust-file.ts';

interface CheckBundleOptions {
  readonly trust?: string;
  readonly root?: string;
  readonly json?: boolean;
}

const CODES = { intact: 0, broken: 1, cannot_tell: 2 } as const;
const SIGNS = { ok: 'ok    ', failed: 'FAILED', open: 'open  ' } as const;
const ZIP = Buffer.from('PK');

/** Whether the path is a bundle rather than a proof. */
export async function isBundle(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory() || path.endsWith('.zip');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return false;
    throw error;
  }
}

/** Checks it and prints what came of it; the exit code. */
export async function runCheckBundle(
  path: string,
  { trust: trustPath, root, json }: CheckBundleOptions,
): Promise<number> {
  const files = await readBundle(path);
  const trust = trustPath === undefined ? ok(null) : await readTrust(trustPath, root);
  for (const read of [files, trust])
    if (!read.ok) {
      const said = { verdict: 'cannot_tell', finding: read.error };
      console.log(
        json === true ? JSON.stringify(said, null, 2) : printable(`cannot tell: ${read.error}`),
      );
      return CODES.cannot_tell;
    }
  if (!files.ok || !trust.ok) return CODES.cannot_tell;
  const result = checkBundle(files.value, trust.value);
  if (json === true) {
    const { certificate: _, rows, ...rest } = result;
    console.log(JSON.stringify({ ...rest, rows: rows.length }, null, 2));
  } else print(result);
  return CODES[result.verdict];
}

/** A bundle comes from anybody: none of its text may steer a terminal, or write over a line of ours. */
function print({ lines, finding, certificate, question }: BundleCheck): void {
  if (question !== null && certificate !== null) {
    const { tenant, since, until } = certificate.asked;
    say(question.title);
    say(`tenant ${tenant}, ${since} up to ${until}, asked by ${certificate.login}`);
  }
  for (const { what, state, text, row } of lines)
    say(`${SIGNS[state]}  ${what}${row === undefined ? '' : ` row ${row}`}: ${text}`);
  for (const text of certificate?.not_proven ?? []) say(`not proven: ${text}`);
  say(finding);
}

const say = (text: string): void => console.log(printable(String(text)));

async function readBundle(path: string): Promise<Result<BundleFiles, string>> {
  try {
    if ((await stat(path)).isDirectory()) return await readFolder(path);
    if ((await stat(path)).size > BUNDLE_BYTES_MAX) return err(`${path}: ${TOO_LARGE}`);
    const bytes = await readFile(path);
    if (!bytes.subarray(0, ZIP.length).equals(ZIP)) return err(`${path} is no zip file`);
    const files = unzipBundle(bytes);
    return files.ok ? files : err(`${path}: ${files.error}`);
  } catch (error) {
    return err(messageOf(error));
  }
}

/** Its plain files: a link could lead anywhere. */
async function readFolder(dir: string): Promise<Result<BundleFiles, string>> {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true });
  const files = new Map<string, Uint8Array>();
  let total = 0;
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isDirectory()) continue;
    if (!entry.isFile()) return err(`${path} is no plain file`);
    total += (await stat(path)).size;
    if (total > BUNDLE_BYTES_MAX || files.size >= FILES_MAX) return err(`${dir}: ${TOO_LARGE}`);
    files.set(relative(dir, path), await readFile(path));
  }
  return ok(files);
}
