/**
 * What no output and no fixture may show: patterns of secrets, of this file's own and narrow enough to have
 * no false alarms. They are looked for in what every test's agent leaves behind (agent-process.ts).
 */
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

interface Denied {
  readonly name: string;
  readonly pattern: RegExp;
  /** Tells what only looks like it. */
  readonly isReal?: (match: string) => boolean;
}

/** Numbers and keys that issuers publish for tests and examples: they belong to nobody. */
const PUBLISHED = new Set([
  ...['4111111111111111', '4242424242424242', '5555555555554444', '378282246310005'],
  ...['6011111111111117', '078-05-1120', '219-09-9999', 'AKIAIOSFODNN7EXAMPLE'],
]);

const digitsOf = (text: string): string => text.replace(/\D/g, '');

export const DENIED: readonly Denied[] = [
  {
    name: 'card number',
    pattern:
      /(?<![\w.-])(?:(?:4\d|5[1-5]|60|65)\d{14}|3[47]\d{13}|(?:4\d|5[1-5])\d\d(?:[ -]\d{4}){3})(?![\w.-])/g,
    isReal: (match) => passesLuhn(digitsOf(match)),
  },
  { name: 'SSN', pattern: /(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])/g },
  { name: 'JWT', pattern: /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}/g },
  { name: 'private key', pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----(?:\s|\\n)+[\w+/]{20,}/g },
  {
    name: 'API key',
    pattern:
      /\b(?:A[KS]IA[A-Z2-7]{16}|gh[opsu]_[A-Za-z0-9]{36}|github_pat_\w{40,}|AIza[\w-]{35}|xox[bp]-[\w-]{20,}|sk_live_\w{20,}|GOCSPX-[\w-]{28})\b/g,
  },
  { name: 'bearer token', pattern: /\bbearer [A-Za-z0-9._~+/-]*\d[A-Za-z0-9._~+/-]{15,}/gi },
  { name: 'password', pattern: /\b(?:password|passwd|pwd)\s*[=:]\s*[^\s"'[\\<$*…]{6,}/gi },
  {
    name: 'password in a URL',
    pattern: /\b[a-z][a-z+]{2,10}:\/\/[^\s/?#@:"\\]*:[^\s/?#@"\\[$<*…]{4,}@/gi,
  },
  { name: 'cookie', pattern: /\bset-cookie: ?\w+=[^\s[;]{6,}/gi },
];

/** What of a text is forbidden: the name of the pattern, and where it stands, but not what. */
export function findForbidden(text: string): string[] {
  return DENIED.flatMap(({ name, pattern, isReal }) =>
    [...text.matchAll(pattern)]
      .filter(([match]) => !isPublished(match) && (isReal?.(match) ?? true))
      .map(({ index }) => `${name} at character ${index}`),
  );
}

/** Where an agent leaves events, and how much is read of a file: some tests write very much. */
const FOLDERS = ['ledger', 'siem', 'dead-letter', 'cursors'];
const BYTES_MAX = 2 << 20;

/** The same over an agent's data directory and what it has printed; says where. */
export async function findForbiddenIn(dir: string, printed: string): Promise<string[]> {
  const found = findForbidden(printed).map((what) => `its output: ${what}`);
  for (const folder of FOLDERS) {
    const names = await readdir(join(dir, folder)).catch(() => []);
    for (const name of names) {
      const path = join(folder, name);
      if (!(await stat(join(dir, path))).isFile()) continue;
      found.push(
        ...findForbidden(await readStart(join(dir, path))).map((one) => `${path}: ${one}`),
      );
    }
  }
  return found;
}

async function readStart(path: string): Promise<string> {
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(BYTES_MAX), 0, BYTES_MAX, 0);
  return buffer.toString('utf8', 0, bytesRead);
}

function isPublished(match: string): boolean {
  return PUBLISHED.has(match) || PUBLISHED.has(digitsOf(match));
}

function passesLuhn(digits: string): boolean {
  const sum = [...digits].reverse().reduce((total, digit, place) => {
    const value = Number(digit) * (place % 2 === 0 ? 1 : 2);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
