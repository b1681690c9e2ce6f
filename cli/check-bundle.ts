/** `sealtrail check BUNDLE`: judges an evidence bundle, a folder or a .zip, with nothing but its bytes and trusted keys. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { checkBundle, type BundleCheck } from '../auditor/check/bundle.ts';
import { isHiddenName } from '../auditor/bundle/names.ts';
import {
  BUNDLE_BYTES_MAX,
  FILE_BYTES_MAX,
  FILES_MAX,
  TOO_LARGE,
  unzipBundle,
} from '../auditor/bundle/unzip.ts';
import type { BundleFiles } from '../auditor/check/files.ts';
import { codeOf, err, messageOf, ok, type Result } from '../schemas/result.ts';
import { printable, printableJson, say } from './printable.ts';
import { judgeBundleAnchors } from './check-anchors.ts';
import { compareReport } from './check-report.ts';
import { readTrust } from './trust-file.ts';
import { readPolicy } from './verify-known.ts';

interface CheckBundleOptions {
  readonly trust?: string;
  readonly root?: string;
  readonly policy?: string;
  readonly requireSignature?: boolean;
  readonly json?: boolean;
}

const CODES = { intact: 0, broken: 1, cannot_tell: 2 } as const;
const SIGNS = { ok: 'ok    ', failed: 'FAILED', open: 'open  ' } as const;
const UNREADABLE = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG']);
const ZIP = Buffer.from('PK');

/** Whether the path is a bundle rather than a proof. */
export async function isBundle(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory() || path.endsWith('.zip');
  } catch (error) {
    // Reading it will say so.
    if (UNREADABLE.has(codeOf(error))) return false;
    throw error;
  }
}

/** Checks it and prints what came of it; the exit code. */
export async function runCheckBundle(path: string, options: CheckBundleOptions): Promise<number> {
  const judged = await judge(path, options);
  if (!judged.ok) {
    const said = { verdict: 'cannot_tell', finding: judged.error };
    console.log(
      options.json === true ? printableJson(said, 2) : printable(`cannot tell: ${judged.error}`),
    );
    return CODES.cannot_tell;
  }
  const result = judged.value;
  if (options.json === true) {
    const { certificate: _, rows, anchored, ...rest } = result;
    const anchors = anchored.map(({ stream, size, time }) => ({ stream, size, time }));
    console.log(printableJson({ ...rest, anchors, rows: rows.length }, 2));
  } else print(result);
  return CODES[result.verdict];
}

async function judge(
  path: string,
  { trust: trustPath, root, policy: policyPath, requireSignature }: CheckBundleOptions,
): Promise<Result<BundleCheck, string>> {
  const files = await readBundle(path);
  if (!files.ok) return files;
  const trust = trustPath === undefined ? ok(null) : await readTrust(trustPath, root);
  if (!trust.ok) return trust;
  const policy = policyPath === undefined ? ok(null) : await readPolicy(policyPath);
  if (!policy.ok) return policy;
  let result = checkBundle(files.value, trust.value);
  const report = compareReport(files.value, result);
  if (report !== null) result = { ...result, lines: [...result.lines, report] };
  if (policy.value !== null) result = await judgeBundleAnchors(result, policy.value);
  if (requireSignature === true && result.verdict === 'intact' && !result.isSigned)
    result = { ...result, verdict: 'cannot_tell', finding: `Cannot tell: ${UNSIGNED}.` };
  return ok(result);
}

const UNSIGNED = 'no key that you trust has signed the certificate';

function print({ lines, finding, certificate, question, verdict, isSigned }: BundleCheck): void {
  if (question !== null && certificate !== null) {
    const { tenant, since, until } = certificate.asked;
    say(question.title);
    say(`tenant ${tenant}, ${since} up to ${until}, asked by ${certificate.login}`);
  }
  for (const { what, state, text, row } of lines)
    say(`${SIGNS[state]}  ${what}${row === undefined ? '' : ` row ${row}`}: ${text}`);
  for (const text of certificate?.not_proven ?? []) say(`not proven: ${text}`);
  if (verdict !== 'broken' && !isSigned)
    say(
      `UNSIGNED: ${UNSIGNED}: rows may have been left out, and the question may have been another`,
    );
  say(finding);
}

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
    if (isHiddenName(entry.name)) continue;
    const { size } = await stat(path);
    total += size;
    if (total > BUNDLE_BYTES_MAX || size > FILE_BYTES_MAX || files.size >= FILES_MAX)
      return err(`${dir}: ${TOO_LARGE}`);
    files.set(relative(dir, path), await readFile(path));
  }
  return ok(files);
}
